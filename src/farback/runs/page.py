"""Write the page of an experiment from what the store holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import pandas as pd

from farback.experiment import Sweep
from farback.report.page import Page, Subject, write
from farback.report.provenance_note import made_with, origins
from farback.report.sweep_report import Ladder
from farback.runs.schedule import remaining_beside
from farback.stores.base import Store
from farback.system.provenance import VERSIONS, deciding, versions
from farback.tasks.base import Task
from farback.tasks.support.answers import Chance, skill
from farback.trials.trial import Trial

KIND = ("machine", "cpu", "cpu_capability", "blas", "device")  # of what trained; a processor's features fill a page


class Made(TypedDict):
    """The part of a `Subject` that `made_by` finds."""

    origins: str
    made_with: dict[str, str]


def publish(sweep: Sweep, store: Store) -> Page:
    """Write the sweep's folder under `results/` and its summary in the store, from what the store holds."""
    frame = store.frame(sweep.name)
    return publish_from(sweep, store, frame, subject(sweep, store, frame))


def publish_from(sweep: Sweep, store: Store, frame: pd.DataFrame, about: Subject) -> Page:
    """The same from a frame that was read before."""
    page = write(about, frame)
    if not (sweep.overrides or sweep.seeds_shifted):  # the summary in the store is of the unchanged config
        store.summarise(sweep.name, note=page.note, metrics=page.analysis.metrics, files=page.files)
    return page


def subject(sweep: Sweep, store: Store, frame: pd.DataFrame) -> Subject:
    """What the sweep's page is about.

    Args:
        sweep: the sweep.
        store: for what made its trials.
        frame: the store's, of the sweep.
    """
    trials = sweep.trials()
    what = remaining_beside(frame, sweep, trials)
    tasks = {trial.task.name for trial in trials}
    ladder = ladder_of(trials[0].task) if len(tasks) == 1 else ()  # two tasks have no common scale
    claims = () if sweep.overrides else sweep.claims  # they are about the unchanged config
    return Subject(
        name=sweep.name,
        question=sweep.question,
        config=sweep.arguments,
        folder=sweep.results_folder,
        keys=tuple(trial.key for trial in trials),
        ladder=ladder,
        root=sweep.root,
        bisected=what.bisection.said(),
        claims=claims,
        missing=len(what.needed()),
        chance=chance_of(trials),
        config_text=sweep.text,
        **made_by(sweep.name, store, [trial.key for trial in trials]),
    )


def made_by(experiment: str, store: Store, keys: Iterable[str]) -> Made:
    """The versions and processors that made these trials of an experiment, and whether they are all the same."""
    provenance = store.provenance(experiment)
    own = [provenance[key] for key in keys if key in provenance]
    return Made(
        origins=origins([deciding(each) for each in own], versions()), made_with=made_with(own, (*VERSIONS, *KIND))
    )


def ladder_of(task: Task) -> Ladder:
    """The skill of partial memory on a task."""
    chance = task.chance()
    return tuple((rung.remembered, skill(rung.loss, chance)) for rung in task.ladder())


def chance_of(trials: Iterable[Trial]) -> str:
    """The score of the best guess without memory on the tasks of these trials, in words."""
    scores: dict[str, list[Chance]] = {}
    for task in {trial.task.digest(): trial.task for trial in trials}.values():
        scores.setdefault(task.name, []).append(task.chance())
    texts = []
    for name, found in scores.items():
        accuracy = between(one.accuracy for one in found)
        texts.append(f"on {name} an accuracy of {accuracy} at a loss of {between(one.loss for one in found)}")
    return "; ".join(texts)


def between(values: Iterable[float]) -> str:
    """One number, or the ends of a range."""
    low, *_, high = [*(ordered := sorted(values)), ordered[-1]]
    return f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
