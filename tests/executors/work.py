"""What cohorts are given to do: top-level functions, so that a spawned worker can import them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from farback.train import train
from farback.trial import Event, Finished, Progress, Trial, TrialResult, scores

BAD, SLOW = 13, 99  # seeds that mark a cohort


def marked(trials: list[Trial], seed: int) -> bool:
    return any(trial.seed == seed for trial in trials)


def quick(trials: list[Trial]) -> Iterator[Event]:
    """Two events a trial, without training: the value is the seed, and the statistic says which process it was."""
    for trial in trials:
        yield Progress(trial.key, 1, {"train/loss": float(trial.seed)})
        yield Finished(
            TrialResult(trial.key, scores([("work", 1, -1, str(os.getpid()), float(trial.seed))]), "finished")
        )


def honest(trials: list[Trial]) -> Iterator[Event]:
    yield from train(trials)


def raises(trials: list[Trial]) -> Iterator[Event]:
    """The first trial of a marked cohort finishes, then comes an error."""
    if marked(trials, BAD):
        yield from quick(trials[:1])
        raise ArithmeticError("the abyss, at step 3")
    yield from quick(trials)


def dies(trials: list[Trial]) -> Iterator[Event]:
    """The first trial of a marked cohort finishes, then the worker is killed as if memory had run out."""
    if marked(trials, BAD):
        yield from quick(trials[:1])
        os.kill(os.getpid(), signal.SIGKILL)
    yield from quick(trials)


def leaves(trials: list[Trial]) -> Iterator[Event]:
    if marked(trials, BAD):
        os._exit(7)
    yield from quick(trials)


def dawdles(trials: list[Trial]) -> Iterator[Event]:
    """A marked cohort says which process it is in, and takes a minute."""
    if marked(trials, SLOW):
        yield Progress(trials[0].key, 1, {"train/loss": float(os.getpid())})
        time.sleep(60)
    yield from quick(trials)


def threads(trials: list[Trial]) -> Iterator[Event]:
    import numba

    found = [torch.get_num_threads(), numba.get_num_threads(), int(os.environ["OMP_NUM_THREADS"])]
    for trial in trials:
        yield Progress(trial.key, 1, {"threads": float(max(found))})
        yield from list(quick([trial]))[1:]


def unpicklable(trials: list[Trial]) -> Iterator[Event]:
    yield Progress(trials[0].key, 1, {"train/loss": lambda: 0.0})


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
