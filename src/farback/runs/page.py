"""Write the page of an experiment from what the store holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import pandas as pd

from farback.experiment import Experiment
from farback.report.page import Page, Subject, write
from farback.report.provenance_note import made_with, origins
from farback.report.sweep_report import Ladder
from farback.runs.schedule import bisected, outlook
from farback.stores.base import Store
from farback.system.provenance import VERSIONS, deciding, versions
from farback.tasks.base import Task
from farback.tasks.support.answers import Chance, skill
from farback.trials.trial import Trial

KIND = ("machine", "cpu", "cpu_capability", "blas", "device")  # of what trained; a processor's features fill a page


class Made(TypedDict):
    """What `made_by` tells a page."""

    origins: str
    made_with: dict[str, str]


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
        config=experiment.arguments,
        folder=experiment.results_folder,
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


def made_by(experiment: Experiment, store: Store, keys: Iterable[str]) -> Made:
    """What the page says of the versions and processors that made these trials, and whether they are all the same."""
    said = store.provenance(experiment.name)
    own = [said[key] for key in keys if key in said]
    return Made(
        origins=origins([deciding(each) for each in own], versions()), made_with=made_with(own, (*VERSIONS, *KIND))
    )


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
