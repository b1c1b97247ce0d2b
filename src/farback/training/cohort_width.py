"""How many replicas train together as one cohort.

An update has a fixed cost, whatever its size. A cohort is wide enough to make this cost a small share of the update,
and narrow enough for a worker's memory. The constants were measured by `benchmarks/cohort_width.py` (decision 0019, and
the log of 2026-12-01). They change no result, because a trial's numbers do not depend on its cohort.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psutil

from farback.networks.stretches import LONG, spans
from farback.system.devices import CPU
from farback.tasks.support.draws import BLOCK_NUMBERS
from farback.training.batches import LONG_STEPS, LONG_VALIDATION, VALIDATION
from farback.training.compiled_updates import covers
from farback.training.long_sequences import steps_of_task
from farback.trials.cohort import Cohort, cohorts
from farback.trials.events import Checkpoint
from farback.trials.trial import Trial

FIXED_SECONDS = 0.5e-3  # per update and again per layer, whatever its size: Python and torch's dispatcher
COMPILED_SECONDS = 0.04e-3  # per update of many in one compiled call, however many layers
START_SECONDS = 8e-3  # per cohort, beyond those of each replica
SHARE = 0.1  # the largest share of an update that the fixed cost may be
FLOPS = 60e9  # per second in training; an update takes three times the operations of a forward pass
MOST_BYTES = 250_000_000  # of the replicas of a cohort together
MOST = 64  # replicas of a cohort: they leave one by one, so the last ones of a wide cohort train nearly alone
FLOAT, INTEGER = 4, 8  # bytes
PROBES = 64  # sequences that `ScoredSteps.of` draws
TYPICAL = 4.0  # measured memory of a trial, as a multiple of `training_bytes`: 1.4 to 5.5
UPDATE_COPIES = 5  # of the parameters: value, gradient, clipped gradient and two moments


def width(trial: Trial) -> int:
    """The maximum number of replicas in a cohort of trials of this shape."""
    steps = steps_of_task(trial.task)
    enough = fixed_seconds(trial) * (1 / SHARE - 1) / replica_seconds(trial, steps)
    return max(1, min(round(enough), MOST, MOST_BYTES // replica_bytes(trial, steps)))


def fixed_seconds(trial: Trial) -> float:
    """The approximate fixed cost of an update, with its share of the cohort's start, in seconds."""
    start = START_SECONDS / max(1, trial.steps)
    if covers(trial, None, CPU):
        return COMPILED_SECONDS + start
    return FIXED_SECONDS * (1 + trial.depth * trial.architecture.directions) + start


def replica_seconds(trial: Trial, steps: int) -> float:
    """The approximate seconds that each replica adds to an update, for sequences of `steps` steps."""
    return 3 * trial.batch * steps * trial.architecture.flops_per_step / FLOPS


def replica_bytes(trial: Trial, steps: int) -> int:
    """The approximate memory of a replica: its data, its parameters, and what the backward pass needs."""
    network = trial.architecture
    inputs = network.inputs * FLOAT
    block = max(trial.batch, min(16 * trial.batch, BLOCK_NUMBERS // max(1, steps * network.inputs)))
    data = steps * (block * (2 * inputs + 4 * INTEGER) + VALIDATION * inputs)
    kept = 2 * trial.batch * steps * network.kept(steps) * FLOAT
    return data + kept + UPDATE_COPIES * network.parameter_count * FLOAT


def packed(trials: Iterable[Trial], workers: int, start: Mapping[str, Checkpoint] | None = None) -> list[Cohort]:
    """Trials as cohorts: resumed cohorts first, then the longest, so that no long cohort runs alone at the end."""
    shapes: dict[str, list[Trial]] = {}
    for trial in trials:
        shapes.setdefault(trial.shape, []).append(trial)
    packs = [pack for some in shapes.values() for pack in cohorts(some, width(some[0]), start)]
    packs = [part for pack in packs for part in fitting(pack, workers)]
    share = sum(map(cost, packs)) / (2 * workers)  # a cohort with more of the work could become the bottleneck
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
    """The approximate work left in a cohort, in arbitrary units. A trial without updates counts as one update."""
    trial = cohort.trials[0]
    per_step = trial.depth * len(trial.cell.gates) * (1 + trial.hidden / 32)
    return float(len(cohort.trials) * (trial.lag + 1) * per_step * max(1, trial.steps - cohort.step))


def machine_bytes() -> int:
    """The memory of this machine."""
    return int(psutil.virtual_memory().total)


def share_bytes() -> int:
    """What one update may keep for its backward pass unless a config says more: half of the memory of each core."""
    return machine_bytes() // 2 // (psutil.cpu_count() or 1)


def training_bytes(trial: Trial, steps: int | None = None) -> int:
    """A lower bound of the memory of a trial that trains alone; by default with the shortest possible sequences."""
    network = trial.architecture
    T = steps or trial.lag + 1
    gates, outputs = len(trial.cell.gates) * trial.hidden, trial.hidden * network.directions
    if T > LONG and trial.task.draws_in_parts and not network.no_full_state:
        sequences = max(trial.batch, min(LONG_VALIDATION, LONG_STEPS // T))
        stretch = spans(T)[0][1] * (network.inputs + (gates + outputs) * network.sites) * FLOAT
        return sequences * (T + stretch) + UPDATE_COPIES * FLOAT * network.parameter_count  # a code of one byte a step
    drawn = T * (2 * network.inputs * FLOAT + 2 * INTEGER)  # inputs as drawn and as stacked; targets and lags
    layer = T * (gates + outputs) * FLOAT * network.sites
    evaluation = VALIDATION * (drawn + (0 if trial.cell.kernel else layer))  # without a gradient kernels store no steps
    validation = VALIDATION * T * network.inputs * FLOAT
    update = trial.batch * (drawn + layer * trial.depth * network.directions) + validation
    probe = PROBES * T * network.inputs * FLOAT
    return max(evaluation, update, probe) + UPDATE_COPIES * FLOAT * network.parameter_count


def too_large(trials: Iterable[Trial]) -> str:
    """An error message for the first trial that needs more memory than this machine has; empty if all may fit."""
    limit = machine_bytes()
    # One trial for each combination of the fields that `training_bytes` reads: seeds and rates make many equal ones
    for trial in {(trial.task, trial.architecture, trial.batch): trial for trial in trials}.values():
        # To find T a sequence must be drawn, so first check that the shortest possible one fits
        T = steps_of_task(trial.task) if training_bytes(trial) <= limit else trial.lag + 1
        needed = training_bytes(trial, T)
        if needed > limit:
            size = f"{trial.depth} x {trial.hidden} units, {trial.batch} sequences of {T} steps a batch"
            return (
                f"{trial.label} on {trial.task.name} at lag {trial.lag} ({size}, {VALIDATION} in validation) needs "
                f"at least {needed / 2**30:.1f} GiB of memory, and this machine has {limit / 2**30:.1f} GiB"
            )
    return ""


def fitting(cohort: Cohort, workers: int) -> list[Cohort]:
    """A cohort in parts that fit into each worker's share of the memory, with at least one trial each."""
    share, trial = machine_bytes() / max(1, workers), cohort.trials[0]
    size = max(1, int(share / (TYPICAL * training_bytes(trial, steps_of_task(trial.task)))))
    parts = [set(cohort.keys[start : start + size]) for start in range(0, len(cohort.keys), size)]
    return [one for part in parts for one in cohort.only(part)]
