"""The interface of executors, and the bookkeeping that all of them share."""

from __future__ import annotations

import time
import traceback as tracebacks
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from typing import Self

from farback.trials.cohort import Cohort, cohorts
from farback.trials.events import Checkpoint, Event, Failed, Halted, Paused, Request

Work = Callable[[Cohort], Iterable[Event | None]]  # trains a cohort; None gives the driver an occasion to send requests

MAX_DEATHS = 3  # dead workers per trial before it fails: one may die by chance, three suggest a fault of the trial
REQUEST_SECONDS = 0.05  # between checks for new requests while a training emits no event


class Executor(ABC):
    """Maps a function over cohorts and streams the events back. A context manager.

    An exception in the function ends the unfinished trials of its cohort with `Failed`. If a worker dies, another one
    resumes its trials from their last checkpoints; a trial fails after MAX_DEATHS dead workers. Other cohorts are not
    affected.
    """

    finishing = False  # whether `finish` was called

    @abstractmethod
    def map(self, function: Work, items: Iterable[Cohort | None]) -> Iterator[tuple[Cohort, Event]]:
        """Events as they arrive, each with its cohort, which is one of `items` or an unfinished part of one.

        Cohorts are taken from `items` as workers become idle. None in `items` means "no cohort yet, ask again after
        the next event"; if no cohort is training then, `map` ends.
        """

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of cohorts that run at the same time."""

    def prepare(self, function: Work, count: int) -> None:  # noqa: B027 - optional: it only saves time
        """Start up to `count` workers in the background, so that `map` need not wait for them."""

    def drop(self, keys: Iterable[str]) -> None:  # noqa: B027 - optional: it only saves time
        """Request that trials stop early, with `Pruned`. They may still finish first."""

    def finish(self) -> None:
        """Request that everything stops soon and for good. Safe to call in signal handlers and other threads.

        No new cohort starts. Running trials yield a `Checkpoint` and `Paused`, then `map` ends.
        """
        self.finishing = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:  # noqa: B027 - `Serial` has nothing to close
        """Close processes and connections."""


class RunningCohort:
    """A cohort on a worker: the keys of its unfinished trials, and their last checkpoints."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.keys = list(cohort.keys)
        self.checkpoints = {checkpoint.key: checkpoint for checkpoint in cohort.start}

    def update(self, event: Event) -> None:
        """Record an event of one of its trials."""
        if isinstance(event, Checkpoint):
            self.checkpoints[event.key] = event
        elif isinstance(event, Halted) and event.key in self.keys:
            self.keys.remove(event.key)

    def failed(self, error: str, traceback: str = "") -> Iterator[tuple[Cohort, Event]]:
        """A `Failed` event for each unfinished trial."""
        for key in self.keys:
            yield self.cohort, Failed(key, error, traceback)

    def paused(self) -> Iterator[tuple[Cohort, Event]]:
        """A `Paused` event for each unfinished trial, at its last checkpoint."""
        for key in self.keys:
            yield self.cohort, Paused(key, self.checkpoints[key].step if key in self.checkpoints else 0)

    def unfinished(self, keys: Collection[str]) -> list[Cohort]:
        """The trials with these keys, as cohorts that resume from the last checkpoints."""
        trials = [trial for trial in self.cohort.trials if trial.key in keys]
        return cohorts(trials, len(self.cohort.trials), self.checkpoints)


class CohortQueue:
    """The cohorts that a call of `map` has yet to start: what dead workers left, then the caller's items."""

    def __init__(self, items: Iterable[Cohort | None]) -> None:
        self.items = iter(items)
        self.returned: deque[Cohort] = deque()
        self.deaths: Counter[str] = Counter()
        self.closed = False

    def take(self) -> Cohort | None:
        """The next cohort, or None if there is none at present."""
        if self.closed:
            return None
        return self.returned.popleft() if self.returned else next(self.items, None)

    def worker_died(self, running: RunningCohort, reason: str) -> Iterator[tuple[Cohort, Event]]:
        """Put the unfinished trials of a dead worker back into the queue; trials with too many deaths fail instead.

        They come back in cohorts of half the size, because the machine may lack the memory for a whole one; before
        its last attempt each trial is alone, so that no trial fails because of another one.
        """
        if self.closed:
            yield from running.paused()
            return
        self.deaths.update(running.keys)
        failed = {key for key in running.keys if self.deaths[key] >= MAX_DEATHS}
        for key in failed:
            others = f"{MAX_DEATHS - 1} other workers died while training this trial"
            yield running.cohort, Failed(key, f"{reason}; before it, {others}")
        for cohort in running.unfinished(set(running.keys) - failed):
            last_attempt = max(self.deaths[key] for key in cohort.keys) == MAX_DEATHS - 1
            single = [part for key in cohort.keys for part in cohort.only({key})]
            self.returned.extend(single if last_attempt else cohort.halves())


def with_requests(events: Iterable[Event | None], new_requests: Callable[[], Request]) -> Iterator[Event]:
    """Yield events without None; send new requests to the training that makes the events, if it is a generator."""
    if not isinstance(events, Generator):
        yield from (event for event in events if event is not None)
        return
    request, checked = Request(), time.monotonic()
    try:
        event = next(events)
        while True:
            if event is not None:
                yield event
            if event is not None or time.monotonic() - checked >= REQUEST_SECONDS:
                request, checked = request | new_requests(), time.monotonic()
            event = events.send(request)  # sent each time, because a generator may ignore what `yield` returns
    except StopIteration:
        return
    finally:
        events.close()


def described(error: Exception) -> tuple[str, str]:
    """The message and the traceback of an exception, as `Failed` holds them."""
    return f"{type(error).__name__}: {error}", "".join(tracebacks.format_exception(error))
