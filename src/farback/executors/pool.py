"""A pool of one-thread worker processes that survives the death of any of them.

`concurrent.futures` fails every task in flight when one worker dies, and cannot stream values from a running task; so
the pool is one pipe a worker, and `multiprocessing.connection.wait` on all of them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback as tracebacks
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

from farback.executors.base import Executor, Open, Queue, Work, steered
from farback.records.record import UserError
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Paused, Request

# One thread each, for every library that brings threads of its own. Read by them when they are first imported.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
SPAWN = multiprocessing.get_context("spawn")  # forking a process that holds torch's threads can hang


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool(Executor):
    """Keeps `workers` processes alive and hands each one cohort at a time."""

    def __init__(self, workers: int | None = None) -> None:
        self.most = cores() if workers is None else workers
        if self.most < 1:
            raise ValueError(f"workers is {workers}; a pool needs at least 1")
        self.workers: list[_Worker] = []
        self._woken, self._waking = SPAWN.Pipe(duplex=False)  # `finish` may be called while `map` waits
        self._finishing = False

    @property
    def size(self) -> int:
        """One cohort for each worker."""
        return self.most

    def map(self, function: Work, items: Iterable[Cohort | None]) -> Iterator[tuple[Cohort, Event]]:
        """Events as they come, from all workers."""
        queue = Queue(items)
        busy: list[_Worker] = []
        try:
            self._feed(function, queue, busy)
            while busy:
                ready = set(wait([*(worker.pipe for worker in busy), self._woken]))
                if self._woken in ready:
                    self._finish(queue, busy)
                for worker in [worker for worker in busy if worker.pipe in ready]:
                    ended = yield from worker.receive(queue)
                    if ended:
                        busy.remove(worker)
                self._feed(function, queue, busy)
        finally:
            for worker in busy:  # the caller stopped listening: what is running is not wanted any more
                worker.stop()
            self._clear()

    def prepare(self, function: Work, count: int) -> None:
        """Start workers, which import what the function needs: seconds, for torch."""
        while len(self.workers) < min(self.most, count):
            worker = _Worker()
            worker.show(function)
            self.workers.append(worker)

    def drop(self, keys: Iterable[str]) -> None:
        """As soon as the workers that train them look."""
        for worker in self.workers:
            worker.drop(keys)

    def finish(self) -> None:
        """As soon as the workers look."""
        if not self._finishing:
            self._finishing = True
            self._waking.send_bytes(b"!")

    @property
    def finishing(self) -> bool:
        """Whether `finish` was called."""
        return self._finishing

    def _finish(self, queue: Queue, busy: list[_Worker]) -> None:
        self._woken.recv_bytes()
        queue.close()
        for worker in busy:
            worker.say(Request(finish=True))

    def _feed(self, function: Work, queue: Queue, busy: list[_Worker]) -> None:
        """Give every idle worker a cohort, starting workers as they are needed."""
        while len(busy) < self.most and not self._finishing and (cohort := queue.take()) is not None:
            for worker in self.workers:
                if worker not in busy and not worker.process.is_alive():  # killed while idle: no trial's fault
                    worker.stop()
            self._clear()
            idle = next((worker for worker in self.workers if worker not in busy), None)
            if idle is None:
                idle = _Worker()
                self.workers.append(idle)
            idle.give(function, cohort)
            busy.append(idle)
        self._clear()

    def _clear(self) -> None:
        """Forget the workers that have ended."""
        self.workers = [worker for worker in self.workers if worker.alive]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.stop()
        self.workers = []


UNGUARDED = (
    "a worker process ended with an error before it could train: workers import the script that started them, so a "
    "script that trains must do it under `if __name__ == '__main__':`"
)


class _Worker:
    """One process, and the cohort it is at."""

    def __init__(self) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_serve, args=(theirs,), daemon=True, name="farback-worker")
        with _environment(ONE_THREAD), _deaf():
            self.process.start()
        theirs.close()  # so that the pipe ends when the process does
        self.alive = True
        self.up = False  # it says so once it runs our code
        self.still: Open | None = None

    def give(self, function: Work, cohort: Cohort) -> None:
        """Start on a cohort."""
        self.still = Open(cohort)
        with suppress(ConnectionError):  # it died idle: `receive` will say so
            self.pipe.send((function, cohort))

    def show(self, function: Work) -> None:
        """Let it import what the function needs."""
        with suppress(ConnectionError):
            self.pipe.send((function, None))

    def drop(self, keys: Iterable[str]) -> None:
        """Tell which trials are given up, those that it still trains."""
        own = frozenset(keys) & frozenset(self.still.keys if self.still else ())
        if own:
            self.say(Request(own))

    def say(self, wish: Request) -> None:
        """Tell what is wished of the cohort that it is at."""
        if self.alive:
            with suppress(ConnectionError):
                self.pipe.send(wish)

    def receive(self, queue: Queue) -> Generator[tuple[Cohort, Event], None, bool]:
        """Pass one message on; returns whether the worker has done with its cohort."""
        assert self.still is not None
        try:
            kind, content = self.pipe.recv()
        except (EOFError, OSError):
            self.stop()
            if not self.up and self.process.exitcode == 1:  # an exception before our code: the caller's own script
                raise UserError(UNGUARDED) from None
            reason = f"the worker process {self.process.pid} died ({_exit(self.process.exitcode)})"
            yield from queue.died(self.still, reason)
            return True
        if kind == "up":
            self.up = True
            return False
        if kind == "event":
            self.still.seen(content)
            yield self.still.cohort, content
            return False
        if kind == "error":
            yield from self.still.failed(*content)
        return True

    def stop(self) -> None:
        """End the process: it holds nothing that it could lose, and must not be in the way."""
        self.alive = False
        self.process.kill()
        self.process.join()
        self.pipe.close()


class _Gone(Exception):
    """There is no driver any more."""


class _Service:
    """A worker's life: take a cohort, send its events, until the driver is gone or says that it is enough."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.idle = True
        self.leaving = False

    def live(self) -> None:
        """Until the end."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group, and is the driver's
        _hear(signal.SIG_UNBLOCK)
        signal.signal(signal.SIGTERM, self._leave)
        threading.Thread(target=_follow, daemon=True).start()
        with suppress(_Gone):
            self._send("up", None)
            while not self.leaving:
                message = self._receive()
                if not isinstance(message, Request):  # that is for the last cohort, which had ended
                    self.idle = False
                    self._work(*message)
                    self.idle = True
        sys.exit(128 + signal.SIGTERM if self.leaving else 0)

    def _work(self, function: Work, cohort: Cohort | None) -> None:
        if cohort is None:
            return  # what there was to do was to receive the function
        try:
            for event in steered(function(cohort), self._wishes):
                if not (self.leaving and isinstance(event, Paused)):  # only this worker ends, perhaps: others go on
                    self._send("event", event)
            if not self.leaving:
                self._send("done", None)
        except _Gone:
            raise
        except Exception as error:
            self._send("error", (f"{type(error).__name__}: {error}", "".join(tracebacks.format_exception(error))))

    def _wishes(self) -> Request:
        found = Request(finish=self.leaving)
        with suppress(ConnectionError):
            while self.pipe.poll():
                found |= self._receive()
        return found

    def _receive(self) -> Any:
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise _Gone from error

    def _send(self, kind: str, content: Any) -> None:
        try:
            self.pipe.send((kind, content))
        except ConnectionError as error:
            raise _Gone from error

    def _leave(self, number: int, frame: object) -> None:
        """Somebody ends this worker alone, or everything: what it trains is handed back as far as it is."""
        self.leaving = True
        if self.idle:
            sys.exit(128 + number)


def _serve(pipe: Connection) -> None:
    _Service(pipe).live()


def _follow() -> None:
    """End with the driver, however that ended and whatever this worker is at."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _exit(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
        return f"killed by {name}: out of memory, perhaps" if code == -signal.SIGKILL else f"killed by {name}"
    return f"killed by signal {-code}"


@contextmanager
def _deaf() -> Iterator[None]:
    """What starts in this block does not hear of Ctrl-C until it says that it ignores it: else it ends in a traceback.

    This process hears of it at the end of the block.
    """
    resource_tracker.ensure_running()  # a process of multiprocessing's, whose own start would end the silence
    _hear(signal.SIG_BLOCK)
    try:
        yield
    finally:
        _hear(signal.SIG_UNBLOCK)


def _hear(how: int) -> None:
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(how, [signal.SIGINT])


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
