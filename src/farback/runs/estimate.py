"""How long a plan takes: a little of every kind of cohort is timed where it would train; the rest is arithmetic."""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd

from farback.executors import Executor
from farback.kernels.precompile import precompile
from farback.runs.schedule import Plan
from farback.training.loop import arithmetic
from farback.training.packing import packed
from farback.training.replicas import Replicas
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Failed, Progress
from farback.trials.trial import Trial

FEWEST, MOST, SECONDS = 3, 9, 0.2  # updates timed of each kind: more than a few only where they are short
UNKNOWN = 0.7  # of its updates, a trial that may stop early, where none like it has: between half and all, as a ratio


@dataclass(frozen=True)
class Seconds:
    """What the parts of training a cohort take.

    Attributes:
        begin: before the first update: networks, data for evaluations.
        update: one update of all replicas, the drawing of its data included.
        evaluation: of one replica.
        start: the measures of one replica before the first update.
        end: its measures when it leaves.
        way: its measures on the way, all of them.
    """

    begin: float
    update: float
    evaluation: float
    start: float
    way: float
    end: float

    def of(self, cohort: Cohort, share: float) -> float:
        """A cohort whose trials each need a share of their updates."""
        trial, replicas = cohort.trials[0], len(cohort.trials)
        updates = max(0.0, share * trial.steps - cohort.step)
        evaluations = updates / trial.evaluate_every * self.evaluation
        each = evaluations + (0.0 if cohort.step else self.start) + self.way + self.end
        return self.begin + updates * self.update + replicas * each


@dataclass(frozen=True)
class Estimate:
    """Seconds that a plan takes: as expected, and if no trial stops early."""

    expected: float
    most: float


def estimate(plan: Plan, executor: Executor, frame: pd.DataFrame, device: str) -> Estimate:
    """Time a few updates of every kind of cohort on the executor, and add up a plan's on its workers, longest first.

    Args:
        plan: with at least one cohort.
        executor: where it would run.
        frame: what a store holds of its trials: repeats of one trial need about as many updates.
        device: that it would run on.
    """
    precompile(trial.cell.kernel for trial in plan.remaining.missing)
    known = shares(frame, plan.remaining.trials)
    packs = packed(plan.remaining.needed(), plan.workers, {one.key: one for pack in plan.cohorts for one in pack.start})
    kinds = {_kind(pack): pack for pack in packs}
    asked, found = time.monotonic(), {}
    ready = None
    for cohort, event in executor.map(partial(timed, device=device), kinds.values()):
        if isinstance(event, Failed):
            raise RuntimeError(f"{event.error}\n{event.traceback}")
        if isinstance(event, Progress):
            ready = time.monotonic() - asked - event.metrics["all"] if ready is None else ready
            found[_kind(cohort)] = Seconds(**{name: event.metrics[name] for name in Seconds.__dataclass_fields__})
    lengths = [
        [found[_kind(pack)].of(pack, share) for pack in packs for share in [_share(pack, known) if early else 1.0]]
        for early in (True, False)
    ]
    expected, most = (makespan(each, plan.workers) + max(0.0, ready or 0.0) for each in lengths)
    return Estimate(expected, most)


def makespan(seconds: Iterable[float], workers: int) -> float:
    """When the last worker is done, each taking the next piece of work in turn as it is free."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heappushpop(free, free[0] + each)
    return max(free)


def shares(frame: pd.DataFrame, trials: Iterable[Trial]) -> dict[str, float]:
    """Of their updates what finished trials needed, by group: repeats of one of them need about as much.

    Args:
        frame: a store's.
        trials: whose steps and groups are meant.
    """
    rows = frame[(frame["measure"] == "training") & (frame["statistic"] == "updates")]
    updates = dict(zip(rows["key"], rows["value"], strict=True))
    groups: dict[str, list[float]] = {}
    for trial in trials:
        if trial.key in updates and trial.steps:
            groups.setdefault(trial.group, []).append(updates[trial.key] / trial.steps)
    return {group: statistics.fmean(values) for group, values in groups.items()}


def timed(cohort: Cohort, device: str) -> Iterator[Event]:
    """Train a little of a cohort, and say what everything took; nothing comes of it but that."""
    asked = time.perf_counter()
    with arithmetic():
        replicas = Replicas(cohort.trials, device)
        begun = time.perf_counter()
        replicas.update(1)  # kernels are loaded, memory is there
        updates: list[float] = []
        while len(updates) < FEWEST or (len(updates) < MOST and sum(updates) < SECONDS):
            updates.append(_took(lambda: replicas.update(2)))
        drawing = _took(lambda: replicas.training.go_on(replicas.training.places, 0)) / replicas.training.block
        evaluation = _took(lambda: replicas.validated(0))
        taken = [(measure, _took(partial(replicas.measured, measure, [0]))) for measure in replicas.trial.measures]
    begin = begun - asked
    found = Seconds(
        begin=begin,
        update=statistics.median(updates) + (drawing if replicas.training.block > 1 else 0.0),
        evaluation=evaluation,
        start=sum(seconds for measure, seconds in taken if measure.taken(0)),
        way=sum(seconds * sum(type(at) is int for at in measure.at) for measure, seconds in taken),
        end=sum(seconds for measure, seconds in taken if "end" in measure.at),
    )
    metrics = {**vars(found), "all": time.perf_counter() - asked}
    yield Progress(cohort.trials[0].key, 0, metrics)


def _took(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _kind(cohort: Cohort) -> tuple[str, int]:
    """Cohorts that take equally long for an update."""
    return cohort.trials[0].shape, len(cohort.trials)


def _share(cohort: Cohort, shares: Mapping[str, float]) -> float:
    """Of their updates what the trials of a cohort will need, on average."""
    usual = 1.0 if cohort.trials[0].stop == "never" else UNKNOWN
    return statistics.fmean(shares.get(trial.group, usual) for trial in cohort.trials)
