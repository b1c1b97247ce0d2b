"""The peak speed of this core (SGEMM), and the memory of a worker."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy.linalg import blas

from farback.trials.cohort import cohorts
from farback.trials.events import Failed

SIZES = (256, 512, 1024)
SECONDS = 0.5  # of every size and library
HORIZON = Path(__file__).parents[2] / "configs" / "horizon.yaml"
UPDATES = 20  # after which a worker's memory has stopped growing


def sgemm_peak() -> float:
    """The highest GFLOP/s of a float32 matrix product: of square matrices, by either BLAS that farback could use."""
    best = 0.0
    for size in SIZES:
        a = np.asfortranarray(np.random.default_rng(0).standard_normal((size, size)), dtype=np.float32)
        t = torch.from_numpy(np.ascontiguousarray(a))
        out = torch.empty_like(t)
        for call in (lambda a=a: blas.sgemm(1.0, a, a), lambda t=t, out=out: torch.mm(t, t, out=out)):
            call()
            ends = time.perf_counter() + SECONDS
            while (began := time.perf_counter()) < ends:
                call()
                best = max(best, 2 * size**3 / (time.perf_counter() - began) / 1e9)
    return best


def worker_memory() -> float:
    """The largest memory of a worker on `horizon`, in MB: cohorts at the largest lag, with a few updates each."""
    done = subprocess.run([sys.executable, "-m", __spec__.name], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Train every kind of cohort briefly in a pool's worker, and print its peak memory in MB."""
    from farback.executors import Pool
    from farback.experiment import Experiment, Sweep
    from farback.stats.threshold_search import GROUP
    from farback.training.loop import train

    experiment = Experiment.load(HORIZON)
    assert isinstance(experiment, Sweep)
    longest = max(trial.lag for trial in experiment.trials())
    kinds = {trial.shape: trial for trial in experiment.trials() if trial.lag == longest}
    short = {"steps": UPDATES, "evaluate_every": UPDATES}
    trials = [trial.model_copy(update={**short, "seed": seed}) for trial in kinds.values() for seed in range(GROUP)]
    with Pool(1) as pool:
        for _, event in pool.map(train, cohorts(trials, GROUP)):
            if isinstance(event, Failed):
                raise RuntimeError(f"{event.error}\n{event.traceback}")
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)  # KiB on Linux


if __name__ == "__main__":
    main()
