"""Lags by bisection: of each network and seed, only the lags between one that passes and one that fails are trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from farback import tables
from farback.records.record import UserError
from farback.trials.events import Event, Finished, Halted, TrialResult
from farback.trials.trial import Trial

Chain = Sequence[Trial]  # trials that differ in the lag alone, by rising lag


def outcomes(frame: pd.DataFrame) -> dict[str, bool]:
    """Whether each trained trial passes at its own lag, by key, as every table of horizons judges it."""
    if frame.empty:
        return {}
    tested = tables.tested(frame, ("label",))
    own = tested[tested["lag"] == tested["trained_lag"]]
    return dict(zip(own["key"], own["passed"].map(bool), strict=True))


def bounds(chain: Chain, passed: Mapping[str, bool]) -> tuple[int, int, int | None]:
    """Where the horizon of a chain lies: the index that passes, the one that fails, and the one to train next.

    The ends of the chain stand for beyond: -1 passes, its length fails. Nothing is next where the two are neighbours.
    What bisection would not have looked at is not looked at.

    Args:
        chain: the trials to pick from.
        passed: what is known, by key.
    """
    low, high = -1, len(chain)
    while high - low > 1:
        middle = (low + high) // 2
        known = passed.get(chain[middle].key)
        if known is None:
            return low, high, middle
        low, high = (middle, high) if known else (low, middle)
    return low, high, None


def passes(trial: Trial, result: TrialResult) -> bool:
    """Whether a trial that has just ended passes at its own lag: `outcomes` of it alone."""
    columns = {name: value for name, value in trial.columns().items() if name not in result.scores}
    return outcomes(result.scores.assign(**columns, status=result.status))[trial.key]


def check(chains: Iterable[Chain]) -> None:
    """Refuse what could never be judged.

    Raises:
        UserError: a trial whose memory at its own lag is not measured when it ends.
    """
    for chain in chains:
        taken = [measure for measure in chain[0].measures if measure.name == "retention"]
        if not any("end" in measure.at for measure in taken):
            raise UserError(
                "a bracket picks lags by what is remembered at the end: its trials need the measure retention"
            )


class Bisection:
    """What is known of chains while their trials train: what is due, and what may still be needed.

    Args:
        chains: each a network and seed, at every lag.
        passed: outcomes that are known already, by key.
    """

    def __init__(self, chains: Iterable[Chain], passed: Mapping[str, bool]) -> None:
        self.chains = [list(chain) for chain in chains]
        self.passed = dict(passed)
        self.trained: dict[str, Trial] = {}  # those that ended here, with a result
        self._held: set[str] = set()  # those that ended here without one: their chains wait for the next run
        self._of: dict[str, list[int]] = {}
        for index, chain in enumerate(self.chains):
            for trial in chain:
                self._of.setdefault(trial.key, []).append(index)
        self._bounds = [bounds(chain, self.passed) for chain in self.chains]

    def learn(self, event: Event) -> bool:
        """Take note of an event; whether other trials are due than before."""
        if event.key not in self._of or not isinstance(event, Halted):
            return False
        if not isinstance(event, Finished):
            self._held.add(event.key)
            return False
        trial = next(one for one in self.chains[self._of[event.key][0]] if one.key == event.key)
        self.trained[event.key] = trial
        self.passed[event.key] = passes(trial, event.result)
        for index in self._of[event.key]:
            self._bounds[index] = bounds(self.chains[index], self.passed)
        return True

    def recall(self, outcomes: Mapping[str, bool]) -> bool:
        """Take note of trials that ended elsewhere, by key; whether other trials are due than before."""
        new = {key: passed for key, passed in outcomes.items() if key in self._of and key not in self.passed}
        self.passed |= new
        self._bounds = [bounds(chain, self.passed) for chain in self.chains]
        return bool(new)

    def due(self) -> list[Trial]:
        """What has to be trained next, each trial once: at most one of every chain."""
        due = [chain[next_] for chain, (_, _, next_) in self._each() if next_ is not None]
        return list(dict.fromkeys(trial for trial in due if trial.key not in self._held))

    def open(self) -> list[Trial]:
        """Every trial that may still be needed, of which a few will be."""
        ahead = [chain[low + 1 : high] for chain, (low, high, _) in self._each()]
        return list(dict.fromkeys(trial for trials in ahead for trial in trials))

    def needed(self) -> list[Trial]:
        """What was trained here and what may yet have to be, at most: where there is a choice, the longest lags."""
        found = dict(self.trained)
        for chain, (low, high, next_) in self._each():
            if next_ is not None:
                others = [trial for trial in chain[low + 1 : high] if trial is not chain[next_]]
                more = (high - low - 1).bit_length() - 1
                found |= {trial.key: trial for trial in [chain[next_], *others[len(others) - more :]]}
        return list(found.values())

    def decided(self) -> Iterator[tuple[Trial, bool]]:
        """Whether trials pass, where that is known or implied."""
        for chain, (low, high, _) in self._each():
            yield from ((trial, True) for trial in chain[: low + 1])
            yield from ((trial, False) for trial in chain[high:])

    def said(self) -> str:
        """What a page says of it; nothing where bisection picks nothing."""
        if not self.chains:
            return ""
        unfinished = sum(next_ is not None for _, (_, _, next_) in self._each())
        left = f" ({unfinished} of them are not done)" if unfinished else ""
        return (
            f"The lags of {len(self.chains)} networks and seeds{left} were picked by bisection: of each, lags between "
            "one that passes and one that fails were trained until these were neighbours, and the rest of its grid is "
            "implied: who passes at a lag is taken to pass below it, who fails to fail beyond it. A seed that fails at "
            "a lag and passes beyond it cannot be seen so. Horizons and intervals are defined as on a whole grid."
        )

    def _each(self) -> Iterator[tuple[Chain, tuple[int, int, int | None]]]:
        return zip(self.chains, self._bounds, strict=True)
