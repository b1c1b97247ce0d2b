"""Bisection over lags: for each network and seed, train only at lags between one that passes and one that fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from farback import tables
from farback.records.record import UserError
from farback.trials.events import Event, Finished, Halted, TrialResult
from farback.trials.trial import Trial

Chain = Sequence[Trial]  # one network and seed at every lag, sorted by lag


def outcomes(frame: pd.DataFrame) -> dict[str, bool]:
    """Whether each trained trial passes at its own lag, by key, with the same rule as in every table of horizons."""
    if frame.empty:
        return {}
    tested = tables.tested(frame, ("label",))
    own = tested[tested["lag"] == tested["trained_lag"]]
    return dict(zip(own["key"], own["passed"].map(bool), strict=True))


def bounds(chain: Chain, passed: Mapping[str, bool]) -> tuple[int, int, int | None]:
    """The index of the longest lag that passes, of the shortest that fails, and of the lag to train next.

    Index -1 passes and index len(chain) fails by definition. The next index is None when the first two are neighbours.
    `passed` has outcomes by key; outcomes at lags that bisection would not train are ignored.
    """
    low, high = -1, len(chain)
    while high - low > 1:
        middle = (low + high) // 2
        outcome = passed.get(chain[middle].key)
        if outcome is None:
            return low, high, middle
        low, high = (middle, high) if outcome else (low, middle)
    return low, high, None


def passes(trial: Trial, result: TrialResult) -> bool:
    """Whether a trial with this result passes at its own lag."""
    columns = {name: value for name, value in trial.columns().items() if name not in result.scores}
    return outcomes(result.scores.assign(**columns, status=result.status))[trial.key]


def check(chains: Iterable[Chain]) -> None:
    """Check that the outcomes of these trials can be judged.

    Raises:
        UserError: a trial does not measure retention at the end of its training.
    """
    for chain in chains:
        if not any(measure.name == "retention" and "end" in measure.at for measure in chain[0].measures):
            raise UserError(
                "bisection (lag: {bracket: ...}) judges each network by its retention at the end of training: "
                "add `retention` to `measures:`"
            )


class Bisection:
    """Which lags have passed and failed so far, and which trials to train next."""

    def __init__(self, chains: Iterable[Chain], passed: Mapping[str, bool]) -> None:
        self.chains = [list(chain) for chain in chains]
        self.passed = dict(passed)
        self.trials = {trial.key: trial for chain in self.chains for trial in chain}
        self.trained: dict[str, Trial] = {}  # trials that got a result in this run
        self.failed: set[str] = set()  # trials that got none: their chains wait for the next run
        self._update()

    def _update(self) -> None:
        self._bounds = [bounds(chain, self.passed) for chain in self.chains]

    def add(self, event: Event) -> bool:
        """Process an event. Returns whether `due` changed."""
        if event.key not in self.trials or not isinstance(event, Halted):
            return False
        if not isinstance(event, Finished):
            self.failed.add(event.key)
            return False
        self.trained[event.key] = self.trials[event.key]
        self.passed[event.key] = passes(self.trials[event.key], event.result)
        self._update()
        return True

    def add_outcomes(self, outcomes: Mapping[str, bool]) -> bool:
        """Process outcomes of other drivers, by key. Returns whether `due` changed."""
        new = {key: passed for key, passed in outcomes.items() if key in self.trials and key not in self.passed}
        self.passed |= new
        self._update()
        return bool(new)

    def due(self) -> list[Trial]:
        """The trials to train next: at most one per chain, without duplicates."""
        due = [chain[following] for chain, (_, _, following) in self._each() if following is not None]
        return list(dict.fromkeys(trial for trial in due if trial.key not in self.failed))

    def open(self) -> list[Trial]:
        """Every trial that may still be trained; bisection needs only a few of them."""
        return list(dict.fromkeys(trial for chain, (low, high, _) in self._each() for trial in chain[low + 1 : high]))

    def needed(self) -> list[Trial]:
        """The trials trained in this run, and the most that may still be trained: in each chain, the longest lags."""
        needed = dict(self.trained)
        for chain, (low, high, following) in self._each():
            if following is not None:
                others = [trial for trial in chain[low + 1 : high] if trial is not chain[following]]
                rounds = (high - low - 1).bit_length() - 1
                needed |= {trial.key: trial for trial in [chain[following], *others[len(others) - rounds :]]}
        return list(needed.values())

    def decided(self) -> Iterator[tuple[Trial, bool]]:
        """Trials and whether they pass, where that was measured or is implied."""
        for chain, (low, high, _) in self._each():
            yield from ((trial, True) for trial in chain[: low + 1])
            yield from ((trial, False) for trial in chain[high:])

    def note(self) -> str:
        """The note for a page; empty if no lags are bisected."""
        if not self.chains:
            return ""
        unfinished = sum(following is not None for _, (_, _, following) in self._each())
        left = f" ({unfinished} of them are not finished)" if unfinished else ""
        return (
            f"The lags of {len(self.chains)} networks and seeds{left} were picked by bisection: for each, lags between "
            "one that passes and one that fails were trained until the two were neighbours on the grid. The other lags "
            "are implied: a network that passes at a lag is taken to pass at all shorter lags, and one that fails to "
            "fail at all longer lags. This cannot detect a seed that fails at one lag and passes at a longer one. "
            "Horizons and intervals are defined as for a full grid."
        )

    def _each(self) -> Iterator[tuple[Chain, tuple[int, int, int | None]]]:
        return zip(self.chains, self._bounds, strict=True)
