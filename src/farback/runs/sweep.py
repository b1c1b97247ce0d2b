"""Trains a sweep: the trials without a result are packed into cohorts, trained and recorded."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Self

from farback.executors import Executor
from farback.experiment import Experiment, Sweep
from farback.records.counted_nouns import counted
from farback.records.user_error import UserError
from farback.runs.leased_work import LeasedWork
from farback.runs.network_search import outcomes
from farback.runs.progress import Lines, Summary, Tally
from farback.runs.schedule import Plan, Schedule, is_finished, missing_from_store, plan
from farback.runs.session import RunOptions, Session, load, open_session
from farback.stores.base import Recorder, Store
from farback.system import devices
from farback.trials.cohort import Cohort
from farback.trials.events import Ended, Event, Progress
from farback.trials.trial import Trial

POLL_SECONDS = 1.0  # between checks of what other drivers have finished

log = logging.getLogger("farback")


class SweepRun:
    """Trains trials of a sweep in an open session: holds their plan and, as a context manager, records them.

    Attributes:
        is_finished: nothing is to be trained or ended.
    """

    def __init__(self, session: Session, sweep: Sweep, trials: Sequence[Trial]) -> None:
        self.session, self.sweep, self.trials = session, sweep, trials
        self.folder = session.checkpoints(sweep)
        known = session.finished.get(sweep.name) if len(trials) == len(sweep.trials()) else None
        what = known or missing_from_store(session.store, sweep, trials)
        self.is_finished = known is not None or is_finished(session.store, sweep, what)
        due = what.due()
        ended = {trial.key for trial in what.trials} - {trial.key for trial in due}
        self.folder.forget(self.folder.keys() & ended)  # left by a killed driver
        start = self.folder.load(due)
        self.plan: Plan = plan(what, session.executor.size, start)

    def __enter__(self) -> Self:
        sweep, store = self.sweep, self.session.store
        self.recorder = store.begin(
            sweep.name, self.plan.remaining.trials, question=sweep.question, config_text=sweep.text
        )
        self.work = LeasedWork(store, sweep.name, self.recorder.__enter__(), self.folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.recorder.__exit__(kind, *error)

    def events(self) -> Iterator[Event]:
        """Train the remaining trials. Each event is recorded before it is yielded."""
        memory = self.sweep.memory_bytes
        return execute(self.plan, self.session.executor, self.work, self.session.device, memory)


def execute(
    plan: Plan, executor: Executor, work: LeasedWork, device: str = devices.CPU, memory: int | None = None
) -> Generator[Event, None, None]:
    """Train a plan. Each event is recorded before it is yielded.

    Trials that another driver is training are left to it. When nothing else is left, this waits for that driver.
    `memory` as of `farback.training.loop.train`.
    """
    from farback.kernels.precompile import precompile  # numba takes a while to import
    from farback.training.loop import train

    executor.prepare(train, len(plan.cohorts))
    precompile(trial.cell.kernel for trial in plan.remaining.due())  # compile once for all workers
    schedule, waited = Schedule(plan), False
    todo: Iterable[Cohort | None] = announced(schedule, work.recorder)
    while not executor.finishing:
        for event in trained(todo, executor, work, device, memory):
            schedule.update(event)
            yield event
        reused = list(work.finished_elsewhere())
        if reused and plan.remaining.is_adaptive:
            schedule.add_outcomes(outcomes(work.store.frame(work.experiment)))
        yield from reused
        again = work.retry()
        if not again and not schedule.waiting:
            return
        if again and not executor.finishing:
            if not waited:
                count = sum(len(cohort.trials) for cohort in again)
                log.warning("another driver is training the last %d trials: waiting until it finishes or dies", count)
            waited = True
            time.sleep(POLL_SECONDS)
        todo = chain(again, announced(schedule, work.recorder))


def announced(cohorts: Iterable[Cohort | None], recorder: Recorder) -> Iterator[Cohort | None]:
    """The cohorts, after the trials that were chosen during the run were announced to the recorder."""
    for cohort in cohorts:
        if cohort is not None and (chosen := [trial for trial in cohort.trials if trial.role]):
            recorder.add(chosen)
        yield cohort


def trained(
    cohorts: Iterable[Cohort | None],
    executor: Executor,
    work: LeasedWork,
    device: str = devices.CPU,
    memory: int | None = None,
) -> Iterator[Event]:
    """Train cohorts. Each event is recorded before it is yielded.

    `cohorts` may be a generator: None from it means that the next cohort depends on trials in training.
    """
    from farback.training.loop import train

    folder = work.folder
    seconds, rates = (folder.seconds, folder.rates) if folder else (math.inf, None)
    function = partial(train, checkpoint_seconds=seconds, device=device, memory=memory, kept_rates=rates)
    curves = _Curves()
    for _, event in executor.map(function, work.leased(cohorts)):
        new = curves.new(event)
        if new is None:
            continue
        work.put(new)
        if folder:
            folder.put(new)
        yield new


class _Curves:
    """The last step of each curve. A trial that resumes from a checkpoint repeats its progress from the start."""

    def __init__(self) -> None:
        self.last: dict[str, dict[str, int]] = {}

    def new(self, event: Event) -> Event | None:
        """The event without points that were passed on before; None if nothing remains."""
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
    progress: bool = True,
) -> Summary:
    """Train the trials of a sweep that have no result in the store. Resumes where an earlier run was stopped.

    Args:
        experiment: a sweep, or the path or name of its config.
        workers: processes of the pool; default: the config's `executor:`, else one per core. 1 trains in this process.
        executor: an executor to use instead, such as `farback.executors.dask.Dask("tcp://...")`.
        store: a store or its URI; default: MLFLOW_TRACKING_URI, else a database in `results/`.
        checkpoint_seconds: seconds between checkpoints; default: the config's, else 60.
        device: cpu, cuda or cuda:N; default: the config's, else cpu.
        progress: print to stderr what there is to train, and every ten seconds how much is done.

    Raises:
        ConfigError: the config has a mistake; nothing was trained.
        UserError: there is no such config, it is a search, or the device does not exist.
    """
    sweep = checked_sweep(load(experiment))
    options = RunOptions(workers, executor, None, store, None, checkpoint_seconds, device)
    with open_session([sweep], options) as session:
        sweep_run = SweepRun(session, sweep, sweep.trials())
        tally, lines, what = Tally(sweep_run.plan), Lines(progress), sweep_run.plan.remaining
        lines.say(f"{sweep.name}: {counted(what.amount, 'trial')} to train, {what.reused} recorded already")
        if not sweep_run.is_finished:
            with sweep_run:
                for event in sweep_run.events():
                    tally.add(event)
                    lines.update(tally.line)
        return tally.summary()


def checked_sweep(experiment: Experiment) -> Sweep:
    """The experiment, which must be a sweep. Raises UserError: it is a search."""
    if not isinstance(experiment, Sweep):
        raise UserError(f"{experiment.shown} is a search: run it with `farback search {experiment.name}`")
    return experiment
