"""The one path that every trial takes: what is missing is packed into cohorts, trained, and recorded."""

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

from farback.executors import Executor, chosen, opened
from farback.experiment import Experiment
from farback.kernels.precompile import used, warm
from farback.runs import bisection, dead_axes
from farback.runs.estimate import Estimate, estimated, shares
from farback.runs.leased_work import Share
from farback.runs.progress import Summary, Tally
from farback.runs.schedule import Plan, Schedule, bisected, plan
from farback.stores import open_store
from farback.stores.base import Store
from farback.system import devices
from farback.training.checkpoint_folder import Folder
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Ended, Event, Progress
from farback.trials.trial import Trial

POLL_SECONDS = 1.0  # between looks at what other drivers are doing


log = logging.getLogger("farback")


def prepared(experiment: Experiment, trials: Sequence[Trial], store: Store, workers: int, folder: Folder) -> Plan:
    """Begin with an experiment: the store is told of its trials, and asked what is done.

    Args:
        experiment: whose.
        trials: of the experiment, perhaps not all.
        store: where they are recorded.
        workers: how many processes will share the work.
        folder: where checkpoints of earlier runs are.
    """
    store.begin(experiment.name, trials, question=experiment.question, config_text=experiment.text)
    done = store.finished([trial.key for trial in trials])
    folder.forget(folder.held() & done)  # a driver may be killed after it records a trial, and before it forgets this
    start = folder.load(trial for trial in trials if trial.key not in done)
    picked = bisected(experiment, trials, store.frame(experiment.name)) if experiment.brackets(trials) else None
    return plan(trials, done, workers, start, picked)


def estimate(plan: Plan, executor: Executor, frame: pd.DataFrame, device: str) -> Estimate:
    """How long a plan takes on an executor and a device, given what a store holds of its trials and their repeats."""
    warm(used(trial.cell.kernel for trial in plan.missing))
    return estimated(plan, executor, shares(frame, plan.trials), device)


def execute(
    plan: Plan,
    executor: Executor,
    store: Store,
    folder: Folder | None = None,
    device: str = devices.CPU,
    experiment: str = "",
) -> Iterator[Event]:
    """Train what is missing, or what bisection wants of it; every event is recorded before it is passed on.

    What another driver is at is left to it, and waited for when nothing else is left.

    Args:
        plan: what to train.
        executor: where.
        store: of what comes of it.
        folder: of checkpoints.
        device: what it trains on.
        experiment: whose trials bisection picks, to read what became of those that another driver trained.
    """
    executor.prepare(train, len(plan.cohorts))
    warm(used(trial.cell.kernel for trial in plan.missing))  # once, for all workers
    share, schedule, waited = Share(store, folder), Schedule(plan), False
    todo: Iterable[Cohort | None] = schedule
    while not executor.finishing:
        for event in recorded(todo, executor, share, device):
            schedule.learn(event)
            yield event
        reused = list(share.settled())
        if reused and plan.picked:
            schedule.recall(bisection.outcomes(store.frame(experiment)))
        yield from reused
        again = share.again()
        if not again and not schedule.waiting:
            return
        if again and not executor.finishing:
            if not waited:
                count = sum(len(cohort.trials) for cohort in again)
                log.warning("another driver is training %d trials: waiting for it to end, or to die", count)
            waited = True
            time.sleep(POLL_SECONDS)
        todo = chain(again, schedule)


def recorded(
    cohorts: Iterable[Cohort | None], executor: Executor, share: Share, device: str = devices.CPU
) -> Iterator[Event]:
    """Train cohorts, which may still be thought up while others train; every event is recorded, then passed on.

    Args:
        cohorts: what to train; None where there is nothing for now, but will be when something ends.
        executor: where.
        share: claims them, and has the store of what comes of it and the folder of checkpoints; without a folder
            there are none, but for those that an executor asks for. It keeps the cohorts that other drivers are at.
        device: what it trains on.
    """
    folder = share.folder
    work = partial(train, checkpoint_seconds=folder.seconds if folder else math.inf, device=device)
    curves = Curves()
    for cohort, event in executor.map(work, share.ours(cohorts)):
        new = curves.new(event)
        if new is None or not share.put(cohort, new):
            continue
        if folder:
            folder.put(new)
        yield new


class Curves:
    """What was shown of each trial that trains: one that goes on from a checkpoint shows all of it again."""

    def __init__(self) -> None:
        self.last: dict[str, dict[str, int]] = {}

    def new(self, event: Event) -> Event | None:
        """The event, less the points that were shown already; None where nothing is left."""
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
    """Train what the store does not hold of an experiment, going on where an earlier run was stopped.

    Args:
        experiment: a config, or the path of one.
        workers: processes of a pool; by default what the config's `executor:` says, else one for each core. 1 trains
            in this process.
        executor: where cohorts run, instead: `farback.executors.dask.Dask("tcp://...")`.
        store: a store or its URI; by default MLflow's environment variable, or a database under `results/`.
        checkpoint_seconds: between checkpoints; by default what the config says, else 60.
        device: cpu, cuda or cuda:N; by default what the config says, else cpu.

    Raises:
        ConfigError: the config has a mistake; nothing was trained.
        UserError: the device is not there.
    """
    config = experiment if isinstance(experiment, Experiment) else Experiment.load(experiment)
    where = devices.checked(device or config.device)
    dead_axes.check(config)
    executing = executor or opened(chosen(config.executor, workers=workers, device=where), config.root)
    with open_store(store, config.root) as recording, executing as running:
        folder = checkpoints(config, checkpoint_seconds)
        todo = prepared(config, config.trials(), recording, running.size, folder)
        tally = Tally(todo)
        for event in execute(todo, running, recording, folder, where, config.name):
            tally.add(event)
        return tally.summary()


def frame(name: str, store: Store | str | None = None) -> pd.DataFrame:
    """The tidy scores of every finished trial of an experiment, one row per (trial, measure, step, lag, statistic).

    Args:
        name: the experiment's.
        store: a store or its URI; by default MLflow's environment variable, or the database below this directory.
    """
    with open_store(store, Path.cwd()) as opened:
        return opened.frame(name)


def checkpoints(experiment: Experiment, seconds: float | None = None) -> Folder:
    """The folder of an experiment's checkpoints, made as often as its config says, or every so many seconds."""
    return Folder.of(experiment.root, experiment.name, experiment.checkpoint_seconds if seconds is None else seconds)
