"""How long a plan takes: time a few updates of some of its cohorts on its executor, then add up all cohorts.

Cohorts of a kind differ in their lag and in the number of their replicas. Of each kind the cohort with the least and
the one with the most work are timed; the seconds of the others lie on a line between the two.
"""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from farback.executors import Executor
from farback.kernels.precompile import precompile
from farback.runs.schedule import Plan
from farback.system.arithmetic import arithmetic
from farback.training.cohort_width import packed, share_bytes
from farback.training.replicas import Replicas
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Failed, Progress
from farback.trials.trial import Trial

FEWEST, MOST, SECONDS = 3, 9, 0.2  # updates to time per kind: more than 3 only until 0.2 s have passed
EARLY_SHARE = 0.7  # share of its updates that a trial with early stopping is expected to need: between 0.5 and 1


@dataclass(frozen=True)
class CohortSeconds:
    """Seconds for the parts of training a cohort.

    Attributes:
        begin: making the networks and the data for evaluations, before the first update.
        update: one update of all replicas (the cohort's networks), including the drawing of its data.
        evaluation: one evaluation of one replica.
        start: all measures of one replica before its first update.
        way: all measures of one replica during training.
        end: all measures of one replica after its last update.
    """

    begin: float
    update: float
    evaluation: float
    start: float
    way: float
    end: float

    def total(self, cohort: Cohort, share: float) -> float:
        """Seconds for a cohort if each trial needs this share of its updates."""
        trial, replicas = cohort.trials[0], len(cohort.trials)
        updates = max(0.0, share * trial.steps - cohort.step)
        evaluations = updates / trial.evaluate_every * self.evaluation
        each = evaluations + (0.0 if cohort.step else self.start) + self.way + self.end
        return self.begin + updates * self.update + replicas * each


@dataclass(frozen=True)
class Estimate:
    """Seconds for a plan: the expected number, and the most, which it takes if no trial stops early."""

    expected: float
    most: float


def estimate(plan: Plan, executor: Executor, frame: pd.DataFrame, device: str) -> Estimate:
    """Estimate how long a plan with at least one cohort takes on an executor.

    The finished trials in the store's `frame` show how early other trials of their groups will stop.
    """
    what = plan.remaining
    precompile(trial.cell.kernel for trial in what.due())
    shares = update_shares(frame, what.trials)
    start = {one.key: one for cohort in plan.cohorts for one in cohort.start}
    listed = dict.fromkeys(what.listed, EARLY_SHARE)
    expected, longest = (
        [(cohort, batch) for batch in [listed | first, *others] for cohort in packed(batch, plan.workers, start)]
        for first, *others in (what.adaptive.simulated(longest) or [{}] for longest in (False, True))
    )
    cohorts = [cohort for cohort, _ in [*expected, *longest]]
    timed_ones: dict[str, list[tuple[Cohort, CohortSeconds]]] = {}
    began, startup = time.monotonic(), 0.0
    for cohort, event in executor.map(partial(timed, device=device), _to_time(cohorts)):
        if isinstance(event, Failed):
            raise RuntimeError(f"{event.error}\n{event.traceback}")
        if isinstance(event, Progress):
            if not timed_ones:  # workers need seconds to start
                startup = max(0.0, time.monotonic() - began - event.metrics["all"])
            parts = {name: value for name, value in event.metrics.items() if name != "all"}
            timed_ones.setdefault(_kind(cohort), []).append((cohort, CohortSeconds(**parts)))

    def total(cohort: Cohort, share: float) -> float:
        return between(timed_ones[_kind(cohort)], cohort).total(cohort, share)

    usual = (total(cohort, _share(cohort, shares, batch)) for cohort, batch in expected)
    most = (total(cohort, 1.0) for cohort, _ in longest)
    return Estimate(makespan(usual, plan.workers) + startup, makespan(most, plan.workers) + startup)


def between(timed: Sequence[tuple[Cohort, CohortSeconds]], cohort: Cohort) -> CohortSeconds:
    """The seconds of a cohort on the line between one or two timed cohorts of its kind.

    `begin` and `update` grow with the steps of all replicas together, the others with those of one.
    """

    def at(name: str, size: Callable[[Cohort], int]) -> float:
        by_size = sorted((size(one), getattr(seconds, name)) for one, seconds in timed)
        sizes, values = zip(*by_size, strict=True)
        return float(np.interp(size(cohort), sizes, values))

    every, one = {"begin", "update"}, {"evaluation", "start", "way", "end"}
    return CohortSeconds(**{name: at(name, _work) for name in every} | {name: at(name, _steps) for name in one})


def makespan(seconds: Iterable[float], workers: int) -> float:
    """When the last worker finishes, if each takes the next job in turn as soon as it is free."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heappushpop(free, free[0] + each)
    return max(free)


def update_shares(frame: pd.DataFrame, trials: Iterable[Trial]) -> dict[str, float]:
    """The mean share of their updates that finished trials needed, by group (trials that differ only in seed)."""
    rows = frame[(frame["measure"] == "training") & (frame["statistic"] == "updates")]
    updates = dict(zip(rows["key"], rows["value"], strict=True))
    groups: dict[str, list[float]] = {}
    for trial in trials:
        if trial.key in updates and trial.steps:
            groups.setdefault(trial.group, []).append(updates[trial.key] / trial.steps)
    return {group: statistics.fmean(values) for group, values in groups.items()}


def timed(cohort: Cohort, device: str) -> Iterator[Event]:
    """Time a few updates of a cohort; yields one `Progress` with `CohortSeconds`, and as "all" the whole time."""
    began = time.perf_counter()
    with arithmetic():
        replicas = Replicas(cohort.trials, device, share_bytes())
        begin = time.perf_counter() - began
        update = _update_seconds(replicas) if cohort.trials[0].steps else 0.0
        evaluation = _seconds(lambda: replicas.validated(0))
        measures = [(each, _seconds(partial(replicas.measured, each, [0]))) for each in replicas.trial.measures]
    parts = CohortSeconds(
        begin=begin,
        update=update,
        evaluation=evaluation,
        start=sum(seconds for measure, seconds in measures if measure.is_due(0)),
        way=sum(seconds * sum(type(at) is int for at in measure.at) for measure, seconds in measures),
        end=sum(seconds for measure, seconds in measures if "end" in measure.at),
    )
    yield Progress(cohort.trials[0].key, 0, {**vars(parts), "all": time.perf_counter() - began})


def _update_seconds(replicas: Replicas) -> float:
    """The seconds of an update, with the share of drawing its sequences."""
    replicas.update(1)  # not timed: it loads kernels and allocates memory
    updates: list[float] = []
    draws: list[float] = []
    stream = replicas.training
    while len(updates) < FEWEST or (len(updates) < MOST and sum(updates) < SECONDS):
        draws.append(_seconds(lambda: stream.resume(stream.states, 0, 0)) / stream.drawn)
        began = time.perf_counter()
        done, _ = replicas.update(2, stream.drawn)
        updates.append((time.perf_counter() - began) / done)
    return statistics.median(updates) + statistics.median(draws)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _kind(cohort: Cohort) -> str:
    """The kind of a cohort: in cohorts of one kind only the lag and the number of replicas differ."""
    return cohort.trials[0].shape_at_any_lag


def _to_time(cohorts: Iterable[Cohort]) -> list[Cohort]:
    """Of each kind, the cohort with the least and the one with the most work."""
    kinds: dict[str, list[Cohort]] = {}
    for cohort in cohorts:
        kinds.setdefault(_kind(cohort), []).append(cohort)
    ends = ((min(some, key=_work), max(some, key=_work)) for some in kinds.values())
    return [each for least, most in ends for each in ((least,) if _work(least) == _work(most) else (least, most))]


def _steps(cohort: Cohort) -> int:
    return cohort.trials[0].lag + 1


def _work(cohort: Cohort) -> int:
    return len(cohort.trials) * _steps(cohort)


def _share(cohort: Cohort, known: Mapping[str, float], assumed: Mapping[Trial, float]) -> float:
    """The mean share of their updates that the trials of a cohort will need."""
    if cohort.trials[0].stop == "never":
        return 1.0
    return statistics.fmean(known.get(trial.group, assumed[trial]) for trial in cohort.trials)
