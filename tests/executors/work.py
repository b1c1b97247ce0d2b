"""What cohorts are given to do: top-level functions, so that a spawned worker can import them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Finished, Paused, Progress, TrialResult, scores

BAD, SLOW = 13, 99  # seeds that mark a cohort


def marked(cohort: Cohort, seed: int) -> bool:
    return any(trial.seed == seed for trial in cohort.trials)


def quick(cohort: Cohort) -> Iterator[Event]:
    """Two events a trial, without training: the value is the seed, and the statistic says which process it was."""
    for trial in cohort.trials:
        yield Progress(trial.key, 1, {"train/loss": float(trial.seed)})
        yield Finished(
            TrialResult(trial.key, scores([("work", 1, -1, str(os.getpid()), float(trial.seed))]), "finished")
        )


def honest(cohort: Cohort) -> Iterator[Event | None]:
    yield from train(cohort)


def raises(cohort: Cohort) -> Iterator[Event]:
    """The first trial of a marked cohort finishes, then comes an error."""
    if marked(cohort, BAD):
        yield from quick(Cohort(cohort.trials[:1]))
        raise ArithmeticError("the abyss, at step 3")
    yield from quick(cohort)


def dies(cohort: Cohort) -> Iterator[Event]:
    """The marked trial kills its worker, as if memory had run out."""
    for trial in cohort.trials:
        if trial.seed == BAD:
            os.kill(os.getpid(), signal.SIGKILL)
        yield from quick(Cohort.of(trial))


def stumbles(cohort: Cohort) -> Iterator[Event]:
    """Who begins is killed after checkpoints of two steps; who goes on tells from where, and in how wide a cohort."""
    for trial in cohort.trials:
        if not cohort.start:
            yield Checkpoint(trial.key, 5 + trial.seed % 2, b"so far")
    if not cohort.start:
        os.kill(os.getpid(), signal.SIGKILL)
    for trial in cohort.trials:
        rows = [("work", 1, -1, str(len(cohort.trials)), float(cohort.step))]
        yield Finished(TrialResult(trial.key, scores(rows), "finished"))


def waits(cohort: Cohort) -> Iterator[Event | None]:
    """Goes on until it is told to finish, then leaves a checkpoint."""
    yield Progress(cohort.trials[0].key, 1, {"train/loss": float(os.getpid())})
    wish = None
    while not (wish and wish.finish):
        time.sleep(0.01)
        wish = yield None
    for trial in cohort.trials:
        yield Checkpoint(trial.key, 3, b"so far")
        yield Paused(trial.key, 3)


def waits_or_goes_on(cohort: Cohort) -> Iterator[Event | None]:
    """As `waits`; who goes on tells from where."""
    if not cohort.start:
        yield from waits(cohort)
        return
    for trial in cohort.trials:
        yield Finished(TrialResult(trial.key, scores([("work", 1, -1, "from", float(cohort.step))]), "finished"))


def dies_slowly(cohort: Cohort) -> Iterator[Event | None]:
    """Leaves one checkpoint, and is killed when it is told to finish."""
    yield Checkpoint(cohort.trials[0].key, 2, b"so far")
    wish = None
    while not (wish and wish.finish):
        time.sleep(0.01)
        wish = yield None
    os.kill(os.getpid(), signal.SIGKILL)


def lingers(cohort: Cohort) -> Iterator[Event | None]:
    """Goes on for a minute, looking around all the time or, where it is marked, never."""
    yield Progress(cohort.trials[0].key, 1, {"train/loss": float(os.getpid())})
    if marked(cohort, SLOW):
        time.sleep(60)
    for _ in range(6000):
        time.sleep(0.01)
        yield None


def leaves(cohort: Cohort) -> Iterator[Event]:
    if marked(cohort, BAD):
        os._exit(7)
    yield from quick(cohort)


def dawdles(cohort: Cohort) -> Iterator[Event]:
    """A marked cohort says which process it is in, and takes a minute."""
    if marked(cohort, SLOW):
        yield Progress(cohort.trials[0].key, 1, {"train/loss": float(os.getpid())})
        time.sleep(60)
    yield from quick(cohort)


def threads(cohort: Cohort) -> Iterator[Event]:
    import numba

    found = [torch.get_num_threads(), numba.get_num_threads(), int(os.environ["OMP_NUM_THREADS"])]
    for trial in cohort.trials:
        yield Progress(trial.key, 1, {"threads": float(max(found))})
        yield from list(quick(Cohort.of(trial)))[1:]


def unpicklable(cohort: Cohort) -> Iterator[Event]:
    yield Progress(cohort.trials[0].key, 1, {"train/loss": lambda: 0.0})


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
