"""Functions for executors to map over cohorts, at the top level of a module so that workers can import them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from farback.executors import Pool
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Finished, Paused, Progress, Pruned, TrialResult, scores

BAD, SLOW = 13, 99  # seeds of trials that the functions treat in a special way


def has_seed(cohort: Cohort, seed: int) -> bool:
    return any(trial.seed == seed for trial in cohort.trials)


def quick(cohort: Cohort) -> Iterator[Event]:
    """Two events for each trial, without training: the value is the seed, the statistic is the process id."""
    for trial in cohort.trials:
        yield Progress(trial.key, 1, {"train/loss": float(trial.seed)})
        yield Finished(
            TrialResult(trial.key, scores([("work", 1, -1, str(os.getpid()), float(trial.seed))]), "finished")
        )


def trains(cohort: Cohort) -> Iterator[Event | None]:
    yield from train(cohort)


def raises(cohort: Cohort) -> Iterator[Event]:
    """If there is a BAD trial, the first trial finishes, then an exception is raised."""
    if has_seed(cohort, BAD):
        yield from quick(Cohort(cohort.trials[:1]))
        raise ArithmeticError("division by zero at step 3")
    yield from quick(cohort)


def dies(cohort: Cohort) -> Iterator[Event]:
    """The BAD trial kills its worker, as if memory had run out."""
    for trial in cohort.trials:
        if trial.seed == BAD:
            os.kill(os.getpid(), signal.SIGKILL)
        yield from quick(Cohort.of(trial))


def dies_after_checkpoints(cohort: Cohort) -> Iterator[Event]:
    """A new cohort is killed after checkpoints at two different steps; a resumed one reports its step and its size."""
    for trial in cohort.trials:
        if not cohort.start:
            yield Checkpoint(trial.key, 5 + trial.seed % 2, b"so far")
    if not cohort.start:
        os.kill(os.getpid(), signal.SIGKILL)
    for trial in cohort.trials:
        rows = [("work", 1, -1, str(len(cohort.trials)), float(cohort.step))]
        yield Finished(TrialResult(trial.key, scores(rows), "finished"))


def waits(cohort: Cohort) -> Iterator[Event | None]:
    """Runs until a request to finish, then yields checkpoints."""
    yield Progress(cohort.trials[0].key, 1, {"train/loss": float(os.getpid())})
    request = None
    while not (request and request.finish):
        time.sleep(0.01)
        request = yield None
    for trial in cohort.trials:
        yield Checkpoint(trial.key, 3, b"so far")
        yield Paused(trial.key, 3)


def waits_or_resumes(cohort: Cohort) -> Iterator[Event | None]:
    """As `waits`; a resumed cohort reports its step."""
    if not cohort.start:
        yield from waits(cohort)
        return
    for trial in cohort.trials:
        yield Finished(TrialResult(trial.key, scores([("work", 1, -1, "from", float(cohort.step))]), "finished"))


def waits_for_drop(cohort: Cohort) -> Iterator[Event | None]:
    """Runs until a request drops trials; the others finish."""
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


def dies_while_finishing(cohort: Cohort) -> Iterator[Event | None]:
    """Yields one checkpoint, and is killed by a request to finish."""
    yield Checkpoint(cohort.trials[0].key, 2, b"so far")
    request = None
    while not (request and request.finish):
        time.sleep(0.01)
        request = yield None
    os.kill(os.getpid(), signal.SIGKILL)


def runs_a_minute(cohort: Cohort) -> Iterator[Event | None]:
    """Reports its process id and runs for a minute; it receives requests unless it has a SLOW trial."""
    yield Progress(cohort.trials[0].key, 1, {"train/loss": float(os.getpid())})
    if has_seed(cohort, SLOW):
        time.sleep(60)
    for _ in range(6000):
        time.sleep(0.01)
        yield None


def exits(cohort: Cohort) -> Iterator[Event]:
    """The BAD trial ends its process with exit code 7."""
    if has_seed(cohort, BAD):
        os._exit(7)
    yield from quick(cohort)


def threads(cohort: Cohort) -> Iterator[Event]:
    import numba

    counts = [torch.get_num_threads(), numba.get_num_threads(), int(os.environ["OMP_NUM_THREADS"])]
    for trial in cohort.trials:
        yield Progress(trial.key, 1, {"threads": float(max(counts))})
        yield from list(quick(Cohort.of(trial)))[1:]


def unpicklable(cohort: Cohort) -> Iterator[Event]:
    yield Progress(cohort.trials[0].key, 1, {"train/loss": lambda: 0.0})


def drive_a_pool(pipe: Connection, cohorts: list[Cohort]) -> None:
    """The main function of a driver process: sends the process ids of workers that run for a minute."""
    with Pool(2) as pool:
        for _, event in pool.map(runs_a_minute, cohorts):
            if isinstance(event, Progress):
                pipe.send(int(event.metrics["train/loss"]))


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
