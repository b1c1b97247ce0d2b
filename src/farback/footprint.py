"""How much memory training takes at least, so that what cannot fit is refused before it is tried.

A bound from below, for what would fit must not be refused. What a replica holds about, by which cohorts are made wide,
is `farback.width`'s, and was measured.

Shapes: T steps.
"""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from farback.data import VALIDATION
from farback.trial import Cohort, Trial
from farback.width import FLOAT, INTEGER, sequence_steps

PROBES = 64  # sequences that are drawn to see how a task asks
TYPICAL = 4.0  # what is really held, in units of `training_bytes`
UPDATE_COPIES = 5  # of the parameters: themselves, their gradient, two moments, the gradient clipped


def machine_bytes() -> int:
    """The memory of this machine."""
    return int(psutil.virtual_memory().total)


def training_bytes(trial: Trial, steps: int | None = None) -> int:
    """What one trial holds at once, at least: measured peaks were 1.4 to 5.5 times as much.

    Args:
        trial: by itself, without others in its cohort.
        steps: T; by default the fewest that the lag allows.
    """
    network = trial.architecture
    T = steps or trial.lag + 1
    gates, outputs = len(trial.cell.gates) * trial.hidden, trial.hidden * network.directions
    drawn = T * (2 * network.inputs * FLOAT + 2 * INTEGER)  # as it comes and as it lies in its batch; targets, lags
    layer = T * (gates + outputs) * FLOAT * network.sites
    evaluation = VALIDATION * (drawn + (0 if trial.cell.kernel else layer))  # kernels keep no step without a gradient
    kept = VALIDATION * T * network.inputs * FLOAT
    update = trial.batch * (drawn + layer * trial.depth * network.directions) + kept
    probe = PROBES * T * network.inputs * FLOAT
    return max(evaluation, update, probe) + UPDATE_COPIES * FLOAT * network.parameter_count


def too_large(trials: Iterable[Trial]) -> str:
    """Why one of these trials cannot be trained on this machine, with the numbers; nothing where all may fit."""
    limit = machine_bytes()
    # All that `training_bytes` asks for: what seeds and learning rates share is looked at once, and nothing is hashed
    for trial in {(trial.task, trial.architecture, trial.batch): trial for trial in trials}.values():
        # Where even the shortest sequence does not fit, none can be looked at.
        T = sequence_steps(trial.task) if training_bytes(trial) <= limit else trial.lag + 1
        needed = training_bytes(trial, T)
        if needed > limit:
            size = f"{trial.depth} x {trial.hidden} units, {trial.batch} sequences of {T} steps a batch"
            return (
                f"{trial.label} on {trial.task.name} at lag {trial.lag} ({size}, {VALIDATION} in validation) needs "
                f"at least {needed / 2**30:.1f} GiB of memory, and this machine has {limit / 2**30:.1f} GiB"
            )
    return ""


def fitting(cohort: Cohort, workers: int) -> list[Cohort]:
    """A cohort in parts narrow enough for each worker's share of the memory; at least one trial each."""
    share, first = machine_bytes() / max(1, workers), cohort.trials[0]
    width = max(1, int(share / (TYPICAL * training_bytes(first, sequence_steps(first.task)))))
    parts = [set(cohort.keys[first : first + width]) for first in range(0, len(cohort.keys), width)]
    return [one for part in parts for one in cohort.only(part)]
