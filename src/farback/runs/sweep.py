"""Runs a sweep: what is missing is packed into cohorts, trained, and recorded."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import pandas as pd

from farback.executors import Executor
from farback.experiment import Experiment, Sweep
from farback.kernels.precompile import precompile
from farback.records.record import UserError
from farback.runs.bisection import outcomes
from farback.runs.leased_work import LeasedWork
from farback.runs.progress import Summary, Tally
from farback.runs.schedule import Plan, Schedule, plan, remaining_in
from farback.runs.session import Options, Session, open_session
from farback.stores import open_store
from farback.stores.base import Store
from farback.system import devices
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Ended, Event, Progress
from farback.trials.trial import Trial

POLL_SECONDS = 1.0  # between looks at what other drivers are doing

log = logging.getLogger("farback")


class SweepRun:
    """One run of a sweep in an open session: a plan, and the events of carrying it out.

    Args:
        session: store, executor and device.
        sweep: whose trials.
        trials: of the sweep, perhaps not all.
    """

    def __init__(self, session: Session, sweep: Sweep, trials: Sequence[Trial]) -> None:
        self.session, self.sweep = session, sweep
        self.folder = session.checkpoints(sweep)
        what = remaining_in(session.store, sweep, trials)
        missing = {trial.key for trial in what.missing}
        self.folder.forget(self.folder.held() & {trial.key for trial in trials} - missing)  # left by a killed driver
        start = self.folder.load(trial for trial in trials if trial.key in missing)
        self.plan: Plan = plan(what, session.executor.size, start)
        self.trials = trials

    def events(self) -> Iterator[Event]:
        """Train what is missing; every event is recorded before it is passed on."""
        session, sweep = self.session, self.sweep
        with session.store.begin(sweep.name, self.trials, question=sweep.question, config_text=sweep.text) as recorder:
            work = LeasedWork(session.store, sweep.name, recorder, self.folder)
            yield from execute(self.plan, session.executor, work, session.device)


def execute(plan: Plan, executor: Executor, work: LeasedWork, device: str = devices.CPU) -> Iterator[Event]:
    """Train a plan; every event is recorded before it is passed on.

    Trials that another driver trains are left to it, and waited for when nothing else is left.

    Args:
        plan: what to train.
        executor: where.
        work: leases and records trials.
        device: that they train on.
    """
    executor.prepare(train, len(plan.cohorts))
    precompile(trial.cell.kernel for trial in plan.remaining.missing)  # once, for all workers
    schedule, waited = Schedule(plan), False
    todo: Iterable[Cohort | None] = schedule
    while not executor.finishing:
        for event in trained(todo, executor, work, device):
            schedule.update(event)
            yield event
        reused = list(work.finished_elsewhere())
        if reused and plan.remaining.picked:
            schedule.recall(outcomes(work.store.frame(work.experiment)))
        yield from reused
        again = work.retry()
        if not again and not schedule.waiting:
            return
        if again and not executor.finishing:
            if not waited:
                count = sum(len(cohort.trials) for cohort in again)
                log.warning("another driver is training %d trials: waiting until it has finished or died", count)
            waited = True
            time.sleep(POLL_SECONDS)
        todo = chain(again, schedule)


def trained(
    cohorts: Iterable[Cohort | None], executor: Executor, work: LeasedWork, device: str = devices.CPU
) -> Iterator[Event]:
    """Train cohorts, which may be made while others train; every event is recorded, then passed on.

    Args:
        cohorts: what to train; None where there is nothing until something ends.
        executor: where.
        work: leases and records trials.
        device: that they train on.
    """
    folder = work.folder
    function = partial(train, checkpoint_seconds=folder.seconds if folder else math.inf, device=device)
    curves = _Curves()
    for _, event in executor.map(function, work.ours(cohorts)):
        new = curves.new(event)
        if new is None:
            continue
        work.put(new)
        if folder:
            folder.put(new)
        yield new


class _Curves:
    """The last step of each curve: a trial that resumes from a checkpoint repeats its progress from the start."""

    def __init__(self) -> None:
        self.last: dict[str, dict[str, int]] = {}

    def new(self, event: Event) -> Event | None:
        """The event without the points that were passed on before; None where nothing is left."""
        if isinstance(event, Ended):
            self.last.pop(event.key, None)
        if not isinstance(event, Progress):
            return event
        last = self.last.setdefault(event.key, {})
        metrics = {name: value for name, value in event.metrics.items() if event.step > last.get(name, -1)}
        last.update(dict.fromkeys(metrics, event.step))
        return replace(event, metrics=metrics) if metrics else None


def run(
    experiment: Experiment | str | Path,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    store: Store | str | None = None,
    checkpoint_seconds: float | None = None,
    device: str | None = None,
) -> Summary:
    """Train what the store does not hold of a sweep, resuming where an earlier run was stopped.

    Args:
        experiment: a sweep, or the path of its config.
        workers: processes of a pool; by default what the config's `executor:` says, else one for each core. 1 trains
            in this process.
        executor: where cohorts run, instead: `farback.executors.dask.Dask("tcp://...")`.
        store: a store or its URI; by default MLFLOW_TRACKING_URI, else a database below `results/`.
        checkpoint_seconds: between checkpoints; by default what the config says, else 60.
        device: cpu, cuda or cuda:N; by default what the config says, else cpu.

    Raises:
        ConfigError: the config has a mistake; nothing was trained.
        UserError: the config is a search, or the device is not there.
    """
    sweep = checked_sweep(experiment if isinstance(experiment, Experiment) else Experiment.load(experiment))
    options = Options(workers, executor, None, store, None, checkpoint_seconds, device)
    with open_session([sweep], options) as session:
        this = SweepRun(session, sweep, sweep.trials())
        tally = Tally(this.plan)
        for event in this.events():
            tally.add(event)
        return tally.summary()


def checked_sweep(experiment: Experiment) -> Sweep:
    """An experiment, if it is a sweep.

    Raises:
        UserError: it is a search.
    """
    if not isinstance(experiment, Sweep):
        raise UserError(f"{experiment.shown} is a search: run it with `farback search {experiment.name}`")
    return experiment


def frame(name: str, store: Store | str | None = None) -> pd.DataFrame:
    """The tidy scores of every finished trial of an experiment, one row per (trial, measure, step, lag, statistic).

    Args:
        name: the experiment's.
        store: a store or its URI; by default MLFLOW_TRACKING_URI, else the database below this directory.
    """
    with open_store(store, Path.cwd()) as opened:
        return opened.frame(name)
