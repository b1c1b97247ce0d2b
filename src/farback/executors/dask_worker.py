"""The code that runs on a Dask worker: trains a cohort, sends events to the driver and receives its requests."""

from __future__ import annotations

import pickle
import time
import uuid
from typing import Any, NamedTuple

from distributed import Queue, get_worker

from farback.executors.base import described, with_requests
from farback.executors.compatibility import environment
from farback.kernels.precompile import precompile
from farback.trials.events import Event, Progress, Request

REPEAT_SECONDS = 10.0  # between two messages that ask the driver for permission to begin
SEND_SECONDS = 0.2  # between messages that hold only progress: a message takes about a millisecond, whatever its size
REQUESTS = "farback-requests"  # the extension of the Dask worker that holds new requests by attempt


class TaskMessage(NamedTuple):
    """A message from a task to the driver.

    Attributes:
        attempt: a new value each time Dask starts the task, as it does when a worker dies.
        kind: ready, events, error or done.
        content: for ready, the worker's address and environment; for events, a list; for error, its two texts.
    """

    task: str
    attempt: str
    kind: str
    content: Any = None


def run_cohort(task: str, queue: str, payload: bytes) -> None:
    """Train a cohort, with every result sent to a queue.

    The task itself unpickles the function and the cohort, so that an unpickling error is reported as the cohort's.
    """
    driver = _Driver(task, queue)
    try:
        driver.wait_for_permission()
        try:
            function, cohort = pickle.loads(payload)
            precompile(trial.cell.kernel for trial in cohort.trials)
            for event in with_requests(function(cohort), driver.new_requests):
                driver.add(event)
            driver.flush()
            driver.send("done")
        except _Stopped:
            raise
        except Exception as error:
            driver.flush()
            driver.send("error", described(error))
    except _Stopped:
        return
    finally:
        driver.close()


def receive_request(task: str, attempt: str, request: Request, dask_worker: Any) -> None:
    """Store a request for a task; the driver calls this on the task's worker. The first request permits the start."""
    if task in dask_worker.state.tasks:
        requests = dask_worker.extensions.setdefault(REQUESTS, {})
        requests[attempt] = requests.get(attempt, Request()) | request


class _Stopped(Exception):
    """The driver has gone, or has cancelled this task."""


class _Driver:
    """A task's connection to its driver."""

    def __init__(self, task: str, queue: str) -> None:
        self.worker: Any = get_worker()
        self.task, self.attempt = task, uuid.uuid4().hex
        self.requests: dict[str, Request] = self.worker.extensions.setdefault(REQUESTS, {})
        self.queue = Queue(queue)
        self.unsent: list[Event] = []
        self.sent = 0.0  # long ago, so that the first event is sent at once

    def wait_for_permission(self) -> None:
        """Wait until the driver permits this attempt; it never permits a second attempt of one task."""
        while True:
            self.send("ready", (str(self.worker.address), environment()))
            sent = time.monotonic()
            while time.monotonic() - sent < REPEAT_SECONDS:
                if self.attempt in self.requests:
                    return
                self.check_cancelled()
                time.sleep(0.002)

    def send(self, kind: str, content: Any = None) -> None:
        """Send one message. Blocks while the scheduler holds too many messages that the driver has not read."""
        data = pickle.dumps(TaskMessage(self.task, self.attempt, kind, content))
        try:
            self.queue.put(data)
        except Exception as error:  # many types: connection lost, queue deleted
            raise _Stopped from error

    def add(self, event: Event) -> None:
        """Send an event: progress in batches, everything else at once, so that a dying worker loses none of it."""
        self.unsent.append(event)
        if not isinstance(event, Progress) or time.monotonic() - self.sent >= SEND_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send the collected events."""
        events, self.unsent = self.unsent, []
        if events:
            self.send("events", events)
            self.sent = time.monotonic()

    def new_requests(self) -> Request:
        """The driver's requests since the last call. Also sends collected events that have waited long enough."""
        self.check_cancelled()
        if time.monotonic() - self.sent >= SEND_SECONDS:
            self.flush()
        return self.requests.pop(self.attempt, Request())

    def check_cancelled(self) -> None:
        """Raise `_Stopped` if the driver has cancelled the task or has ended."""
        state = self.worker.state.tasks.get(self.task)
        if state is None or state.state not in ("executing", "long-running"):
            raise _Stopped

    def close(self) -> None:
        self.requests.pop(self.attempt, None)
        self.queue.close()
