"""The one path that every trial takes: what is missing is packed into cohorts, trained, and recorded."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from farback.executors import Executor, Pool, Serial
from farback.executors.pool import cores
from farback.experiment import ConfigError, Experiment, Problem
from farback.footprint import fitting, too_large
from farback.kernels.warming import PRODUCT, warm
from farback.report.page import Page, Subject, write
from farback.report.standard import Ladder
from farback.stores.base import Store
from farback.stores.opening import open_store
from farback.tasks.answers import skill
from farback.tasks.base import Task
from farback.train import fingerprint, seconds_per_update, train
from farback.trial import Event, Failed, Finished, Stopped, Trial, cohorts

WIDTH = 10  # replicas of a cohort at most: beyond it one more costs as much as one alone, and cores may stand idle


@dataclass(frozen=True)
class Summary:
    """What a run did: trials trained in it, found in the store, diverged (a result), failed (tried again next time)."""

    trained: int = 0
    reused: int = 0
    diverged: int = 0
    failed: int = 0
    failures: tuple[Failed, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    trials: list[Trial]
    missing: list[Trial]
    cohorts: list[list[Trial]]

    @property
    def reused(self) -> int:
        """Trials that the store already holds."""
        return len(self.trials) - len(self.missing)

    def seconds(self, workers: int) -> float:
        """Time it would take if no trial stopped early, from a few timed updates of each kind of cohort."""
        timed: dict[tuple[str, int], float] = {}
        total, longest = 0.0, 0.0
        for cohort in self.cohorts:
            kind = (cohort[0].shape, len(cohort))
            if kind not in timed:
                timed[kind] = seconds_per_update(cohort)
            own = timed[kind] * cohort[0].steps
            total, longest = total + own, max(longest, own)
        return max(total / workers, longest)


def plan(trials: Sequence[Trial], done: Collection[str], workers: int = 1) -> Plan:
    """Subtract what is done, and pack the rest.

    Args:
        trials: what is wanted.
        done: keys that the store holds.
        workers: how many processes will share the work: cohorts are made narrower rather than leave one idle.
    """
    missing = [trial for trial in trials if trial.key not in done]
    packs = [part for pack in cohorts(missing, WIDTH) for part in fitting(pack, workers)]
    while len(packs) < 2 * workers and any(len(pack) > 1 for pack in packs):
        packs.sort(key=len)
        widest = packs.pop()
        packs += [widest[: len(widest) // 2], widest[len(widest) // 2 :]]
    return Plan(list(trials), missing, sorted(packs, key=_cost, reverse=True))


def _cost(cohort: Sequence[Trial]) -> float:
    """Roughly the work in a cohort: the longest go first, so that no core is left with a long one at the end."""
    trial = cohort[0]
    per_step = trial.depth * len(trial.cell.gates) * (1 + trial.hidden / 32)
    return float(len(cohort) * (trial.lag + 1) * per_step * trial.steps)


def execute(plan: Plan, executor: Executor, store: Store) -> Iterator[Event]:
    """Train what is missing; every event is recorded before it is passed on."""
    warm(sorted({trial.cell.kernel or PRODUCT for trial in plan.missing} | {PRODUCT}))  # once, for all workers
    yield from recorded(plan.cohorts, executor, store)


def recorded(cohorts: Iterable[list[Trial]], executor: Executor, store: Store) -> Iterator[Event]:
    """Train cohorts, which may still be thought up while others train; every event is recorded, then passed on."""
    for _, event in executor.map(train, cohorts):
        store.put(event)
        yield event


def run(
    experiment: Experiment | str | Path,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    store: Store | str | None = None,
) -> Summary:
    """Train what the store does not hold of an experiment.

    Args:
        experiment: a config, or the path of one.
        workers: processes; by default one for each core. 1 trains in this process.
        executor: where cohorts run, instead of `workers`.
        store: a store or its URI; by default MLflow's environment variable, or a database under `results/`.

    Raises:
        ConfigError: the config has a mistake; nothing was trained.
    """
    config = experiment if isinstance(experiment, Experiment) else Experiment.load(experiment)
    check_wiring(config)
    count = cores() if workers is None else workers
    with open_store(store, config.root) as opened, executor or pool(count) as running:
        trials = config.trials()
        opened.begin(config.name, trials, question=config.question, config_text=config.text)
        todo = plan(trials, opened.finished([trial.key for trial in trials]), count)
        tally = Tally(todo)
        for event in execute(todo, running, opened):
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
    trials = experiment.trials()
    tasks = {trial.task.name for trial in trials}
    ladder = ladder_of(trials[0].task) if len(tasks) == 1 else ()  # of one task: on two there is no common scale
    subject = Subject(
        name=experiment.name,
        question=experiment.question,
        config=" ".join([experiment.shown, *(f"--set {shlex.quote(text)}" for text in experiment.overrides)]),
        folder=folder(experiment),
        keys=tuple(trial.key for trial in trials),
        ladder=ladder,
        root=experiment.root,
    )
    page = write(subject, store.frame(experiment.name))
    if not experiment.overrides:  # the summary in the store is of the config as it stands
        store.summarise(experiment.name, note=page.note, metrics=page.analysis.metrics, files=page.files)
    return page


def folder(experiment: Experiment) -> Path:
    """Where the page goes: `results/NAME`, or beside it where `--set` made another experiment of the config."""
    settings = re.sub(r"[^\w.=-]+", "_", "-".join(experiment.overrides))[:100]
    return experiment.root / "results" / (f"{experiment.name}--{settings}" if settings else experiment.name)


def ladder_of(task: Task) -> Ladder:
    """What partial memory scores on a task, in skill."""
    chance = task.chance()
    return tuple((rung.remembered, skill(rung.loss, chance)) for rung in task.ladder())


def pool(workers: int) -> Executor:
    """The executor for a number of processes."""
    return Serial() if workers == 1 else Pool(workers)


class Tally:
    """Counts events as they come, and the time left."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.started = time.monotonic()
        self.finished: dict[str, Finished] = {}
        self.failures: list[Failed] = []
        self.steps = {trial.key: trial.steps for trial in plan.missing}
        self.done: dict[str, int] = {}
        self.cost = {trial.key: _cost([trial]) for trial in plan.missing}

    def add(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, Finished):
            self.finished[event.key] = event
            self.done[event.key] = self.steps[event.key]
        elif isinstance(event, Failed):
            self.failures.append(event)
            self.done[event.key] = self.steps[event.key]
        elif isinstance(event, Stopped):
            self.done[event.key] = self.steps[event.key]
        else:
            self.done[event.key] = event.step

    @property
    def share(self) -> float:
        """How much of the work is done, 0 to 1."""
        total = sum(self.cost.values())
        done = sum(self.cost[key] * self.done[key] / max(1, self.steps[key]) for key in self.done)
        return done / total if total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before there is one."""
        share = self.share
        passed = time.monotonic() - self.started
        return passed / share * (1 - share) if share > 0 else None

    def summary(self) -> Summary:
        """The counts."""
        diverged = sum(event.result.status == "diverged" for event in self.finished.values())
        return Summary(len(self.finished), self.plan.reused, diverged, len(self.failures), tuple(self.failures))


# Fields that act only after the first update, so that step 0 cannot show them.
LATER = ("optimizer", "clip", "steps", "evaluate_every", "stop", "measures")


def check_wiring(experiment: Experiment) -> None:
    """Refuse what does not fit into memory, and an axis two of whose levels train the same network on the same data.

    For each axis, the trials that differ in it alone are compared at step 0: weights, data and loss.

    Raises:
        ConfigError: naming the trial and the numbers, or the axis and the levels.
    """
    problems = []
    found = experiment.contrasts()
    every = [trial for _, _, trials in found for trial in trials] if experiment.search else experiment.trials()
    if large := too_large(every):
        raise ConfigError([Problem(experiment.shown, "", large)])
    for axis, where, trials in found:
        if all(path.split(".")[0] in LATER for path in axis.split(" + ")):  # paths that are zipped are one axis
            continue
        seen: dict[bytes, Trial] = {}
        for trial in trials:
            print_of = fingerprint(trial)
            if print_of in seen:
                two = _two(axis, seen[print_of], trial)
                message = f"this axis changes nothing here: {two} are the same network on the same data"
                problems.append(Problem(where, axis, message))
                break
            seen[print_of] = trial
    if problems:
        raise ConfigError(problems)


def _two(axis: str, first: Trial, second: Trial) -> str:
    values = [trial.parameters().get(axis, trial.columns().get(axis)) for trial in (first, second)]
    return f"{values[0]!r} and {values[1]!r}" if values[0] != values[1] else f"trials {first.key} and {second.key}"
