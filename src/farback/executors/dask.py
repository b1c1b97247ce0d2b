"""A Dask cluster: the same cohorts on more than one machine.

A cohort is a Dask task. Its events come back through one queue on the scheduler, in order and without loss, in batches.
When a worker dies, Dask starts its tasks anew elsewhere, from the beginning. So a task first asks the driver whether to
begin; one that asks a second time says that a worker died: it is stopped before it does anything, and what is left is
handed out from the last checkpoints, as a pool does.
"""

from __future__ import annotations

import logging
import pickle
import time
import uuid
from asyncio import CancelledError
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar

import distributed

from farback.executors.base import Executor, Open, Queue, Work
from farback.executors.compatibility import MACHINE, VERSIONS, differences, likeness
from farback.executors.dask_worker import Message, tell, work
from farback.records.execution import TLS
from farback.records.record import UserError
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Paused, Request

POLL_SECONDS = 0.5  # between looks at whether to finish, while no event comes
LOOK_SECONDS = 1.0  # between looks at which workers there are
REMIND_SECONDS = 60.0  # between two notes that no worker is there
MOST_HELD = 256  # messages on the scheduler: beyond it workers wait for the driver

say = logging.getLogger("farback").warning


class ClusterLost(UserError):
    """The scheduler is gone, through no fault of the config: the command ends with exit code 1."""

    exit_code: ClassVar[int] = 1


class Dask(Executor):
    """Runs cohorts on the workers of a Dask cluster, one on each of their threads.

    Args:
        address: of the scheduler; or a cluster of Dask's own, such as `dask_jobqueue.SLURMCluster`.
        tls: certificates for tls://; by default those of Dask's own configuration.
        connect_seconds: how long to try to reach the scheduler.
    """

    def __init__(self, address: Any, tls: TLS | None = None, connect_seconds: float = 10.0) -> None:
        self.place, self.tls, self.connect_seconds = address, tls, connect_seconds
        self.address = str(getattr(address, "scheduler_address", address))
        self.connection: distributed.Client | None = None
        self.threads: dict[str, int] = {}
        self.looked = self.reminded = -REMIND_SECONDS
        self.refused: dict[str, str] = {}
        self.noted: set[str] = set()
        self.running: dict[str, _Task] = {}
        self._finishing = False

    @property
    def client(self) -> distributed.Client:
        """The connection, made when it is first needed.

        Raises:
            UserError: no scheduler answers.
        """
        if self.connection is None:
            logging.getLogger("distributed.batched").setLevel(logging.WARNING)  # we tell of a lost scheduler
            security = None
            if self.tls:
                files = {"tls_ca_file": self.tls.ca, "tls_client_cert": self.tls.cert, "tls_client_key": self.tls.key}
                security = distributed.Security(require_encryption=True, **files)
            try:
                self.connection = distributed.Client(
                    self.place, security=security, timeout=self.connect_seconds, set_as_default=False, name="farback"
                )
            except (OSError, ValueError, TypeError) as error:
                hint = "is one running there (`dask scheduler`), with the same TLS?"
                raise UserError(f"no Dask scheduler answers at {self.address}; {hint} ({_first(error)})") from None
        return self.connection

    @property
    def size(self) -> int:
        """Cohorts that run at a time: the threads of all workers that are there now, or 1 while none is."""
        with self._asking():
            return self._look()

    def map(self, function: Work, items: Iterable[Cohort | None]) -> Iterator[tuple[Cohort, Event]]:
        """Events as they come, from all workers.

        Raises:
            UserError: the scheduler is gone, or every worker has other versions than this process.
        """
        queue = Queue(items)
        with self._asking():
            channel = distributed.Queue(f"farback-{uuid.uuid4().hex}", client=self.client, maxsize=MOST_HELD)
        try:
            self._feed(function, queue, channel)
            while self.running:
                if self._finishing and not queue.closed:
                    yield from self._finish(queue)
                with self._asking():
                    self._look()
                    gone = self._gone()  # before their last words are read, which may be that all is done
                    messages = self._messages(channel)
                for message in messages:
                    yield from self._take(message, queue)
                yield from self._bury(gone, queue)
                self._feed(function, queue, channel)
        finally:
            with suppress(Exception):  # the scheduler may be gone
                for task in self.running.values():
                    task.future.release()
                channel.close()
            self.running = {}

    def drop(self, keys: Iterable[str]) -> None:
        """As soon as the tasks that train them look."""
        keys = frozenset(keys)
        for name, task in self.running.items():
            own = keys & frozenset(task.still.keys)
            if own and task.attempt:
                self._tell(name, Request(own))

    def finish(self) -> None:
        """As soon as `map` looks, and then the tasks."""
        self._finishing = True

    @property
    def finishing(self) -> bool:
        """Whether `finish` was called."""
        return self._finishing

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of the cluster, which goes on."""
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close(timeout=2)

    # What goes out

    def _feed(self, function: Work, queue: Queue, channel: distributed.Queue) -> None:
        """Submit as many cohorts as there are threads: the caller's are taken only as they can be run."""
        with self._asking():
            room = self._look()
        while len(self.running) < room and not self._finishing and (cohort := queue.take()) is not None:
            key = f"farback-{uuid.uuid4().hex}"
            given = pickle.dumps((function, cohort))
            with self._asking():
                where = [name for name in self.threads if name not in self.refused] if self.refused else None
                future = self.client.submit(
                    work, key, channel.name, likeness(), given, key=key, pure=False, workers=where, retries=0
                )
            self.running[key] = _Task(Open(cohort), future)

    def _finish(self, queue: Queue) -> Iterator[tuple[Cohort, Event]]:
        """Tell the tasks that run to end, and take back those that have not begun."""
        queue.close()
        idle = {key: task for key, task in self.running.items() if not task.attempt}
        for key, task in idle.items():
            self._forget(key)
            yield from ((task.still.cohort, Paused(one, task.still.step(one))) for one in task.still.keys)
        for key in self.running:
            self._tell(key, Request(finish=True))

    def _tell(self, key: str, wish: Request) -> None:
        """Tell a task that has asked to begin; a worker that is gone hears nothing."""
        task = self.running[key]
        with self._asking():
            if task.address not in self.threads:
                self._look(now=True)
            if task.address in self.threads:
                self.client.run(tell, key, task.attempt, wish, workers=[task.address], on_error="ignore")

    def _forget(self, key: str) -> None:
        """Have done with a task; one that still runs somewhere stops when it next looks."""
        self.running.pop(key).future.release()

    # What comes in

    def _messages(self, channel: distributed.Queue) -> list[Message]:
        """What was sent since the last time, waiting for some; after a while, nothing."""
        try:
            first = channel.get(timeout=POLL_SECONDS)
        except TimeoutError:
            return []
        return [Message(*pickle.loads(data)) for data in [first, *channel.get(batch=True)]]

    def _take(self, message: Message, queue: Queue) -> Iterator[tuple[Cohort, Event]]:
        """One message; what comes from a start that counts no more says nothing."""
        task = self.running.get(message.task)
        if task is None:
            return
        if message.kind == "refused":
            self._refuse(*message.content)
            self._forget(message.task)
            queue.left.appendleft(task.still.cohort)
        elif message.kind == "ready" and task.attempt in ("", message.attempt):
            task.attempt, (task.address, theirs) = message.attempt, message.content
            self._note(task.address, theirs)
            self._tell(message.task, Request())
        elif message.kind == "ready":
            yield from self._died(message.task, queue)
        elif message.attempt == task.attempt and message.kind == "events":
            for event in message.content:
                task.still.seen(event)
                yield task.still.cohort, event
        elif message.attempt == task.attempt:
            self._forget(message.task)
            if message.kind == "error":
                yield from task.still.failed(*message.content)

    def _gone(self) -> list[str]:
        """Tasks that will say nothing more than what they have said by now."""
        return [
            key
            for key, task in self.running.items()
            if task.future.done() or (task.address and task.address not in self.threads)
        ]

    def _bury(self, gone: list[str], queue: Queue) -> Iterator[tuple[Cohort, Event]]:
        for key in [key for key in gone if key in self.running]:
            future = self.running[key].future
            with self._asking():
                error = future.exception(timeout=self.connect_seconds) if future.status == "error" else None
            if isinstance(error, ModuleNotFoundError):
                raise UserError(
                    f"a worker of {self.address} cannot load farback ({error}): install the same version there"
                )
            yield from self._died(key, queue, f" ({_first(error)})" if error else "")

    def _died(self, key: str, queue: Queue, why: str = "") -> Iterator[tuple[Cohort, Event]]:
        task = self.running[key]
        self._forget(key)
        yield from queue.died(task.still, f"the Dask worker {task.address} died{why or ': out of memory, perhaps'}")

    # Workers

    def _look(self, now: bool = False) -> int:
        """See which workers there are, now or now and then; how many cohorts they can run at a time."""
        clock = time.monotonic()
        if now or clock - self.looked >= LOOK_SECONDS:
            self.threads = dict(self.client.nthreads())
            self.looked = clock
            if not self.threads and clock - self.reminded >= REMIND_SECONDS:
                self.reminded = clock
                say(f"no worker has joined {self.address} yet; waiting for one: dask worker {self.address}")
        own = {name: count for name, count in self.threads.items() if name not in self.refused}
        if self.threads and not own:
            reasons = "; ".join(f"{name} has {self.refused[name]}" for name in self.threads)
            raise UserError(f"no worker of {self.address} has what this process has: {reasons}. Install the same there")
        return sum(own.values()) or 1

    def _refuse(self, address: str, theirs: dict[str, str]) -> None:
        """Hand nothing to a worker any more that would compute other numbers."""
        if address not in self.refused:
            self.refused[address] = differences(theirs, likeness(), VERSIONS)
            say(f"the worker {address} has {self.refused[address]}: nothing is trained there")

    def _note(self, address: str, theirs: dict[str, str]) -> None:
        """Say once of a worker that it is another kind of machine."""
        other = differences(theirs, likeness(), MACHINE)
        if other and address not in self.noted:
            say(f"the worker {address} has {other}: its results may differ in the last bits")
        self.noted.add(address)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """A question to the scheduler, which may be gone.

        Raises:
            ClusterLost: it is.
        """
        try:
            yield
        except (OSError, CancelledError) as error:
            if isinstance(error, TimeoutError) and self.client.status == "running":
                raise
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it would add a traceback as it closes
            raise ClusterLost(
                f"lost the Dask scheduler at {self.address} ({_first(error)}). What was recorded and checkpointed "
                "stays: the same command goes on, once a scheduler and workers run there, or with --executor pool"
            ) from None


@dataclass
class _Task:
    """A cohort that was submitted; where it began, and which start it is."""

    still: Open
    future: distributed.Future
    address: str = ""
    attempt: str = ""


def _first(error: BaseException | None) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")
