"""A pool of one-thread worker processes that survives the death of any of them.

`concurrent.futures` fails every task in flight when one worker dies, and cannot stream values from a running task; so
the pool is one pipe a worker, and `multiprocessing.connection.wait` on all of them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback as tracebacks
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

from farback.executors.base import Cohort, Executor, Open, Work, steered
from farback.trial import Event

# One thread each, for every library that brings threads of its own. Read by them when they are first imported.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
SPAWN = multiprocessing.get_context("spawn")  # forking a process that holds torch's threads can hang


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool(Executor):
    """Keeps `workers` processes alive and hands each one cohort at a time."""

    def __init__(self, workers: int | None = None) -> None:
        self.size = cores() if workers is None else workers
        if self.size < 1:
            raise ValueError(f"workers is {workers}; a pool needs at least 1")
        self.workers: list[_Worker] = []

    def map(self, function: Work, items: Iterable[Cohort]) -> Iterator[tuple[Cohort, Event]]:
        """Events as they come, from all workers."""
        waiting = iter(items)
        busy: list[_Worker] = []
        try:
            self._feed(function, waiting, busy)
            while busy:
                ready = set(wait([worker.pipe for worker in busy]))
                for worker in [worker for worker in busy if worker.pipe in ready]:
                    ended = yield from worker.receive()
                    if ended:
                        busy.remove(worker)
                self._feed(function, waiting, busy)
        finally:
            for worker in busy:  # the caller stopped listening: what is running is not wanted any more
                worker.stop()

    def drop(self, keys: Iterable[str]) -> None:
        """As soon as the workers that train them look."""
        for worker in self.workers:
            worker.drop(keys)

    def _feed(self, function: Work, waiting: Iterator[Cohort], busy: list[_Worker]) -> None:
        """Give every idle worker a cohort, starting workers as they are needed."""
        while len(busy) < self.size and (cohort := next(waiting, None)) is not None:
            for worker in self.workers:
                if worker not in busy and not worker.process.is_alive():  # killed while idle: no trial's fault
                    worker.stop()
            self.workers = [worker for worker in self.workers if worker.alive]
            idle = next((worker for worker in self.workers if worker not in busy), None)
            if idle is None:
                idle = _Worker()
                self.workers.append(idle)
            idle.give(function, cohort)
            busy.append(idle)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.stop()
        self.workers = []


class _Worker:
    """One process, and the cohort it is at."""

    def __init__(self) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_serve, args=(theirs,), daemon=True, name="farback-worker")
        with _environment(ONE_THREAD):
            self.process.start()
        theirs.close()  # so that the pipe ends when the process does
        self.alive = True
        self.cohort: Cohort = []
        self.still = Open([])

    def give(self, function: Work, cohort: Cohort) -> None:
        """Start on a cohort."""
        self.cohort, self.still = cohort, Open(cohort)
        with suppress(BrokenPipeError):  # it died idle: `receive` will say so
            self.pipe.send((function, cohort))

    def drop(self, keys: Iterable[str]) -> None:
        """Tell which trials are given up, those that it still trains."""
        own = set(keys) & set(self.still.keys)
        if self.alive and own:
            with suppress(BrokenPipeError):
                self.pipe.send(("drop", own))

    def receive(self) -> Generator[tuple[Cohort, Event], None, bool]:
        """Pass one message on; returns whether the cohort has ended."""
        try:
            kind, content = self.pipe.recv()
        except (EOFError, OSError):
            self.stop()
            reason = f"the worker process {self.process.pid} died ({_exit(self.process.exitcode)})"
            for event in self.still.failed(reason):
                yield self.cohort, event
            return True
        if kind == "event":
            self.still.seen(content)
            yield self.cohort, content
            return False
        if kind == "error":
            for event in self.still.failed(*content):
                yield self.cohort, event
        return True

    def stop(self) -> None:
        """End the process."""
        self.alive = False
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


def _serve(pipe: Connection) -> None:
    """A worker's life: take a cohort, send its events, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    while True:
        try:
            function, cohort = pipe.recv()
            if function == "drop":  # for the last cohort, which had ended
                continue
        except EOFError:
            return

        def dropped(pipe: Connection = pipe) -> set[str]:
            found: set[str] = set()
            while pipe.poll():
                found |= pipe.recv()[1]
            return found

        try:
            for event in steered(function(cohort), dropped):
                pipe.send(("event", event))
            pipe.send(("done", None))
        except BrokenPipeError:
            return
        except Exception as error:
            pipe.send(("error", (f"{type(error).__name__}: {error}", "".join(tracebacks.format_exception(error)))))


def _exit(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
        return f"killed by {name}: out of memory, perhaps" if code == -signal.SIGKILL else f"killed by {name}"
    return f"killed by signal {-code}"


@contextmanager
def _environment(values: dict[str, Any]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
