"""Events that a training emits, and requests that are sent back to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["finished", "diverged"]
SCORE_COLUMNS = ["measure", "step", "lag", "statistic", "value"]
ScoreRow = tuple[str, int, int, str, float]  # measure, update, lag (-1 for scores without lag), statistic, value


def scores(rows: Sequence[ScoreRow]) -> pd.DataFrame:
    """A tidy data frame with one row for each score."""
    import pandas as pd  # not before it is needed: 80 MB, which a training of long sequences can use

    frame = pd.DataFrame(list(rows), columns=SCORE_COLUMNS)
    return frame.astype({"measure": "str", "step": "int64", "lag": "int64", "statistic": "str", "value": "float64"})


@dataclass(frozen=True)
class TrialResult:
    """The scores of a trial that ended, with its provenance."""

    key: str
    scores: pd.DataFrame
    status: Status
    provenance: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """The metrics of a trial after `step` updates, by name ("train/loss")."""

    key: str
    step: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Finished:
    """The trial ended: it finished or diverged."""

    result: TrialResult

    @property
    def key(self) -> str:
        """The key of the trial."""
        return self.result.key


@dataclass(frozen=True)
class Failed:
    """A recorded failure: the trial stopped with an error, or its worker was killed. The next run trains it again."""

    key: str
    error: str
    traceback: str = ""


@dataclass(frozen=True)
class Pruned:
    """The pruner of a search stopped the trial after `step` updates. It has no result."""

    key: str
    step: int


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to resume a trial after `step` updates with bit-for-bit the same result.

    It does not depend on other trials of the cohort. `farback.training.checkpoint` writes and reads `state`.
    """

    key: str
    step: int
    state: bytes


@dataclass(frozen=True)
class Paused:
    """The trial stopped after `step` updates because the run was interrupted. It has a checkpoint but no result."""

    key: str
    step: int


@dataclass(frozen=True)
class Reused:
    """Another run of the experiment finished the trial in the meantime, so the store already has its result."""

    key: str


Ended = Finished | Failed | Pruned  # the trial will not be resumed by this run
Recordable = Progress | Ended  # events that a store records
Halted = Ended | Paused  # the trial no longer trains in this process
Event = Recordable | Checkpoint | Paused | Reused


@dataclass(frozen=True)
class Request:
    """A request to a running training: stop the trials with the keys `dropped`, without a result.

    With `finish`, all trials write a checkpoint and pause.
    """

    dropped: frozenset[str] = frozenset()
    finish: bool = False

    def __or__(self, other: Request) -> Request:
        return Request(self.dropped | other.dropped, self.finish or other.finish)
