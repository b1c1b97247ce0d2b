"""Which trials are left to train, in which cohorts, and in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from farback.experiment import Sweep
from farback.runs.bisection import Bisection, check, outcomes
from farback.stores.base import Store
from farback.training.cohort_width import packed
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Halted, Reused
from farback.trials.trial import Trial


@dataclass(frozen=True)
class Remaining:
    """All trials of a run, those that have no result yet (`missing`), and the number that have one (`reused`).

    Bisection trains only some of the missing trials: it picks the next ones as others end.
    """

    trials: list[Trial]
    missing: list[Trial]
    reused: int = 0
    bisection: Bisection = field(default_factory=lambda: Bisection([], {}))

    @property
    def bisects(self) -> bool:
        """Whether bisection picks some of the trials."""
        return bool(self.bisection.chains)

    @property
    def amount(self) -> str:
        """How many trials there are to train, for messages."""
        return f"at most {len(self.needed())} of {len(self.trials)}" if self.bisects else f"{len(self.missing)}"

    @property
    def _fixed(self) -> list[Trial]:
        """The missing trials that are trained in any case."""
        return [trial for trial in self.missing if not trial.bracket]

    def needed(self) -> list[Trial]:
        """The trials that this run has trained, and the most that it may still train."""
        return [*self._fixed, *self.bisection.needed()]

    def due(self) -> list[Trial]:
        """The trials that can be trained now."""
        return [*self._fixed, *self.bisection.due()]


def remaining(trials: Sequence[Trial], done: Collection[str], bisection: Bisection | None = None) -> Remaining:
    """The trials whose keys are not among `done`."""
    bisection = bisection or Bisection([], {})
    fixed = [trial for trial in trials if trial.key not in done and not trial.bracket]
    return Remaining(list(trials), [*fixed, *bisection.open()], sum(trial.key in done for trial in trials), bisection)


def missing_from_store(store: Store, sweep: Sweep, trials: Sequence[Trial]) -> Remaining:
    """The trials of a sweep that have no result in a store."""
    if sweep.brackets(trials):
        return missing_from_frame(store.frame(sweep.name), sweep, trials)
    return remaining(trials, store.finished(sweep.name, [trial.key for trial in trials]))  # faster than reading a frame


def missing_from_frame(frame: pd.DataFrame, sweep: Sweep, trials: Sequence[Trial]) -> Remaining:
    """The trials of a sweep that have no result in a store's frame.

    Raises:
        UserError: lags are bisected, but the trials do not measure retention.
    """
    chains = sweep.brackets(trials)
    check(chains)
    keys = {trial.key for chain in chains for trial in chain}
    passed = outcomes(frame[frame["key"].isin(keys)]) if chains else {}
    return remaining(trials, set(frame["key"]), Bisection(chains, passed))


@dataclass(frozen=True)
class Plan:
    """The remaining trials, the cohorts that can be trained now in their order, and the number of workers."""

    remaining: Remaining
    cohorts: list[Cohort]
    workers: int = 1

    @property
    def resumed(self) -> int:
        """How many trials resume from a checkpoint."""
        return sum(len(cohort.start) for cohort in self.cohorts)


def plan(what: Remaining, workers: int = 1, start: Mapping[str, Checkpoint] | None = None) -> Plan:
    """Pack the trials that are due into cohorts, small enough that no worker is idle.

    Trials with a checkpoint of an earlier run come first, so that few checkpoints are on disk.
    """
    return Plan(what, packed(what.due(), workers, start), workers)


class Schedule:
    """Yields a plan's cohorts; with bisection, also the cohorts that become due when others end.

    Pass every event to `update` before taking the next cohort. Yields None while the next cohort depends on trials that
    are still training.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.waiting = deque(plan.cohorts)
        self.started: set[str] = set()
        self.training: set[str] = set()

    def __iter__(self) -> Iterator[Cohort | None]:
        while self.waiting or (self.training and self.plan.remaining.bisects):
            if not self.waiting:
                yield None
                continue
            cohort = self.waiting.popleft()
            self.started.update(cohort.keys)
            self.training.update(cohort.keys)
            yield cohort

    def update(self, event: Event) -> None:
        """Process an event."""
        if isinstance(event, Halted | Reused):
            self.training.discard(event.key)
        if self.plan.remaining.bisection.add(event):
            self._pack()

    def add_outcomes(self, outcomes: Mapping[str, bool]) -> None:
        """Process outcomes of trials that other drivers trained, by key."""
        self.training -= outcomes.keys()
        if self.plan.remaining.bisection.add_outcomes(outcomes):
            self._pack()

    def _pack(self) -> None:
        """Pack waiting and newly due trials again, so that trials of one shape train as one cohort."""
        start = {one.key: one for cohort in self.waiting for one in cohort.start}
        waiting = {trial.key: trial for cohort in self.waiting for trial in cohort.trials}
        due = {trial.key: trial for trial in self.plan.remaining.bisection.due() if trial.key not in self.started}
        if due.keys() - waiting.keys():
            self.waiting = deque(packed([*(waiting | due).values()], self.plan.workers, start))
