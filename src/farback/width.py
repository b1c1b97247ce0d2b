"""How many replicas train as one cohort.

As many as make what an update costs by itself, whatever its size, a small share of it; beyond that, one more costs as
much as one alone. And no more than a worker has memory for. The constants are measured by `benchmarks/cohort_width.py`
(decision 0019). No number of a trial depends on them: packed equals alone.
"""

from __future__ import annotations

from functools import lru_cache

from farback.data import BLOCK_NUMBERS, VALIDATION
from farback.streams import stream
from farback.tasks.base import Task
from farback.trial import Trial

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
