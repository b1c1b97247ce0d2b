"""What has to be trained of some trials, in which cohorts and in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from farback.experiment import Experiment
from farback.runs import bisection
from farback.runs.bisection import Bisection
from farback.training.packing import packed
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Left, Reused
from farback.trials.trial import Trial


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        trials: what is wanted, all that bisection may pick from included.
        missing: what is not recorded, and may have to be trained.
        cohorts: what is due now.
        reused: trials that the store already holds.
        workers: how many processes share the work.
        bisection: of the trials that are picked as others end; it learns while they do.
    """

    trials: list[Trial]
    missing: list[Trial]
    cohorts: list[Cohort]
    reused: int = 0
    workers: int = 1
    bisection: Bisection = field(default_factory=lambda: Bisection([], {}))

    @property
    def begun(self) -> int:
        """Trials that go on from a checkpoint."""
        return sum(len(cohort.start) for cohort in self.cohorts)

    @property
    def picked(self) -> bool:
        """Whether bisection picks any of its trials: then not all of `missing` will be trained."""
        return bool(self.bisection.chains)

    @property
    def amount(self) -> str:
        """How many trials there are to train, for people."""
        return f"at most {len(self.needed())} of {len(self.trials)}" if self.picked else f"{len(self.missing)}"

    def needed(self) -> list[Trial]:
        """Of `missing` those that were trained, or that will be, at most."""
        if not self.picked:
            return self.missing
        given = [trial for trial in self.missing if not trial.bracket]
        return list(dict.fromkeys([*given, *self.bisection.needed()]))


def plan(
    trials: Sequence[Trial],
    done: Collection[str],
    workers: int = 1,
    start: Mapping[str, Checkpoint] | None = None,
    bisection: Bisection | None = None,
) -> Plan:
    """Subtract what is done, and pack the rest.

    Args:
        trials: what is wanted.
        done: keys that the store holds.
        workers: how many processes will share the work: cohorts are made narrower rather than leave one idle.
        start: checkpoints of earlier runs, by key. What was begun goes first, so that they do not pile up.
        bisection: of those trials that are picked as others end.
    """
    bisection = bisection or Bisection([], {})
    given = [trial for trial in trials if trial.key not in done and not (bisection.chains and trial.bracket)]
    due = list(dict.fromkeys([*given, *bisection.due()])) if bisection.chains else given
    missing = list(dict.fromkeys([*given, *bisection.open()])) if bisection.chains else given
    reused = sum(trial.key in done for trial in trials)
    return Plan(list(trials), missing, packed(due, workers, start), reused, workers, bisection)


class Schedule:
    """Hands a plan's cohorts out, and those that become due as others end.

    It is gone through while its cohorts train, and told of every event before it is asked again. Where nothing is due
    until something ends it gives None: a worker without a cohort waits, and asks again after the next event.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.waiting = deque(plan.cohorts)
        self.begun: set[str] = set()
        self.out: set[str] = set()  # begun and not ended

    def __iter__(self) -> Iterator[Cohort | None]:
        while self.waiting or (self.out and self.plan.picked):
            if not self.waiting:
                yield None
                continue
            cohort = self.waiting.popleft()
            self.begun.update(cohort.keys)
            self.out.update(cohort.keys)
            yield cohort

    def learn(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Left | Reused):
            self.out.discard(event.key)
        if self.plan.bisection.learn(event):
            self._pack()

    def recall(self, outcomes: Mapping[str, bool]) -> None:
        """Take note of what other drivers have trained, by key."""
        self.out -= outcomes.keys()
        if self.plan.bisection.recall(outcomes):
            self._pack()

    def _pack(self) -> None:
        """Pack what waits and what is due now together, so that networks that are due at one lag train as one."""
        start = {one.key: one for pack in self.waiting for one in pack.start}
        waiting = {trial.key: trial for pack in self.waiting for trial in pack.trials}
        due = {trial.key: trial for trial in self.plan.bisection.due() if trial.key not in self.begun}
        if due.keys() - waiting.keys():
            self.waiting = deque(packed([*(waiting | due).values()], self.plan.workers, start))


def outlook(experiment: Experiment, trials: Sequence[Trial], frame: pd.DataFrame, workers: int) -> Plan:
    """What a run would do, of which no store is told.

    Args:
        experiment: whose.
        trials: of the experiment, perhaps not all.
        frame: what the store holds.
        workers: how many processes would share the work.
    """
    return plan(trials, set(frame["key"]), workers, bisection=bisected(experiment, trials, frame))


def bisected(experiment: Experiment, trials: Sequence[Trial], frame: pd.DataFrame) -> Bisection:
    """Of these trials those that bisection picks, and what a store's frame says of them.

    Raises:
        UserError: they could never be judged.
    """
    chains = experiment.brackets(trials)
    if not chains:
        return Bisection([], {})
    bisection.check(chains)
    keys = {trial.key for chain in chains for trial in chain}
    return Bisection(chains, bisection.outcomes(frame[frame["key"].isin(keys)]))
