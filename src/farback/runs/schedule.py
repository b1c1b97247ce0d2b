"""Which trials are left to train, in which cohorts, and in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from farback.experiment import Sweep
from farback.runs.adaptive_trials import AdaptiveTrials
from farback.runs.network_search import Outcome, outcomes
from farback.stores.base import Store
from farback.training.cohort_width import packed
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Halted, Reused
from farback.trials.trial import Trial


@dataclass(frozen=True)
class Remaining:
    """What a run has to train: the `listed` trials without a result, and those that are chosen on the way.

    Attributes:
        every: all listed trials.
        listed: those of them that have no result yet.
        reused: how many trials had a result before the run.
        adaptive: the searches of networks with adaptive lags or tuned settings.
    """

    every: list[Trial]
    listed: list[Trial]
    reused: int = 0
    adaptive: AdaptiveTrials = field(default_factory=lambda: AdaptiveTrials([], {}))

    @classmethod
    def of(cls, every: Sequence[Trial], done: Collection[str], adaptive: AdaptiveTrials | None = None) -> Remaining:
        """The trials whose keys are not among `done`."""
        adaptive = adaptive or AdaptiveTrials([], {})
        reused = {trial.key for trial in every} | adaptive.trials.keys()
        listed = [trial for trial in every if trial.key not in done]
        return cls(list(every), listed, sum(key in done for key in reused), adaptive)

    @property
    def is_adaptive(self) -> bool:
        """Whether some of the trials are chosen during the run."""
        return bool(self.adaptive.networks)

    @property
    def trials(self) -> list[Trial]:
        """All trials known so far."""
        return list(dict.fromkeys([*self.every, *self.adaptive.trials.values()]))

    @property
    def amount(self) -> str:
        """How many trials there are to train, for messages."""
        return f"about {self.expected}" if self.adaptive.expected and self.adaptive.chooses_lags else f"{self.expected}"

    @property
    def expected(self) -> int:
        """How many trials there are to train; with adaptive lags, about."""
        return len(self.listed) + self.adaptive.expected

    @property
    def roles(self) -> dict[str, tuple[str, str]]:
        """The role and the tuned setting of each trial that was chosen during the run and is not listed, by key."""
        listed = {trial.key for trial in self.every}
        chosen = self.adaptive.trials.items()
        return {key: trial.role for key, trial in chosen if trial.role and key not in listed}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to train."""
        return not self.listed and self.adaptive.finished

    def due(self) -> list[Trial]:
        """The trials that can be trained now."""
        return list(dict.fromkeys([*self.listed, *self.adaptive.due()]))


def missing_from_store(store: Store, sweep: Sweep, trials: Sequence[Trial]) -> Remaining:
    """The trials of a sweep that have no result in a store."""
    if any(trial.chosen for trial in trials):
        return missing_from_frame(store.frame(sweep.name), sweep, trials)
    return Remaining.of(trials, store.finished(sweep.name, [trial.key for trial in trials]))  # faster than a frame


def missing_from_frame(frame: pd.DataFrame, sweep: Sweep, trials: Sequence[Trial]) -> Remaining:
    """The trials of a sweep that have no result in a store's frame."""
    done, searches = set(frame["key"]), sweep.chosen(trials)
    adaptive = AdaptiveTrials(searches, outcomes(frame) if searches else {})
    return Remaining.of([trial for trial in trials if not trial.chosen], done, adaptive)


def is_finished(store: Store, sweep: Sweep, what: Remaining) -> bool:
    """Whether nothing is left to train, and no run that a driver left unfinished is to be ended."""
    return what.is_empty and not store.has_running(sweep.name)


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
    """Yields a plan's cohorts, and those of chosen trials that become due when others end.

    Pass every event to `update` before taking the next cohort. Yields None while the next cohort depends on trials that
    are still training.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.waiting = deque(plan.cohorts)
        self.started: set[str] = set()
        self.training: set[str] = set()

    def __iter__(self) -> Iterator[Cohort | None]:
        while self.waiting or (self.training and self.plan.remaining.is_adaptive):
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
        if self.plan.remaining.adaptive.add(event):
            self._pack()

    def add_outcomes(self, outcomes: Mapping[str, Outcome]) -> None:
        """Process outcomes of trials that other drivers trained, by key."""
        self.training -= outcomes.keys()
        if self.plan.remaining.adaptive.add_outcomes(outcomes):
            self._pack()

    def _pack(self) -> None:
        """Pack waiting and newly due trials again, so that trials of one shape train as one cohort."""
        start = {one.key: one for cohort in self.waiting for one in cohort.start}
        waiting = {trial.key: trial for cohort in self.waiting for trial in cohort.trials}
        due = {trial.key: trial for trial in self.plan.remaining.adaptive.due() if trial.key not in self.started}
        if due.keys() - waiting.keys():
            self.waiting = deque(packed([*(waiting | due).values()], self.plan.workers, start))
