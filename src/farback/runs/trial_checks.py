"""Checks that every axis of an experiment changes the network or its data, and that its trials fit into memory."""

from __future__ import annotations

import traceback

from farback.experiment import ConfigError, Experiment, Problem, Sweep
from farback.training.cohort_width import too_large
from farback.training.loop import fingerprint
from farback.trials.trial import Trial

# Fields that act only after the first update: step 0 cannot show their effect
LATER = ("optimizer", "clip", "steps", "evaluate_every", "stop", "measures")


def check(experiment: Experiment) -> None:
    """Compare the trials that differ in one axis only, at step 0: weights, data and loss.

    Raises:
        ConfigError: a trial does not fit into memory or fails at step 0, or two levels of an axis are the same.
    """
    contrasts = experiment.contrasts()
    contrasted = [trial for _, _, trials in contrasts for trial in trials]
    if large := too_large(experiment.trials() if isinstance(experiment, Sweep) else contrasted):
        raise ConfigError([Problem(experiment.shown, "", large)])
    problems = []
    for axis, where, trials in contrasts:
        if all(path.split(".")[0] in LATER for path in axis.split(" + ")):  # paths that are zipped are one axis
            continue
        if message := _problem(axis, trials):
            problems.append(Problem(where, axis, message))
    if problems:
        raise ConfigError(problems)


def _problem(axis: str, trials: list[Trial]) -> str:
    """What is wrong with an axis; empty if nothing is."""
    seen: dict[bytes, Trial] = {}
    for trial in trials:
        try:
            first_step = fingerprint(trial)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{frame.filename}:{frame.lineno}"
            return f"{trial.label} fails at step 0: {type(error).__name__}: {error} ({place})"
        if first_step in seen:
            pair = _levels(axis, seen[first_step], trial)
            return f"this axis changes nothing here: {pair} are the same network on the same data"
        seen[first_step] = trial
    return ""


def _levels(axis: str, first: Trial, second: Trial) -> str:
    values = [trial.parameters().get(axis, trial.columns().get(axis)) for trial in (first, second)]
    return f"{values[0]!r} and {values[1]!r}" if values[0] != values[1] else f"trials {first.key} and {second.key}"
