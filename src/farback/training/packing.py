"""How many replicas train as one cohort.

As many as make what an update costs by itself, whatever its size, a small share of it; beyond that, one more costs as
much as one alone. And no more than a worker has memory for. The constants are measured by `benchmarks/cohort_width.py`
(decision 0019). No number of a trial depends on them: packed equals alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import psutil

from farback.system.random_streams import stream
from farback.tasks.base import Task
from farback.training.batches import BLOCK_NUMBERS, VALIDATION
from farback.trials.cohort import Cohort, cohorts
from farback.trials.events import Checkpoint
from farback.trials.trial import Trial

FIXED_SECONDS = 0.5e-3  # of an update, and again of every layer, whatever their size: Python, torch's dispatcher
SHARE = 0.1  # of an update that this may be
FLOPS = 60e9  # a second, of a recurrence that trains: forward, and backward for twice as much
MOST_BYTES = 250_000_000  # that the replicas of a cohort may hold together: a quarter of what a worker may
MOST = 64  # replicas, however small: they leave one by one, and the last ones train nearly alone
FLOAT, INTEGER = 4, 8  # bytes


def width(trial: Trial) -> int:
    """The most replicas of a cohort of such trials."""
    steps = sequence_steps(trial.task)
    wanted = fixed(trial) * (1 / SHARE - 1) / seconds(trial, steps)
    return max(1, min(round(wanted), MOST, MOST_BYTES // held(trial, steps)))


def fixed(trial: Trial) -> float:
    """What an update costs by itself, in seconds, about."""
    return FIXED_SECONDS * (1 + trial.depth * trial.architecture.directions)


def seconds(trial: Trial, steps: int) -> float:
    """What one replica more costs in an update, about.

    Args:
        trial: of the cohort.
        steps: T, of a sequence.
    """
    return 3 * trial.batch * steps * trial.architecture.flops_per_step / FLOPS


def held(trial: Trial, steps: int) -> int:
    """Bytes that one replica holds, about: its data, and what is kept for the backward pass with its gradient.

    Args:
        trial: of the cohort.
        steps: T, of a sequence.
    """
    network = trial.architecture
    inputs = network.inputs * FLOAT
    block = max(trial.batch, min(16 * trial.batch, BLOCK_NUMBERS // max(1, steps * network.inputs)))
    data = steps * (block * (2 * inputs + 4 * INTEGER) + VALIDATION * inputs)
    units = trial.depth * network.directions * network.sites * trial.hidden
    kept = 2 * trial.batch * steps * units * (len(trial.cell.gates) + 2) * FLOAT
    return data + kept + 5 * network.parameter_count * FLOAT  # themselves, gradient, moments, and one on the way


@lru_cache(1000)
def sequence_steps(task: Task) -> int:
    """T, of a sequence; drawn once, for it may be long."""
    return task.sample(stream(0, "probe"), 1).input_BTI.shape[1]


def packed(trials: Iterable[Trial], workers: int, start: Mapping[str, Checkpoint] | None = None) -> list[Cohort]:
    """Trials as cohorts, what was begun and what takes long first, so that no core is left with a long one at the end.

    Args:
        trials: all are to be trained.
        workers: as of `plan`.
        start: as of `plan`.
    """
    shapes: dict[str, list[Trial]] = {}
    for trial in trials:
        shapes.setdefault(trial.shape, []).append(trial)
    packs = [pack for some in shapes.values() for pack in cohorts(some, width(some[0]), start)]
    packs = [part for pack in packs for part in fitting(pack, workers)]
    share = sum(map(cost, packs)) / (2 * workers)  # a cohort with more of the work may be what all others wait for
    parts: list[Cohort] = []
    while packs:
        pack = packs.pop()
        if len(pack.trials) > 1 and cost(pack) > share:
            packs += pack.halves()
        else:
            parts.append(pack)
    while len(parts) < 2 * workers and any(len(pack.trials) > 1 for pack in parts):
        parts.sort(key=lambda pack: (len(pack.trials) > 1, cost(pack)))
        parts += parts.pop().halves()
    return sorted(parts, key=lambda pack: (pack.step > 0, cost(pack)), reverse=True)


def cost(cohort: Cohort) -> float:
    """Roughly the work in a cohort; what is only measured counts as an update."""
    trial = cohort.trials[0]
    per_step = trial.depth * len(trial.cell.gates) * (1 + trial.hidden / 32)
    return float(len(cohort.trials) * (trial.lag + 1) * per_step * max(1, trial.steps - cohort.step))


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
