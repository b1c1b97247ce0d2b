"""Work for cohorts: top-level functions, so that a spawned worker can import them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Finished, Paused, Progress, Pruned, TrialResult, scores

BAD, SLOW = 13, 99  # seeds that mark a cohort


def marked(cohort: Cohort, seed: int) -> bool:
    return any(trial.seed == seed for trial in cohort.trials)


def quick(cohort: Cohort) -> Iterator[Event]:
    """Two events a trial, without training: the value is the seed, and the statistic is the process id."""
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
    """A cohort that begins is killed after checkpoints of two steps; one that resumes reports its step and width."""
    for trial in cohort.trials:
        if not cohort.start:
            yield Checkpoint(trial.key, 5 + trial.seed % 2, b"so far")
    if not cohort.start:
        os.kill(os.getpid(), signal.SIGKILL)
    for trial in cohort.trials:
        rows = [("work", 1, -1, str(len(cohort.trials)), float(cohort.step))]
        yield Finished(TrialResult(trial.key, scores(rows), "finished"))


def waits(cohort: Cohort) -> Iterator[Event | None]:
    """Runs until it is asked to finish, then leaves checkpoints."""
    yield Progress(cohort.trials[0].key, 1, {"train/loss": float(os.getpid())})
    request = None
    while not (request and request.finish):
        time.sleep(0.01)
        request = yield None
    for trial in cohort.trials:
        yield Checkpoint(trial.key, 3, b"so far")
        yield Paused(trial.key, 3)


def waits_or_resumes(cohort: Cohort) -> Iterator[Event | None]:
    """As `waits`; a cohort that resumes reports from which step."""
    if not cohort.start:
        yield from waits(cohort)
        return
    for trial in cohort.trials:
        yield Finished(TrialResult(trial.key, scores([("work", 1, -1, "from", float(cohort.step))]), "finished"))


def awaits_a_drop(cohort: Cohort) -> Iterator[Event | None]:
    """Runs until it is asked to drop trials; the others finish."""
    yield Progress(cohort.trials[0].key, 1, {"train/loss": 1.0})
    dropped: frozenset[str] = frozenset()
    while not dropped:
        time.sleep(0.01)
        request = yield None
        dropped = request.dropped if request else dropped
    for trial in cohort.trials:
        if trial.key in dropped:
            yield Pruned(trial.key, 1)
        else:
            yield from list(quick(Cohort.of(trial)))[1:]


def dies_slowly(cohort: Cohort) -> Iterator[Event | None]:
    """Leaves one checkpoint, and is killed when it is asked to finish."""
    yield Checkpoint(cohort.trials[0].key, 2, b"so far")
    request = None
    while not (request and request.finish):
        time.sleep(0.01)
        request = yield None
    os.kill(os.getpid(), signal.SIGKILL)


def lingers(cohort: Cohort) -> Iterator[Event | None]:
    """Runs for a minute, looking for requests all the time or, where it is marked, never."""
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
    """A marked cohort reports which process it is in, and takes a minute."""
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
