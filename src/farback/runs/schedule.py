"""What remains to be trained of some trials, and in which cohorts and order."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from farback.experiment import Sweep
from farback.runs.bisection import Bisection, check, outcomes
from farback.stores.base import Store
from farback.training.packing import packed
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Halted, Reused
from farback.trials.trial import Trial


@dataclass(frozen=True)
class Remaining:
    """What is not recorded of some trials.

    Attributes:
        trials: all of them, those that bisection may pick from included.
        missing: not recorded; these may have to be trained.
        reused: how many are recorded.
        bisection: of the trials that are picked as others end; it is updated while they do.
    """

    trials: list[Trial]
    missing: list[Trial]
    reused: int = 0
    bisection: Bisection = field(default_factory=lambda: Bisection([], {}))

    @property
    def picked(self) -> bool:
        """Whether bisection picks any of the trials: then not all of `missing` will be trained."""
        return bool(self.bisection.chains)

    @property
    def amount(self) -> str:
        """How many trials there are to train, for people."""
        return f"at most {len(self.needed())} of {len(self.trials)}" if self.picked else f"{len(self.missing)}"

    def needed(self) -> list[Trial]:
        """Of `missing`, those that were trained or that will be, at most."""
        if not self.picked:
            return self.missing
        given = [trial for trial in self.missing if not trial.bracket]
        return list(dict.fromkeys([*given, *self.bisection.needed()]))

    def due(self) -> list[Trial]:
        """Of `missing`, those that can be trained now."""
        if not self.picked:
            return self.missing
        given = [trial for trial in self.missing if not trial.bracket]
        return list(dict.fromkeys([*given, *self.bisection.due()]))


def remaining(trials: Sequence[Trial], done: Collection[str], bisection: Bisection | None = None) -> Remaining:
    """What is left of some trials, given the keys that a store holds and the outcomes that bisection knows."""
    bisection = bisection or Bisection([], {})
    given = [trial for trial in trials if trial.key not in done and not (bisection.chains and trial.bracket)]
    missing = list(dict.fromkeys([*given, *bisection.open()])) if bisection.chains else given
    return Remaining(list(trials), missing, sum(trial.key in done for trial in trials), bisection)


def remaining_in(store: Store, sweep: Sweep, trials: Sequence[Trial]) -> Remaining:
    """What a store lacks of some trials of a sweep."""
    if sweep.brackets(trials):
        return remaining_beside(store.frame(sweep.name), sweep, trials)
    return remaining(trials, store.finished(sweep.name, [trial.key for trial in trials]))


def remaining_beside(frame: pd.DataFrame, sweep: Sweep, trials: Sequence[Trial]) -> Remaining:
    """What a store's frame lacks of some trials of a sweep."""
    return remaining(trials, set(frame["key"]), bisected(sweep, trials, frame))


def bisected(sweep: Sweep, trials: Sequence[Trial], frame: pd.DataFrame) -> Bisection:
    """Of these trials, those that bisection picks, with the outcomes that a store's frame holds.

    Raises:
        UserError: they could never be judged.
    """
    chains = sweep.brackets(trials)
    check(chains)
    keys = {trial.key for chain in chains for trial in chain}
    return Bisection(chains, outcomes(frame[frame["key"].isin(keys)]) if chains else {})


@dataclass(frozen=True)
class Plan:
    """What remains, packed into cohorts.

    Attributes:
        remaining: of the trials.
        cohorts: what can be trained now, in order.
        workers: how many processes share the work.
    """

    remaining: Remaining
    cohorts: list[Cohort]
    workers: int = 1

    @property
    def resumed(self) -> int:
        """How many trials resume from a checkpoint."""
        return sum(len(cohort.start) for cohort in self.cohorts)


def plan(what: Remaining, workers: int = 1, start: Mapping[str, Checkpoint] | None = None) -> Plan:
    """Pack what remains.

    Args:
        what: remains.
        workers: how many processes will share the work: cohorts are made narrower rather than leave one idle.
        start: checkpoints of earlier runs, by key. Trials with one come first, so that checkpoints do not pile up.
    """
    return Plan(what, packed(what.due(), workers, start), workers)


class Schedule:
    """Hands out a plan's cohorts, and those that can be trained once others have ended.

    It is iterated while its cohorts train, and given every event before the next cohort is taken. It yields None while
    nothing can be trained until something ends.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.waiting = deque(plan.cohorts)
        self.begun: set[str] = set()
        self.training: set[str] = set()

    def __iter__(self) -> Iterator[Cohort | None]:
        while self.waiting or (self.training and self.plan.remaining.picked):
            if not self.waiting:
                yield None
                continue
            cohort = self.waiting.popleft()
            self.begun.update(cohort.keys)
            self.training.update(cohort.keys)
            yield cohort

    def update(self, event: Event) -> None:
        """Take an event into account."""
        if isinstance(event, Halted | Reused):
            self.training.discard(event.key)
        if self.plan.remaining.bisection.learn(event):
            self._pack()

    def recall(self, outcomes: Mapping[str, bool]) -> None:
        """Take into account what other drivers have trained, by key."""
        self.training -= outcomes.keys()
        if self.plan.remaining.bisection.recall(outcomes):
            self._pack()

    def _pack(self) -> None:
        """Pack what waits together with what has become due, so that trials of one shape train as one cohort."""
        start = {one.key: one for pack in self.waiting for one in pack.start}
        waiting = {trial.key: trial for pack in self.waiting for trial in pack.trials}
        due = {trial.key: trial for trial in self.plan.remaining.bisection.due() if trial.key not in self.begun}
        if due.keys() - waiting.keys():
            self.waiting = deque(packed([*(waiting | due).values()], self.plan.workers, start))
