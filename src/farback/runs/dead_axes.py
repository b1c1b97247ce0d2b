"""Whether every axis of an experiment changes something: what is trained, or what it is trained on."""

from __future__ import annotations

import traceback

from farback.experiment import ConfigError, Experiment, Problem, Sweep
from farback.training.loop import fingerprint
from farback.training.packing import too_large
from farback.trials.trial import Trial

# Fields that act only after the first update, so that step 0 cannot show them.
LATER = ("optimizer", "clip", "steps", "evaluate_every", "stop", "measures")


def check(experiment: Experiment) -> None:
    """Refuse what does not fit into memory, and an axis two of whose levels train the same network on the same data.

    For each axis, the trials that differ in it alone are compared at step 0: weights, data and loss.

    Raises:
        ConfigError: naming the trial and the numbers, or the axis and the levels; or what a cell or a task of a trial
            raised, and where.
    """
    problems = []
    found = experiment.contrasts()
    contrasted = [trial for _, _, trials in found for trial in trials]
    if large := too_large(experiment.trials() if isinstance(experiment, Sweep) else contrasted):
        raise ConfigError([Problem(experiment.shown, "", large)])
    for axis, where, trials in found:
        if all(path.split(".")[0] in LATER for path in axis.split(" + ")):  # paths that are zipped are one axis
            continue
        seen: dict[bytes, Trial] = {}
        for trial in trials:
            try:
                print_of = fingerprint(trial)
            except Exception as error:
                at = traceback.extract_tb(error.__traceback__)[-1]
                message = f"{trial.label} fails at step 0: {type(error).__name__}: {error} ({at.filename}:{at.lineno})"
                problems.append(Problem(where, axis, message))
                break
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
