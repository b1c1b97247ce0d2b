"""Events emitted during training, and requests sent back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

Status = Literal["finished", "diverged"]
SCORE_COLUMNS = ["measure", "step", "lag", "statistic", "value"]
ScoreRow = tuple[str, int, int, str, float]  # measure, update, lag (-1 where there is none), statistic, value


def scores(rows: Sequence[ScoreRow]) -> pd.DataFrame:
    """A tidy frame of scores, of rows."""
    frame = pd.DataFrame(list(rows), columns=SCORE_COLUMNS)
    return frame.astype({"measure": "str", "step": "int64", "lag": "int64", "statistic": "str", "value": "float64"})


@dataclass(frozen=True)
class TrialResult:
    """What a trial that ended left: its scores, and how they came to be."""

    key: str
    scores: pd.DataFrame
    status: Status
    provenance: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """Values on the way: `metrics` by name ("train/loss"), after `step` updates."""

    key: str
    step: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Finished:
    """The trial ended, converged or diverged."""

    result: TrialResult

    @property
    def key(self) -> str:
        """The trial it speaks of."""
        return self.result.key


@dataclass(frozen=True)
class Failed:
    """The trial could not be carried out: a bug, a killed worker. It is recorded, and tried again on the next run."""

    key: str
    error: str
    traceback: str = ""


@dataclass(frozen=True)
class Pruned:
    """The trial was given up on the way, after `step` updates: a search's pruner saw no hope. It leaves no result."""

    key: str
    step: int


@dataclass(frozen=True)
class Checkpoint:
    """All that is needed to go on with a trial after `step` updates, bit for bit.

    Because packed equals alone, it is of one trial, whoever shared its cohort. `farback.training.checkpoint` writes
    and reads `state`.
    """

    key: str
    step: int
    state: bytes


@dataclass(frozen=True)
class Paused:
    """The trial was left after `step` updates, its driver having to end. It leaves no result, but a checkpoint."""

    key: str
    step: int


@dataclass(frozen=True)
class Reused:
    """Another driver has finished the trial meanwhile: the store holds what came of it."""

    key: str


Ended = Finished | Failed | Pruned  # the trial has come to its end
Recordable = Progress | Ended  # what a store is told
Halted = Ended | Paused  # it trains no more here, for now at least
Event = Recordable | Checkpoint | Paused | Reused


@dataclass(frozen=True)
class Request:
    """What a training that goes on is asked for: to give some trials up, or to come to an end with all of them."""

    dropped: frozenset[str] = frozenset()
    finish: bool = False

    def __or__(self, other: Request) -> Request:
        """Both."""
        return Request(self.dropped | other.dropped, self.finish or other.finish)
