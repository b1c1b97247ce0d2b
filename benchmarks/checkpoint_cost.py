"""The cost of a checkpoint: bytes, and milliseconds to make it, to write it and to resume from it, beside one update.

    python benchmarks/checkpoint_cost.py

Numbers are for one trial: medians of interleaved repetitions with a cohort of ten. Decision record 0012 cites them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from farback.system.arithmetic import arithmetic
from farback.training import checkpoint as resuming
from farback.training.checkpoint_folder import CheckpointFolder
from farback.training.replicas import Replicas
from farback.trials.cohort import Cohort
from farback.trials.provenance import provenance
from farback.trials.trial import Trial

WIDTH = 10
REPEATS = 15


def cohort(cell: str, hidden: int) -> Cohort:
    """Ten seeds of one network, at lag 20."""
    fields = {"task": "recall", "lag": 20, "cell": cell, "hidden": hidden, "batch": 32}
    return Cohort.of(*(Trial.model_validate({**fields, "seed": seed}) for seed in range(WIDTH)))


def row(cell: str, hidden: int, folder: CheckpointFolder) -> str:
    """One line of the table."""
    found, spent = cohort(cell, hidden), defaultdict(list)
    replicas = Replicas(found.trials)
    made = provenance(found.trials[0])
    replicas.update(1)
    for count in range(2, 2 + REPEATS):
        at = [time.perf_counter()]
        replicas.update(count)
        at.append(time.perf_counter())
        checkpoints = [resuming.checkpoint(replicas, r, count, made) for r in range(WIDTH)]
        at.append(time.perf_counter())
        for checkpoint in checkpoints:
            folder.put(checkpoint)
        at.append(time.perf_counter())
        resuming.replicas(Cohort(found.trials, tuple(checkpoints)))
        at.append(time.perf_counter())
        Replicas(found.trials)
        at.append(time.perf_counter())
        for name, before, after in zip(("update", "make", "write", "resume", "begin"), at, at[1:], strict=False):
            spent[name].append(1000 * (after - before) / WIDTH)
    medians = {name: statistics.median(values) for name, values in spent.items()}
    times = " | ".join(f"{medians[name]:.2f}" for name in ("update", "make", "write", "resume", "begin"))
    return f"| {cell} {hidden} | {replicas.theta_RP.shape[1]} | {len(checkpoints[0].state)} | {times} |"


def main() -> None:
    """Print the table."""
    print("| network | parameters | bytes | update | make | write | resume | begin |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as path, arithmetic():
        for cell in ("elman", "lstm"):
            for hidden in (32, 256):
                print(row(cell, hidden, CheckpointFolder(Path(path), 60.0)), flush=True)


if __name__ == "__main__":
    main()
