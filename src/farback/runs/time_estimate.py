"""How long a plan takes: time a few updates of some of its cohorts on its executor, then add up all cohorts.

Cohorts of a kind differ in their lag and in the number of their replicas. Of each kind the cohort with the least and
the one with the most work are timed, if no earlier run on this machine trained one like it; the seconds of the others
lie on lines between those that are known.
"""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from farback.executors import Executor
from farback.kernels.precompile import precompile
from farback.runs.schedule import Plan
from farback.system.arithmetic import arithmetic
from farback.training.cohort_width import packed, share_bytes
from farback.training.rates import CohortSeconds, Size, Stopwatch, kept, kind
from farback.training.replicas import Replicas
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Failed, Progress
from farback.trials.trial import Trial

FEWEST, MOST, SECONDS = 3, 9, 0.2  # updates to time per kind: more than 3 only until 0.2 s have passed
STARTUP = 3.0  # seconds until workers train, where none was started for the estimate
EARLY_SHARE = 0.7  # share of its updates that a trial with early stopping is expected to need: between 0.5 and 1


@dataclass(frozen=True)
class Estimate:
    """Seconds for a plan: the expected number, and the most, which it takes if no trial stops early."""

    expected: float
    most: float


def estimate(plan: Plan, executor: Executor, frame: pd.DataFrame, device: str, rates: Path | None = None) -> Estimate:
    """Estimate how long a plan with at least one cohort takes on an executor.

    The finished trials in the store's `frame` show how early other trials of their groups will stop. Cohorts like those
    of earlier runs, which are in the folder `rates`, are not timed.
    """
    what, function = plan.remaining, partial(timed, device=device)
    known = _known(plan.cohorts, rates, device)
    if not all(known.values()):
        executor.prepare(function, 2 * len(known))  # workers start while this process goes on
    precompile(trial.cell.kernel for trial in what.due())
    shares = update_shares(frame, what.trials)
    start = {one.key: one for cohort in plan.cohorts for one in cohort.start}
    listed = dict.fromkeys(what.listed, EARLY_SHARE)
    expected, longest = (
        [(cohort, batch) for batch in [listed | first, *others] for cohort in packed(batch, plan.workers, start)]
        for first, *others in (what.adaptive.simulated(longest) or [{}] for longest in (False, True))
    )
    cohorts = [cohort for cohort, _ in [*expected, *longest]]
    known |= _known([cohort for cohort in cohorts if kind(cohort.trials[0]) not in known], rates, device)
    began, startup = time.monotonic(), None
    for cohort, event in executor.map(function, _to_time(cohorts, known)):
        if isinstance(event, Failed):
            raise RuntimeError(f"{event.error}\n{event.traceback}")
        if isinstance(event, Progress):
            if startup is None:  # workers need seconds to start
                startup = max(0.0, time.monotonic() - began - event.metrics["all"])
            parts = {name: value for name, value in event.metrics.items() if name != "all"}
            known[kind(cohort.trials[0])][Size.of(cohort)] = CohortSeconds(**parts)

    def total(cohort: Cohort, share: float) -> float:
        return between(known[kind(cohort.trials[0])], cohort).total(cohort, share)

    usual = (total(cohort, _share(cohort, shares, batch)) for cohort, batch in expected)
    most = (total(cohort, 1.0) for cohort, _ in longest)
    first = STARTUP if startup is None else startup
    return Estimate(makespan(usual, plan.workers) + first, makespan(most, plan.workers) + first)


def _known(cohorts: Iterable[Cohort], rates: Path | None, device: str) -> dict[str, dict[Size, CohortSeconds]]:
    """What earlier runs kept of each kind among these cohorts."""
    kinds = {kind(cohort.trials[0]): cohort.trials[0] for cohort in cohorts}
    return {name: kept(rates, trial, device) if rates else {} for name, trial in kinds.items()}


def between(known: Mapping[Size, CohortSeconds], cohort: Cohort) -> CohortSeconds:
    """The seconds of a cohort on the lines between known cohorts of its kind.

    `begin` and `update` grow with the steps of all replicas together, the others with those of one.
    """

    def at(name: str, amount: Callable[[Size], int]) -> float:
        by_amount = sorted((amount(size), getattr(seconds, name)) for size, seconds in known.items())
        amounts, values = zip(*by_amount, strict=True)
        return float(np.interp(amount(Size.of(cohort)), amounts, values))

    every, one = {"begin", "update"}, {"evaluation", "start", "way", "end"}
    values = {name: at(name, lambda size: size.work) for name in every}
    return CohortSeconds(**values | {name: at(name, lambda size: size.steps) for name in one})


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
    watch, began = Stopwatch(), time.perf_counter()
    with arithmetic():
        with watch.part("begin"):
            replicas = Replicas(cohort.trials, device, share_bytes())
        if replicas.trial.steps:
            watch.add("update", _update_seconds(replicas))
        with watch.part("evaluation"):
            replicas.validated(0)
        for measure in replicas.trial.measures:
            with watch.part(measure.name):
                replicas.measured(measure, [0])
    parts = watch.seconds(replicas.trial)
    assert parts is not None  # each part was timed
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


def _to_time(cohorts: Iterable[Cohort], known: Mapping[str, Mapping[Size, CohortSeconds]]) -> list[Cohort]:
    """Of each kind, the cohort with the least and the one with the most work, unless one like it is known."""
    kinds: dict[str, list[Cohort]] = {}
    for cohort in cohorts:
        kinds.setdefault(kind(cohort.trials[0]), []).append(cohort)
    ends = [{_work(end): end for end in (max(some, key=_work), min(some, key=_work))} for some in kinds.values()]
    return [
        cohort
        for name, own in zip(kinds, ends, strict=True)
        for _, cohort in sorted(own.items())
        if not any(size.is_like(Size.of(cohort)) for size in known[name])
    ]


def _work(cohort: Cohort) -> int:
    return Size.of(cohort).work


def _share(cohort: Cohort, known: Mapping[str, float], assumed: Mapping[Trial, float]) -> float:
    """The mean share of their updates that the trials of a cohort will need."""
    if cohort.trials[0].stop == "never":
        return 1.0
    return statistics.fmean(known.get(trial.group, assumed[trial]) for trial in cohort.trials)
