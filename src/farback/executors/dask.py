"""The executor for a Dask cluster, which trains the same cohorts on more than one machine.

A cohort is a Dask task. Its events come back through one queue on the scheduler, in order and without loss, in batches.
When a worker dies, Dask starts its tasks again on another worker, from the beginning. farback resumes from checkpoints
instead: a task asks the driver for permission to begin, and a second attempt of one task tells the driver that the
first worker died. The driver cancels the task and queues its unfinished trials with their last checkpoints.
"""

from __future__ import annotations

import gc
import logging
import pickle
import time
import uuid
from asyncio import CancelledError
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import distributed
from typing_extensions import override

from farback.executors.base import CohortQueue, Executor, RunningCohort, Work
from farback.executors.compatibility import MACHINE, VERSIONS, differences, environment
from farback.executors.dask_worker import TaskMessage, receive_request, run_cohort
from farback.records.execution import TLS
from farback.records.user_error import UserError
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Request

POLL_SECONDS = 0.5  # the longest wait for a message before `finishing` is checked
WORKERS_SECONDS = 1.0  # between updates of the list of workers
REMIND_SECONDS = 60.0  # between reminders that the cluster has no worker
MAX_MESSAGES = 256  # unread messages on the scheduler; beyond this number workers wait for the driver

log = logging.getLogger("farback")


class ClusterLost(UserError):
    """The scheduler is gone. The config is not to blame, so the command ends with exit code 1."""

    exit_code: ClassVar[int] = 1


class Dask(Executor):
    """Runs cohorts on the workers of a Dask cluster, one on each of their threads.

    Args:
        address: of the scheduler; or a cluster object of Dask, such as `dask_jobqueue.SLURMCluster`.
        tls: certificates for tls://; by default those of Dask's configuration.
        connect_seconds: timeout of the connection to the scheduler.
    """

    def __init__(self, address: Any, tls: TLS | None = None, connect_seconds: float = 10.0) -> None:
        self.cluster, self.tls, self.connect_seconds = address, tls, connect_seconds
        self.address = str(getattr(address, "scheduler_address", address))
        self.connection: distributed.Client | None = None
        self.threads: dict[str, int] = {}  # number of threads by address of a worker
        self.updated = self.reminded = -REMIND_SECONDS  # times of the last update of `threads` and the last reminder
        self.checked: set[str] = set()  # workers that were compared with this process
        self.refused: dict[str, str] = {}  # workers that get no cohort, and why
        self.tasks: dict[str, _Task] = {}

    @property
    def client(self) -> distributed.Client:
        """The connection, made on first use.

        Raises:
            UserError: no scheduler answers.
        """
        if self.connection is None:
            logging.getLogger("distributed.batched").setLevel(logging.WARNING)  # `ClusterLost` reports a lost scheduler
            security = None
            if self.tls:
                files = {"tls_ca_file": self.tls.ca, "tls_client_cert": self.tls.cert, "tls_client_key": self.tls.key}
                security = distributed.Security(require_encryption=True, **files)
            gc.collect()  # collected while the next one starts, an earlier Client would wait for its lock for ever
            try:
                self.connection = distributed.Client(
                    self.cluster, security=security, timeout=self.connect_seconds, set_as_default=False, name="farback"
                )
            except (OSError, ValueError, TypeError) as error:
                hint = "start one with `dask scheduler`, or check the address and the TLS files"
                raise UserError(f"no Dask scheduler answers at {self.address}: {hint} ({_line(error)})") from None
        return self.connection

    @property
    @override
    def size(self) -> int:
        """The threads of all usable workers, or 1 while there is no worker."""
        with self._scheduler_errors():
            return self._usable_threads()

    @override
    def map(self, function: Work, items: Iterable[Cohort | None]) -> Iterator[tuple[Cohort, Event]]:
        """Events as they arrive from all workers.

        Raises:
            ClusterLost: the scheduler is gone.
            UserError: every worker has other versions than this process.
        """
        queue = CohortQueue(items)
        with self._scheduler_errors():
            channel = distributed.Queue(f"farback-{uuid.uuid4().hex}", client=self.client, maxsize=MAX_MESSAGES)
        try:
            self._submit(function, queue, channel)
            while self.tasks:
                if self.finishing and not queue.closed:
                    yield from self._finish(queue)
                with self._scheduler_errors():
                    self._usable_threads()
                    ended = self._ended()  # asked before reading, because a task's last message may be unread
                    messages = self._messages(channel)
                for message in messages:
                    yield from self._handle(message, queue)
                for key in ended:
                    if key in self.tasks:
                        yield from self._worker_died(key, queue)
                self._submit(function, queue, channel)
        finally:
            with suppress(Exception):  # the scheduler may be gone
                for task in self.tasks.values():
                    task.future.release()
                channel.close()
            self.tasks = {}

    @override
    def drop(self, keys: Iterable[str]) -> None:
        keys = frozenset(keys)
        for name, task in self.tasks.items():
            own = keys & frozenset(task.cohort.keys)
            if own and task.attempt:
                self._send_request(name, Request(own))

    @override
    def __exit__(self, *error: object) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close(timeout=2)

    # From the driver to the tasks

    def _submit(self, function: Work, queue: CohortQueue, channel: distributed.Queue) -> None:
        """Submit a cohort for each free thread."""
        with self._scheduler_errors():
            threads = self._usable_threads()
        while len(self.tasks) < threads and not self.finishing and (cohort := queue.take()) is not None:
            key = f"farback-{uuid.uuid4().hex}"
            payload = pickle.dumps((function, cohort))
            with self._scheduler_errors():
                workers = [name for name in self.threads if name not in self.refused] if self.refused else None
                future = self.client.submit(
                    run_cohort, key, channel.name, payload, key=key, pure=False, workers=workers, retries=0
                )
            self.tasks[key] = _Task(RunningCohort(cohort), future)

    def _finish(self, queue: CohortQueue) -> Iterator[tuple[Cohort, Event]]:
        """Request the end of tasks that train, and cancel the others."""
        queue.closed = True
        for key, task in list(self.tasks.items()):
            if task.attempt:
                self._send_request(key, Request(finish=True))
            else:
                self._cancel(key)
                yield from task.cohort.paused()

    def _send_request(self, key: str, request: Request) -> None:
        """Send a request to the worker of a task that has asked for permission; nothing if the worker is gone."""
        task = self.tasks[key]
        with self._scheduler_errors():
            self._update_workers()
            if task.address in self.threads:
                arguments = key, task.attempt, request
                self.client.run(receive_request, *arguments, workers=[task.address], on_error="ignore")

    def _cancel(self, key: str) -> None:
        """Forget a task. If it still runs, it stops at its next check."""
        self.tasks.pop(key).future.release()

    # From the tasks to the driver

    def _messages(self, channel: distributed.Queue) -> list[TaskMessage]:
        """All unread messages. Waits up to POLL_SECONDS for the first."""
        try:
            first = channel.get(timeout=POLL_SECONDS)
        except TimeoutError:
            return []
        return [pickle.loads(data) for data in [first, *channel.get(batch=True)]]

    def _handle(self, message: TaskMessage, queue: CohortQueue) -> Iterator[tuple[Cohort, Event]]:
        task = self.tasks.get(message.task)
        if task is None:  # the task was cancelled
            return
        if message.kind == "ready":
            address, theirs = message.content
            self._check_worker(address, theirs)
            if task.attempt not in ("", message.attempt):
                yield from self._worker_died(message.task, queue)
            elif address in self.refused:
                self._cancel(message.task)
                queue.returned.appendleft(task.cohort.cohort)
            else:
                task.attempt, task.address = message.attempt, address
                self._send_request(message.task, Request())
        elif message.attempt == task.attempt and message.kind == "events":
            for event in message.content:
                task.cohort.update(event)
                yield task.cohort.cohort, event
        elif message.attempt == task.attempt:
            self._cancel(message.task)
            if message.kind == "error":
                yield from task.cohort.failed(*message.content)

    def _ended(self) -> list[str]:
        """Tasks that will send no message beyond the messages in the queue now."""
        return [
            key
            for key, task in self.tasks.items()
            if task.future.done() or (task.address and task.address not in self.threads)
        ]

    def _worker_died(self, key: str, queue: CohortQueue) -> Iterator[tuple[Cohort, Event]]:
        task = self.tasks[key]
        with self._scheduler_errors():
            failed = task.future.status == "error"
            error = task.future.exception(timeout=self.connect_seconds) if failed else None
        if isinstance(error, ModuleNotFoundError):
            raise UserError(
                f"a worker of {self.address} cannot import farback ({error}): install the same version there"
            )
        self._cancel(key)
        reason = _line(error) if error else "perhaps memory ran out"
        yield from queue.worker_died(task.cohort, f"the Dask worker {task.address} died ({reason})")

    # Workers

    def _update_workers(self) -> None:
        self.threads = dict(self.client.nthreads())
        self.updated = time.monotonic()
        if not self.threads and self.updated - self.reminded >= REMIND_SECONDS:
            self.reminded = self.updated
            log.warning("no worker has joined %s yet; start one with: dask worker %s", self.address, self.address)

    def _usable_threads(self) -> int:
        """The threads of workers that may get cohorts, or 1 while there is no worker."""
        if time.monotonic() - self.updated >= WORKERS_SECONDS:
            self._update_workers()
        usable = [threads for name, threads in self.threads.items() if name not in self.refused]
        if self.threads and not usable:
            reasons = "; ".join(f"{name} has {self.refused[name]}" for name in self.threads)
            raise UserError(
                f"every worker of {self.address} differs from this process: {reasons}. Install the same versions there"
            )
        return sum(usable) or 1

    def _check_worker(self, address: str, theirs: dict[str, str]) -> None:
        """Refuse a worker with other versions, which may compute other numbers; warn if its hardware differs."""
        if address in self.checked:
            return
        self.checked.add(address)
        if versions := differences(theirs, environment(), VERSIONS):
            self.refused[address] = versions
            log.warning("the worker %s has %s: nothing is trained there", address, versions)
        elif machine := differences(theirs, environment(), MACHINE):
            log.warning("the worker %s has %s: its results may differ in the last bits", address, machine)

    @contextmanager
    def _scheduler_errors(self) -> Iterator[None]:
        """Turn errors of the connection in this block into `ClusterLost`."""
        try:
            yield
        except (OSError, CancelledError) as error:
            if isinstance(error, TimeoutError) and self.client.status == "running":
                raise
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it prints a traceback when it closes
            raise ClusterLost(
                f"lost the Dask scheduler at {self.address} ({_line(error)}). Results and checkpoints are kept: run "
                "the same command again, with a scheduler and workers at this address or with --executor pool"
            ) from None


@dataclass
class _Task:
    """A submitted cohort, and the worker's address and the attempt that got permission to train it."""

    cohort: RunningCohort
    future: distributed.Future
    address: str = ""
    attempt: str = ""


def _line(error: BaseException) -> str:
    """An error as one line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")
