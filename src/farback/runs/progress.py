"""Counts the events of a run, estimates the time left, and prints both as lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from farback.runs.schedule import Plan
from farback.training.cohort_width import cost
from farback.trials.cohort import Cohort
from farback.trials.events import Ended, Event, Failed, Finished, Reused

PACE_SECONDS = 2.0  # of training before the time left is estimated
LINE_SECONDS = 10.0  # least time between two lines of progress


@dataclass(frozen=True)
class Summary:
    """The counts of a run.

    Attributes:
        trained: trials that were trained and have a result.
        reused: trials that had a result before, or that another driver finished during the run.
        diverged: trained trials whose loss diverged; a divergence is a result.
        failed: trials that could not be trained; the next run tries them again.
        failures: the failed trials with their errors.
    """

    trained: int = 0
    reused: int = 0
    diverged: int = 0
    failed: int = 0
    failures: tuple[Failed, ...] = field(default=(), compare=False)


class Tally:
    """The counts of a run so far, and its time left."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.finished: dict[str, Finished] = {}
        self.failures: list[Failed] = []
        self.reused = plan.remaining.reused
        self.steps: dict[str, int] = {}  # trials without updates count as one
        self.cost: dict[str, float] = {}
        self._before = set(plan.remaining.adaptive.known)
        self._register()
        self.done = {one.key: one.step for cohort in plan.cohorts for one in cohort.start}
        self.first: tuple[float, float] | None = None  # time of the first event, and the share of the work done by then

    def _register(self) -> None:
        """Note the updates and the cost of each trial that is to train, as far as they are known."""
        what = self.plan.remaining
        for trial in (*what.listed, *what.adaptive.trials.values()):
            if trial.key not in self.cost and trial.key not in self._before:
                self.steps[trial.key] = max(1, trial.steps)
                self.cost[trial.key] = cost(Cohort.of(trial))

    def add(self, event: Event) -> None:
        """Count one event."""
        if event.key not in self.cost:  # the trial was chosen during the run
            self._register()
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
        if self.first is None:
            self.first = (time.monotonic(), self.share)

    @property
    def share(self) -> float:
        """The share of the work that is done, 0 to 1. If trials are chosen during the run, all work is an estimate."""
        total = sum(self.cost.values())
        done = sum(self.cost[key] * self.done[key] / self.steps[key] for key in self.done)
        adaptive = self.plan.remaining.adaptive
        if adaptive.networks and self.cost:
            awaited = len(adaptive.due())
            total += total / len(self.cost) * max(0, adaptive.expected - awaited)
        return min(1.0, done / total) if total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """The time left at the pace since the first event (workers need seconds to start); None at first."""
        if self.first is None:
            return None
        began, share = self.first
        passed, made = time.monotonic() - began, self.share - share
        return passed / made * (1 - self.share) if made > 0 and passed >= PACE_SECONDS else None

    @property
    def diverged(self) -> int:
        """How many trials diverged."""
        return sum(event.result.status == "diverged" for event in self.finished.values())

    def counts(self) -> str:
        """The counts and the time left as text."""
        adaptive = self.plan.remaining.adaptive
        expected = len(self.cost) + max(0, adaptive.expected - len(adaptive.due()))
        about = "about " if adaptive.chooses_lags else ""
        parts = [f"{len(self.finished)} of {about}{expected} trials trained"]
        parts.append(f"{len(self.failures)} failed")
        parts += [f"{self.diverged} diverged"] * (self.diverged > 0)
        parts.append(f"{self.reused} reused")
        left = self.seconds_left
        if self.first is None:
            parts.append("workers are starting")
        elif left is None:
            parts.append("time left unknown")
        else:
            parts.append(f"{'about' if adaptive.chooses_lags else 'at most'} {minutes(left)} left")
        return ", ".join(parts)

    def line(self) -> str:
        """The share of the work that is done, and the counts."""
        return f"{self.share:4.0%}  {self.counts()}"

    def summary(self) -> Summary:
        """The counts."""
        return Summary(len(self.finished), self.reused, self.diverged, len(self.failures), tuple(self.failures))


def to_stderr(text: str) -> None:
    """Print a line to stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Lines:
    """Prints lines of progress if `shown`: every line of `say`, and one of `update` every `LINE_SECONDS`."""

    def __init__(self, shown: bool, write: Callable[[str], None] = to_stderr) -> None:
        self.shown, self.write, self.last = shown, write, time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        if self.shown:
            self.write(text)

    def update(self, text: Callable[[], str]) -> None:
        """Print a text, unless a line was printed a short time ago."""
        if self.shown and time.monotonic() - self.last > LINE_SECONDS:
            self.last = time.monotonic()
            self.write(text())


def minutes(seconds: float) -> str:
    """A duration for people: "45 s", "3 min", "1 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    whole = round(seconds / 60)
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60} min"
