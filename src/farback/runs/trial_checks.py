"""Checks that every axis of an experiment changes the network or its data, and that its trials fit into memory."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable

import pandas as pd

from farback.cells.module import ModuleCell
from farback.experiment import ConfigError, Experiment, Problem, Sweep
from farback.experiment.problems import shown
from farback.networks.module_laws import laws
from farback.report.group_columns import groups
from farback.system.project import script_of
from farback.tasks.support.answers import Within
from farback.training.cohort_width import too_large
from farback.trials.trial import Trial

log = logging.getLogger("farback")

# Fields that act only after the first update: step 0 cannot show their effect
LATER = (
    "optimizer",
    "schedule",
    "dropout",
    "recurrent_dropout",
    "truncate",
    "clip",
    "steps",
    "evaluate_every",
    "stop",
    "measures",
)

LEAST_VARIANCE = 1e-20  # of answers, which are numbers of about 1 in single precision
MOST_COMPARED = 10_000  # trials; more would take longer than a few seconds


def check(experiment: Experiment) -> None:
    """Compare the trials that differ in one axis only, at step 0: weights, data and loss.

    Raises:
        ConfigError: a trial does not fit into memory or fails at step 0, a task has one answer only, two levels of an
            axis are the same, or a page could not tell two trials apart.
    """
    contrasts = experiment.contrasts()
    known = known_trials(experiment, contrasts)
    if large := too_large(known):
        raise ConfigError([Problem(experiment.shown, "", large)])
    problems = [Problem(experiment.shown, field, text) for text, field in broken_laws(known).items()]
    problems += [Problem(experiment.shown, "task", text) for text in constant_answers(known)]
    if isinstance(experiment, Sweep) and not script_of(experiment.name, experiment.root).exists():
        problems += [Problem(experiment.shown, "sweep", same) for same in _not_told_apart(experiment.trials())]
    again = experiment.contrasts(last=True) if isinstance(experiment, Sweep) else contrasts
    for (axis, where, trials), (_, _, others) in zip(contrasts, again, strict=True):
        if all(path.split(".")[0] in LATER for path in axis.split(" + ")):  # paths that are zipped are one axis
            continue
        if message := _problem(axis, trials, others):
            problems.append(Problem(where, axis, message))
    if problems:
        raise ConfigError(problems)


def constant_answers(trials: Iterable[Trial]) -> list[str]:
    """What is wrong with tasks whose answer is the same number always: they have no skill, a share of its variance."""
    found, seen = [], set()
    for trial in trials:
        fields = {name: value for name, value in trial.task.spec().items() if name != "lag"}
        if not isinstance(trial.task.answer, Within) or (text := str(fields)) in seen:
            continue
        seen.add(text)
        chance = trial.task.chance()
        if chance.loss - chance.best < LEAST_VARIANCE:
            found.append(f"every answer of {text} is the same number (variance {chance.loss:.2g}): nothing to remember")
    return found


def known_trials(experiment: Experiment, contrasts: list[tuple[str, str, list[Trial]]]) -> list[Trial]:
    """The trials of a sweep; of a search, whose trials are not known beforehand, those of its `contrasts`."""
    if isinstance(experiment, Sweep):
        return experiment.trials()
    return [trial for _, _, trials in contrasts for trial in trials]


def broken_laws(trials: Iterable[Trial]) -> dict[str, str]:
    """The laws without which results would be wrong, of modules of the user's, with the field that names the module.

    Other laws are logged as warnings.
    """
    broken, seen = {}, set()
    for trial in trials:
        cell = trial.cell
        if not isinstance(cell, ModuleCell) or cell in seen:
            continue
        seen.add(cell)
        for law in laws(cell, next(trial.architecture.layers()).inputs, trial.hidden):
            text = f"{cell.label()} breaks the law that {law.name}: {law.found}"
            if not law.holds and law.needed:
                broken[text] = "cell" if trial.network is None else "network"
            elif not law.holds:
                log.warning("%s", text)
    return broken


def _not_told_apart(trials: list[Trial]) -> list[str]:
    """What is wrong if two trials with the same seed and lag would be in one group of the page; else an empty list."""
    if len(trials) > MOST_COMPARED:
        return []
    frame = pd.DataFrame([trial.columns() for trial in trials]).drop_duplicates("key")
    training = [*groups(frame), "seed", "trained_lag", "train_lags"]
    same = frame[frame.duplicated(training, keep=False)].sort_values(training, kind="stable")
    if same.empty:
        return []
    first, second = same["key"].iloc[:2]
    text = f"{same['label'].iloc[0]}, lag {same['trained_lag'].iloc[0]}, seed {same['seed'].iloc[0]}"
    return [f"a page could not tell the trials {first} and {second} apart ({text}): leave one of them out"]


def _problem(axis: str, trials: list[Trial], others: list[Trial]) -> str:
    """What is wrong with an axis; empty if nothing is.

    Two levels that are the same network are wrong only if they are the same among the `others` too, the trials along
    this axis elsewhere in the sweep: a window of 8 steps changes nothing at lag 5, but it does at lag 20.
    """
    from farback.training.loop import fingerprint  # it needs numba, whose import a finished run does not wait for

    seen: dict[bytes, int] = {}
    for level, trial in enumerate(trials):
        try:
            first_step = fingerprint(trial)
            same = first_step in seen and fingerprint(others[level]) == fingerprint(others[seen[first_step]])
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{frame.filename}:{frame.lineno}"
            return f"{trial.label} fails at step 0: {type(error).__name__}: {error} ({place})"
        if same:
            pair = _levels(axis, trials[seen[first_step]], trial)
            return f"this axis changes nothing here: {pair} are the same network on the same data"
        seen[first_step] = level
    return ""


def _levels(axis: str, first: Trial, second: Trial) -> str:
    values = [trial.parameters().get(axis, trial.columns().get(axis)) for trial in (first, second)]
    one, other = ("null" if value is None else shown(value) for value in values)
    return f"{one} and {other}" if one != other else f"trials {first.key} and {second.key}"
