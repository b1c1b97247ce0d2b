"""Writes the page of a sweep from what the store holds."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from farback.experiment import Experiment, Sweep
from farback.report import provenance_note
from farback.report.page import Page, Subject, write
from farback.report.sweep_report import Ladder
from farback.runs.schedule import Remaining, missing_from_frame
from farback.stores.base import Store
from farback.system.provenance import OWN_FILES, VERSIONS, deciding, versions
from farback.tasks.base import Task
from farback.tasks.support.answers import Chance, OneOf, skill
from farback.trials.trial import Trial

HARDWARE = ("machine", "cpu", "cpu_capability", "blas", "device")  # without the processor's long list of features


def publish(
    sweep: Sweep, store: Store, frame: pd.DataFrame | None = None, about: Subject | None = None, keep: bool = False
) -> Page:
    """Write the sweep's folder in `results/` and its summary in the store. Reads `frame` and `about` if not given.

    `keep` as of `farback.report.page.write`.
    """
    frame = store.frame(sweep.name) if frame is None else frame
    page = write(about or subject(sweep, store, frame), frame, keep)
    summarise(sweep, store, page)
    return page


def summarise(experiment: Experiment, store: Store, page: Page) -> None:
    """Write a page's summary in the store, where it describes the unchanged config."""
    if experiment.overrides or experiment.seeds_shifted:
        return
    store.summarise(
        experiment.name,
        note=page.note,
        metrics=page.analysis.metrics,
        tags=page.analysis.tags,
        files=page.files,
        question=experiment.question,
        config_text=experiment.text,
    )


def subject(sweep: Sweep, store: Store, frame: pd.DataFrame, what: Remaining | None = None) -> Subject:
    """What the sweep's page is about; `frame` is the store's frame of the sweep, `what` its trials if known."""
    what = what or missing_from_frame(frame, sweep, sweep.trials())
    trials = what.trials
    tasks = {trial.task.name for trial in trials}
    ladder = task_ladder(trials[0].task) if len(tasks) == 1 else ()  # several tasks have no common scale
    claims = () if sweep.overrides else sweep.claims  # claims are about the unchanged config
    keys = tuple(trial.key for trial in trials)
    origins, made_with = trial_provenance(sweep.name, store, keys)
    return Subject(
        name=sweep.name,
        question=sweep.question,
        config=sweep.arguments,
        folder=sweep.results_folder,
        keys=keys,
        ladder=ladder,
        root=sweep.root,
        chosen=what.adaptive.note(),
        roles=what.roles,
        claims=claims,
        missing=len(what.due()),
        chance=chance_text(trials),
        data=data_text(trials),
        config_text=sweep.text,
        origins=origins,
        made_with=made_with,
    )


def trial_provenance(experiment: str, store: Store, keys: Iterable[str]) -> tuple[str, dict[str, str]]:
    """A note if these trials were made with different software or hardware (else empty), and their versions."""
    recorded = store.provenance(experiment)
    own = [recorded[key] for key in keys if key in recorded]
    origins = provenance_note.origins([deciding(each) for each in own], versions())
    return origins, provenance_note.made_with(own, (*VERSIONS, OWN_FILES, *HARDWARE))


def task_ladder(task: Task) -> Ladder:
    """What each partial memory of a task remembers, and how far it is above chance (`tables.retention_curves`)."""
    chance = task.chance()
    by_accuracy = isinstance(task.answer, OneOf)
    return tuple(
        (
            rung.remembered,
            (rung.accuracy - chance.accuracy) / (1 - chance.accuracy) if by_accuracy else skill(rung.loss, chance),
        )
        for rung in task.ladder()
    )


def chance_text(trials: Iterable[Trial]) -> str:
    """The accuracy and loss of the best guess without memory, for each task of these trials."""
    chances: dict[str, list[Chance]] = {}
    for task in {trial.task.digest(): trial.task for trial in trials}.values():
        chances.setdefault(task.name, []).append(task.chance())
    texts = []
    for name, own in chances.items():
        accuracy, loss = _range([one.accuracy for one in own]), _range([one.loss for one in own])
        texts.append(f"on {name} an accuracy of {accuracy} at a loss of {loss}")
    return "; ".join(texts)


def data_text(trials: Iterable[Trial]) -> str:
    """What the finite data of these trials are; empty if every sequence is drawn anew."""
    return " ".join(dict.fromkeys(filter(None, (trial.task.about() for trial in trials))))


def _range(values: list[float]) -> str:
    """One number, or the smallest and the largest."""
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"
