"""A pool of single-threaded worker processes that survives the death of any of them.

`concurrent.futures` fails every running task when one worker dies, and cannot stream values from a running task. So
each worker has a pipe, and the driver waits on all pipes with `multiprocessing.connection.wait`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any

from typing_extensions import override

from farback.executors.base import CohortQueue, Executor, RunningCohort, Work, described, with_requests
from farback.records.entry_points import PluginError
from farback.system.heap import keep_heap
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Paused, Request

# One thread for each library that starts threads of its own. Libraries read the variables when imported.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
# A new interpreter must not take a file of the current directory, such as signal.py, for a module of Python; the
# search path of this process, on which the caller's modules are, is given to it afterwards.
CHILD_VARIABLES = dict.fromkeys(THREADS, "1") | {"PYTHONSAFEPATH": "1"}
# Not "fork", because a copy of a process with torch's threads can deadlock.
START = multiprocessing.get_context("spawn")


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool(Executor):
    """Runs one cohort at a time on each of `workers` processes, which it starts as needed and keeps."""

    def __init__(self, workers: int | None = None) -> None:
        self.most = cores() if workers is None else workers
        if self.most < 1:
            raise ValueError(f"workers is {workers}; a pool needs at least 1")
        self.workers: list[_Worker] = []
        self._wake_reader, self._wake_writer = START.Pipe(duplex=False)  # `finish` interrupts the wait of `map`

    @property
    @override
    def size(self) -> int:
        return self.most

    @override
    def map(self, function: Work, items: Iterable[Cohort | None]) -> Iterator[tuple[Cohort, Event]]:
        queue = CohortQueue(items)
        try:
            self._start_cohorts(function, queue)
            while busy := self._busy():
                ready = wait([self._wake_reader, *(worker.pipe for worker in busy)])
                if self._wake_reader in ready:
                    self._wake_reader.recv_bytes()
                    queue.closed = True
                    for worker in busy:
                        worker.send(Request(finish=True))
                for worker in busy:
                    if worker.pipe in ready:
                        yield from self._receive(worker, queue)
                self._start_cohorts(function, queue)
        finally:
            for worker in self._busy():  # the caller closed the generator or an error ended it
                self._kill(worker)

    @override
    def prepare(self, function: Work, count: int) -> None:
        while len(self.workers) < min(self.most, count):
            self._new_worker().send((function, None))  # unpickling the function imports torch, which takes seconds

    @override
    def drop(self, keys: Iterable[str]) -> None:
        keys = frozenset(keys)
        for worker in self._busy():
            own = keys & frozenset(worker.cohort.keys)
            if own:
                worker.send(Request(own))

    @override
    def finish(self) -> None:
        if not self.finishing:
            super().finish()
            self._wake_writer.send_bytes(b"!")

    @override
    def __exit__(self, *error: object) -> None:
        for worker in list(self.workers):
            self._kill(worker)

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.busy]

    def _new_worker(self) -> _Worker:
        self.workers.append(_Worker())
        return self.workers[-1]

    def _kill(self, worker: _Worker) -> None:
        """End a worker and forget it. It holds nothing that could be lost."""
        if worker.process.is_alive():
            worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self.workers.remove(worker)

    def _start_cohorts(self, function: Work, queue: CohortQueue) -> None:
        """Give every idle worker a cohort."""
        while len(self._busy()) < self.most and not self.finishing and (cohort := queue.take()) is not None:
            idle = [worker for worker in self.workers if not worker.busy]
            for worker in [worker for worker in idle if not worker.process.is_alive()]:
                self._kill(worker)  # it died without a cohort: no trial is to blame
                idle.remove(worker)
            (idle[0] if idle else self._new_worker()).start(function, cohort)

    def _receive(self, worker: _Worker, queue: CohortQueue) -> Iterator[tuple[Cohort, Event]]:
        """Handle one message of a worker, or its death."""
        running = worker.cohort
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            self._kill(worker)
            reason = f"the worker process {worker.process.pid} died ({_exit_reason(worker.process.exitcode)})"
            yield from queue.worker_died(running, reason)
            return
        if kind == "event":
            running.update(content)
            yield running.cohort, content
        else:
            worker.busy = False
            if kind == "error":
                yield from running.failed(*content)


class _Worker:
    """One worker process as the driver sees it: the process, a pipe to it, and its cohort."""

    cohort: RunningCohort  # the last cohort that it started

    def __init__(self) -> None:
        self.pipe, theirs = START.Pipe()
        self.process = START.Process(target=_serve, args=(theirs,), daemon=True, name="farback-worker")
        with _child_settings():
            self.process.start()
        theirs.close()  # then the pipe ends when the process ends
        self.busy = False

    def start(self, function: Work, cohort: Cohort) -> None:
        self.cohort, self.busy = RunningCohort(cohort), True
        self.send((function, cohort))

    def send(self, message: Any) -> None:
        with suppress(ConnectionError):  # a dead worker is noticed when its pipe is read
            self.pipe.send(message)


class _DriverGone(Exception):
    """The driver has ended, or closed the pipe."""


class _Service:
    """The worker process: receives cohorts and sends events, until the driver ends or SIGTERM arrives."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.idle = True
        self.terminated = False

    def run(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the process group; the driver handles it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        signal.signal(signal.SIGTERM, self._terminate)
        threading.Thread(target=_exit_with_driver, daemon=True).start()
        with suppress(_DriverGone):
            while not self.terminated:
                try:
                    message = self._receive()
                except PluginError as error:  # a file of the project has changed since the run began
                    self._send("error", described(error))
                    continue
                if not isinstance(message, Request):  # a late request is for the last cohort, which has ended
                    self.idle = False
                    self._train(*message)
                    self.idle = True
        sys.exit(128 + signal.SIGTERM if self.terminated else 0)

    def _train(self, function: Work, cohort: Cohort | None) -> None:
        if cohort is None:  # `Pool.prepare` sends it only to import what the function needs
            return
        try:
            for event in with_requests(function(cohort), self._new_requests):
                if not (self.terminated and isinstance(event, Paused)):  # the trials resume on another worker
                    self._send("event", event)
            if not self.terminated:
                self._send("done", None)
        except _DriverGone:
            raise
        except Exception as error:
            self._send("error", described(error))

    def _new_requests(self) -> Request:
        requests = Request(finish=self.terminated)
        with suppress(ConnectionError):
            while self.pipe.poll():
                requests |= self._receive()
        return requests

    def _receive(self) -> Any:
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise _DriverGone from error

    def _send(self, kind: str, content: Any) -> None:
        try:
            self.pipe.send((kind, content))
        except ConnectionError as error:
            raise _DriverGone from error

    def _terminate(self, number: int, frame: object) -> None:
        """Handle SIGTERM: send checkpoints of a running cohort before the end."""
        self.terminated = True
        if self.idle:
            sys.exit(128 + number)


def _serve(pipe: Connection) -> None:
    keep_heap()
    _Service(pipe).run()


def _exit_with_driver() -> None:
    """Wait for the end of the driver, then end this process, whatever it is doing."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _exit_reason(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    if code == -signal.SIGKILL:
        return "killed by SIGKILL, perhaps because memory ran out"
    return f"killed by signal {-code}: {signal.strsignal(-code)}"


@contextmanager
def _child_settings() -> Iterator[None]:
    """Set `CHILD_VARIABLES` for a process that starts in this block, and block SIGINT until it has a handler.

    Without the block, Ctrl-C during the start of a worker would print a traceback. An empty `__main__` is put in place
    of the caller's script, which multiprocessing would run once more in each worker: workers need nothing from it,
    without `if __name__ == "__main__":` it would train again there, and a script from standard input has no file.
    """
    main = sys.modules["__main__"]
    before = {name: os.environ[name] for name in CHILD_VARIABLES if name in os.environ}
    os.environ.update(CHILD_VARIABLES)
    resource_tracker.ensure_running()  # multiprocessing starts it with the first child and then unblocks SIGINT
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # a SIGINT during the block arrives now
        for name in CHILD_VARIABLES:
            del os.environ[name]
        os.environ.update(before)
