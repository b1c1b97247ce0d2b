"""A cohort on a Dask worker: trains, sends its events to the driver's queue, and looks for what the driver wishes."""

from __future__ import annotations

import pickle
import time
import traceback as tracebacks
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from distributed import Queue, get_worker

from farback.executors.base import steered
from farback.executors.compatibility import VERSIONS, differences, likeness
from farback.kernels.precompile import precompile
from farback.trials.events import Event, Progress, Request

AGAIN_SECONDS = 10.0  # until the driver is asked again whether to begin
SEND_SECONDS = 0.2  # between two messages of mere progress: a message takes about a millisecond, however much is in it
WISHES = "farback-wishes"  # among the worker's extensions: wishes by attempt


class Message(NamedTuple):
    """What a task tells the driver.

    Attributes:
        task: the key of the task.
        attempt: Dask starts a task anew when its worker dies: which start this is.
        kind: ready, refused, events, error or done.
        content: of who is ready or must not be its address and what it is like; events; an error and its traceback.
    """

    task: str
    attempt: str
    kind: str
    content: Any = None


def work(task: str, channel: str, ours: Mapping[str, str], given: bytes) -> None:
    """Do a cohort's work, telling everything over a queue: the task itself has no result.

    Args:
        task: its key.
        channel: the queue's name.
        ours: the driver's versions and machine.
        given: the function and the cohort, pickled, so that what cannot be loaded here is an error of this cohort.
    """
    line = _Line(task, channel)
    try:
        if differences(likeness(), ours, VERSIONS):
            line.say("refused", (line.address, likeness()))
            return
        line.wait()
        try:
            function, cohort = pickle.loads(given)
            precompile(trial.cell.kernel for trial in cohort.trials)
            for event in steered(function(cohort), line.wishes):
                line.add(event)
            line.flush()
            line.say("done")
        except _Gone:
            raise
        except Exception as error:
            line.flush()
            line.say("error", (f"{type(error).__name__}: {error}", "".join(tracebacks.format_exception(error))))
    except _Gone:
        return  # nobody is listening
    finally:
        line.close()


def tell(task: str, attempt: str, wish: Request, dask_worker: Any) -> None:
    """Run on a worker by the driver: leave a wish for a task; the first one, whatever it is, lets it begin."""
    if task in dask_worker.state.tasks:
        told = dask_worker.extensions.setdefault(WISHES, {})
        told[attempt] = told.get(attempt, Request()) | wish


class _Gone(Exception):
    """The driver has gone, or does not want this task any more."""


class _Line:
    """The way from a task to its driver."""

    def __init__(self, task: str, channel: str) -> None:
        self.worker: Any = get_worker()
        self.task, self.attempt = task, uuid.uuid4().hex
        self.address = str(self.worker.address)
        self.told: dict[str, Request] = self.worker.extensions.setdefault(WISHES, {})
        self.queue = Queue(channel)
        self.held: list[Event] = []
        self.sent = 0.0  # so that the first event goes at once

    def wait(self) -> None:
        """Until the driver lets this start of the task begin: the first one, and no other that Dask makes."""
        while True:
            self.say("ready", (self.address, likeness()))
            asked = time.monotonic()
            while time.monotonic() - asked < AGAIN_SECONDS:
                if self.attempt in self.told:
                    return
                self.look()
                time.sleep(0.002)

    def say(self, kind: str, content: Any = None) -> None:
        """Send one message; returns when the scheduler holds it, which may wait for the driver to read others."""
        data = pickle.dumps(Message(self.task, self.attempt, kind, content))
        try:
            self.queue.put(data)
        except Exception as error:  # of many kinds: no connection, no queue any more
            raise _Gone from error

    def add(self, event: Event) -> None:
        """Send an event: progress when there has been none for a while, what a dead worker would have lost at once."""
        self.held.append(event)
        if not isinstance(event, Progress) or time.monotonic() - self.sent >= SEND_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        held, self.held = self.held, []
        if held:
            self.say("events", held)
            self.sent = time.monotonic()

    def wishes(self) -> Request:
        """What the driver wishes of this task since the last look; an occasion to send what is held."""
        self.look()
        if time.monotonic() - self.sent >= SEND_SECONDS:
            self.flush()
        return self.told.pop(self.attempt, Request())

    def look(self) -> None:
        """Stop where the task was cancelled, by the driver or by its end."""
        known = self.worker.state.tasks.get(self.task)
        if known is None or known.state not in ("executing", "long-running"):
            raise _Gone

    def close(self) -> None:
        """Nothing more will come, or be asked."""
        self.told.pop(self.attempt, None)
        self.queue.close()
