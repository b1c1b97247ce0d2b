"""The one path that every trial takes: what is missing is packed into cohorts, trained, and recorded."""

from __future__ import annotations

import logging
import math
import re
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypedDict

import pandas as pd

from farback import bisection, devices, wiring
from farback.bisection import Bisection
from farback.checkpoints import Folder
from farback.component import UserError
from farback.estimate import Estimate, estimated, shares
from farback.executors import Executor
from farback.executors.opening import chosen, opened
from farback.experiment import Experiment
from farback.kernels.warming import used, warm
from farback.planning import Plan, Schedule, cost, plan
from farback.provenance import VERSIONS, deciding, versions
from farback.report.origins import made_with, origins
from farback.report.page import Page, Subject, write
from farback.report.standard import Ladder
from farback.sharing import Share
from farback.stores.base import Store
from farback.stores.opening import open_store
from farback.tasks.answers import Chance, skill
from farback.tasks.base import Task
from farback.train import train
from farback.trial import Cohort, Ended, Event, Failed, Finished, Progress, Reused, Stopped, Trial

POLL_SECONDS = 1.0  # between looks at what other drivers are doing
KIND = ("machine", "cpu", "cpu_capability", "blas", "device")  # of what trained; a processor's features fill a page


log = logging.getLogger("farback")


@dataclass(frozen=True)
class Summary:
    """What a run did: trials trained in it, found in the store (at first or later), diverged (a result), failed (tried
    again next time)."""

    trained: int = 0
    reused: int = 0
    diverged: int = 0
    failed: int = 0
    failures: tuple[Failed, ...] = field(default=(), compare=False)


class Made(TypedDict):
    """What `made_by` tells a page."""

    origins: str
    made_with: dict[str, str]


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


def outlook(experiment: Experiment, trials: Sequence[Trial], frame: pd.DataFrame, workers: int) -> Plan:
    """What a run would do, of which no store is told.

    Args:
        experiment: whose.
        trials: of the experiment, perhaps not all.
        frame: what the store holds.
        workers: how many processes would share the work.
    """
    return plan(trials, set(frame["key"]), workers, bisection=bisected(experiment, trials, frame))


def estimate(plan: Plan, executor: Executor, frame: pd.DataFrame, device: str) -> Estimate:
    """How long a plan takes on an executor and a device, given what a store holds of its trials and their repeats."""
    warm(used(trial.cell.kernel for trial in plan.missing))
    return estimated(plan, executor, shares(frame, plan.trials), device)


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
    wiring.check(config)
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


def publish(experiment: Experiment, store: Store) -> Page:
    """Write the experiment's folder under `results/` and its summary in the store, from what the store holds."""
    frame = store.frame(experiment.name)
    page = write(subject(experiment, store, frame), frame)
    if not (experiment.overrides or experiment.seeds_shifted):  # the summary in the store is of the config as it stands
        store.summarise(experiment.name, note=page.note, metrics=page.analysis.metrics, files=page.files)
    return page


def subject(experiment: Experiment, store: Store, frame: pd.DataFrame) -> Subject:
    """What the experiment's page is about.

    Args:
        experiment: a sweep.
        store: which knows what made its trials.
        frame: the store's, of the experiment.
    """
    trials = experiment.trials()
    tasks = {trial.task.name for trial in trials}
    ladder = ladder_of(trials[0].task) if len(tasks) == 1 else ()  # of one task: on two there is no common scale
    claims = () if experiment.overrides else experiment.claims  # they are about the config as it stands
    return Subject(
        name=experiment.name,
        question=experiment.question,
        config=typed(experiment),
        folder=folder(experiment),
        keys=tuple(trial.key for trial in trials),
        ladder=ladder,
        root=experiment.root,
        bisected=bisected(experiment, trials, frame).said(),
        claims=claims,
        missing=len(outlook(experiment, trials, frame, workers=1).needed()) if claims else 0,
        chance=chance_of(trials),
        config_text=experiment.text,
        **made_by(experiment, store, [trial.key for trial in trials]),
    )


def typed(experiment: Experiment) -> str:
    """The config as a person types it, with the options that made another experiment of it."""
    shift = [f"--shift-seeds {experiment.seeds_shifted}"] if experiment.seeds_shifted else []
    return " ".join([experiment.shown, *(f"--set {shlex.quote(text)}" for text in experiment.overrides), *shift])


def made_by(experiment: Experiment, store: Store, keys: Iterable[str]) -> Made:
    """What the page says of the versions and processors that made these trials, and whether they are all the same."""
    said = store.provenance(experiment.name)
    own = [said[key] for key in keys if key in said]
    return Made(
        origins=origins([deciding(each) for each in own], versions()), made_with=made_with(own, (*VERSIONS, *KIND))
    )


def checkpoints(experiment: Experiment, seconds: float | None = None) -> Folder:
    """The folder of an experiment's checkpoints, made as often as its config says, or every so many seconds."""
    return Folder.of(experiment.root, experiment.name, experiment.checkpoint_seconds if seconds is None else seconds)


def folder(experiment: Experiment) -> Path:
    """Where the page goes: `results/NAME`, or beside it where an option made another experiment of the config.

    Raises:
        UserError: it is a link, which leads to files that are not ours to replace. `results` itself may be one.
    """
    shift = [f"seeds-{experiment.seeds_shifted}"] if experiment.seeds_shifted else []
    settings = re.sub(r"[^\w.=-]+", "_", "-".join([*experiment.overrides, *shift]))[:100]
    path = experiment.root / "results" / (f"{experiment.name}--{settings}" if settings else experiment.name)
    if path.is_symlink():
        raise UserError(
            f"{path} is a link to {path.readlink()}, and a page is not written over what lies there: remove the link, "
            "or link results/ as a whole"
        )
    return path


def ladder_of(task: Task) -> Ladder:
    """What partial memory scores on a task, in skill."""
    chance = task.chance()
    return tuple((rung.remembered, skill(rung.loss, chance)) for rung in task.ladder())


def chance_of(trials: Iterable[Trial]) -> str:
    """What the best guess without memory scores on the tasks of these trials, in words."""
    scores: dict[str, list[Chance]] = {}
    for task in {trial.task.digest(): trial.task for trial in trials}.values():
        scores.setdefault(task.name, []).append(task.chance())
    said = []
    for name, found in scores.items():
        accuracy = between(one.accuracy for one in found)
        said.append(f"on {name} an accuracy of {accuracy} at a loss of {between(one.loss for one in found)}")
    return "; ".join(said)


def between(values: Iterable[float]) -> str:
    """One number, or the ends of a range."""
    low, *_, high = [*(ordered := sorted(values)), ordered[-1]]
    return f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"


PACE_SECONDS = 2.0  # of progress, before the time left is worth saying


class Tally:
    """Counts events as they come, and the time left."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.finished: dict[str, Finished] = {}
        self.failures: list[Failed] = []
        self.reused = plan.reused
        self.steps = {trial.key: max(1, trial.steps) for trial in plan.missing}  # a measurement is one
        self.done = {one.key: one.step for cohort in plan.cohorts for one in cohort.start}
        self.cost = {trial.key: cost(Cohort.of(trial)) for trial in plan.missing}
        self.moving: tuple[float, float] | None = None  # when the first progress came, and what was done then

    def add(self, event: Event) -> None:
        """Count one event."""
        self._count(event)
        if self.moving is None:
            self.moving = (time.monotonic(), self.share)

    def _count(self, event: Event) -> None:
        if isinstance(event, Finished):
            self.finished[event.key] = event
            self.done[event.key] = self.steps[event.key]
        elif isinstance(event, Failed):
            self.failures.append(event)
            self.done[event.key] = self.steps[event.key]
        elif isinstance(event, Stopped):
            self.done[event.key] = self.steps[event.key]
        elif isinstance(event, Reused):
            self.reused += 1
            self.done[event.key] = self.steps[event.key]
        else:  # what goes on from a checkpoint shows again what was before
            self.done[event.key] = max(event.step, self.done.get(event.key, 0))

    @property
    def share(self) -> float:
        """How much of the work is done, 0 to 1: of the most that there may be, where bisection picks the trials."""
        total = sum(self.cost[trial.key] for trial in self.plan.needed())
        done = sum(self.cost[key] * self.done[key] / self.steps[key] for key in self.done)
        return done / total if total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace since the first progress, for workers need seconds to start; None before there is a pace."""
        if self.moving is None:
            return None
        began, before = self.moving
        passed, made = time.monotonic() - began, self.share - before
        return passed / made * (1 - self.share) if made > 0 and passed >= PACE_SECONDS else None

    def summary(self) -> Summary:
        """The counts."""
        diverged = sum(event.result.status == "diverged" for event in self.finished.values())
        return Summary(len(self.finished), self.reused, diverged, len(self.failures), tuple(self.failures))
