"""Counts the events of a run, and estimates the time left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from farback.runs.schedule import Plan
from farback.training.packing import cost
from farback.trials.cohort import Cohort
from farback.trials.events import Ended, Event, Failed, Finished, Reused


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        trained: trials that ended in it with a result.
        reused: trials that the store held before, or that another driver finished meanwhile.
        diverged: of the trained ones; that is a result.
        failed: trials that could not be trained; the next run tries again.
        failures: why.
    """

    trained: int = 0
    reused: int = 0
    diverged: int = 0
    failed: int = 0
    failures: tuple[Failed, ...] = field(default=(), compare=False)


PACE_SECONDS = 2.0  # of progress before the time left can be estimated


class Tally:
    """Counts events as they come, and the time left."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.finished: dict[str, Finished] = {}
        self.failures: list[Failed] = []
        self.reused = plan.remaining.reused
        self.steps = {
            trial.key: max(1, trial.steps) for trial in plan.remaining.missing
        }  # what is only measured counts as one
        self.done = {one.key: one.step for cohort in plan.cohorts for one in cohort.start}
        self.cost = {trial.key: cost(Cohort.of(trial)) for trial in plan.remaining.missing}
        self.moving: tuple[float, float] | None = None  # time and share of the first progress

    def add(self, event: Event) -> None:
        """Count one event."""
        self._count(event)
        if self.moving is None:
            self.moving = (time.monotonic(), self.share)

    def _count(self, event: Event) -> None:
        if isinstance(event, Ended | Reused):
            self.done[event.key] = self.steps[event.key]
        else:  # a resumed trial repeats its progress from the start
            self.done[event.key] = max(event.step, self.done.get(event.key, 0))
        if isinstance(event, Finished):
            self.finished[event.key] = event
        elif isinstance(event, Failed):
            self.failures.append(event)
        elif isinstance(event, Reused):
            self.reused += 1

    @property
    def share(self) -> float:
        """How much of the work is done, 0 to 1; where bisection picks the trials, of the most that there may be."""
        total = sum(self.cost[trial.key] for trial in self.plan.remaining.needed())
        done = sum(self.cost[key] * self.done[key] / self.steps[key] for key in self.done)
        return done / total if total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace since the first progress, since workers need seconds to start; None before there is a pace."""
        if self.moving is None:
            return None
        began, before = self.moving
        passed, made = time.monotonic() - began, self.share - before
        return passed / made * (1 - self.share) if made > 0 and passed >= PACE_SECONDS else None

    def summary(self) -> Summary:
        """The counts."""
        diverged = sum(event.result.status == "diverged" for event in self.finished.values())
        return Summary(len(self.finished), self.reused, diverged, len(self.failures), tuple(self.failures))
