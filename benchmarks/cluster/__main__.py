"""`python -m benchmarks.cluster`: time two Dask workers on this machine and a pool of two processes, in turns."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict

from benchmarks.cluster.work import EVENTS, nothing, talk
from distributed import LocalCluster

from farback.executors import Executor, Pool
from farback.executors.base import Work
from farback.executors.dask import Dask
from farback.trials.cohort import Cohort
from farback.trials.events import Failed
from farback.trials.trial import Trial

COHORTS, ROUNDS = 40, 5


def seconds(executor: Executor, function: Work, items: list[Cohort]) -> float:
    """The time of a map."""
    started = time.perf_counter()
    failed = [event for _, event in executor.map(function, items) if isinstance(event, Failed)]
    passed = time.perf_counter() - started
    assert not failed, failed[0].error
    return passed


def main() -> None:
    """Print a table."""
    trials = [
        Trial.model_validate({"task": "recall", "lag": 3, "cell": "elman", "hidden": 9, "steps": 6, "seed": seed})
        for seed in range(10 * COHORTS)
    ]
    alone = [Cohort.of(trial) for trial in trials[:COHORTS]]
    packed = [Cohort.of(*trials[10 * i : 10 * i + 10]) for i in range(COHORTS)]
    for cohort in packed:  # computes the keys before the timing
        assert len(cohort.keys) == 10
    found = defaultdict(list)
    local = LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, memory_limit=0)
    with local, Dask(local) as dask, Pool(2) as pool:
        for executor in (dask, pool):
            seconds(executor, nothing, alone[:4])
        for _ in range(ROUNDS):
            for name, executor in (("Dask", dask), ("pool", pool)):
                found[name, "ms a cohort of one trial"].append(1e3 * seconds(executor, nothing, alone) / COHORTS)
                found[name, "ms a cohort of ten"].append(1e3 * seconds(executor, nothing, packed) / COHORTS)
                found[name, "events a second"].append(2 * EVENTS / seconds(executor, talk, alone[:2]))
    for (name, what), values in found.items():
        print(f"{name}  {what:26} {statistics.median(values):10.1f}  ({min(values):.1f} to {max(values):.1f})")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
