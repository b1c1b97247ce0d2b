"""Where cohorts run: this process, a process pool, a Dask cluster."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from types import TracebackType
from typing import Self

from farback.trials.cohort import Cohort, cohorts
from farback.trials.events import Checkpoint, Event, Failed, Halted, Paused, Request

Work = Callable[[Cohort], Iterable[Event | None]]

MOST_DEATHS = 3  # of a trial's workers: one may be killed by chance, but what kills three is not the machine's fault
LOOK_SECONDS = 0.05  # between looks at what is wished, while a training has nothing to say


class Executor(ABC):
    """The base of the executors: a context manager that maps a function over cohorts and streams the events back.

    An exception in the work ends as `Failed` events for those trials of its cohort that had not ended. A worker that
    dies costs nothing but the time since its last checkpoints: another one goes on from these, until the same trial has
    seen MOST_DEATHS of them. The other cohorts go on whatever happens.
    """

    @abstractmethod
    def map(self, function: Work, items: Iterable[Cohort | None]) -> Iterator[tuple[Cohort, Event]]:
        """Events as they come, each with the cohort that it belongs to: one of `items`, or what was left of it.

        `items` are taken as workers fall idle. None among them means that there is nothing for now, and perhaps more
        after the next event; where nothing trains, it is the end.
        """

    @property
    @abstractmethod
    def size(self) -> int:
        """How many cohorts it runs at a time."""

    def prepare(self, function: Work, count: int) -> None:  # noqa: B027 - to do nothing is right, only slower
        """Begin what takes time before so many cohorts can be mapped, while the caller does something else."""

    def drop(self, keys: Iterable[str]) -> None:  # noqa: B027 - to do nothing is right, only slower
        """Ask that trials be given up. They may still end as if nobody had asked: it saves time, and decides nothing.

        A trial that is given up ends as `Pruned`.
        """

    @abstractmethod
    def finish(self) -> None:
        """Ask everything to come to an end soon: for now and for good, from a signal handler or another thread, too.

        No cohort is begun any more; those that train yield a `Checkpoint` and `Paused` for each of their trials, and
        `map` ends.
        """

    @property
    @abstractmethod
    def finishing(self) -> bool:
        """Whether `finish` was called."""

    def __enter__(self) -> Self:
        """Enter."""
        return self

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of processes and connections."""


class Open:
    """A cohort while a worker has it: the trials that have not ended yet, and their last checkpoints."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.keys = list(cohort.keys)
        self.last = {one.key: one for one in cohort.start}

    def seen(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Checkpoint):
            self.last[event.key] = event
        elif isinstance(event, Halted) and event.key in self.keys:
            self.keys.remove(event.key)

    def step(self, key: str) -> int:
        """Where a trial can go on from."""
        return self.last[key].step if key in self.last else 0

    def failed(self, error: str, traceback: str = "") -> Iterator[tuple[Cohort, Event]]:
        """A failure for each trial that is left."""
        for key in self.keys:
            yield self.cohort, Failed(key, error, traceback)

    def rest(self, keys: Collection[str]) -> list[Cohort]:
        """Some of its trials as cohorts that go on from where each was last seen."""
        trials = [trial for trial in self.cohort.trials if trial.key in keys]
        return cohorts(trials, len(self.cohort.trials), self.last)


class Queue:
    """What one `map` still has to hand out: what dead workers left, then the caller's cohorts as they can be run."""

    def __init__(self, items: Iterable[Cohort | None]) -> None:
        self.items = iter(items)
        self.left: deque[Cohort] = deque()
        self.deaths: Counter[str] = Counter()
        self.closed = False

    def take(self) -> Cohort | None:
        """The next cohort; None where there is none, for now or at all."""
        if self.closed:
            return None
        return self.left.popleft() if self.left else next(self.items, None)

    def died(self, still: Open, reason: str) -> Iterator[tuple[Cohort, Event]]:
        """Take back what a worker left that died: a failure for each trial that has seen too many deaths.

        Others come again in cohorts half as wide, for the memory of a whole one may be what the machine lacks; and
        before their last chance alone, so that no trial fails for what another one did.

        Args:
            still: what the worker was at.
            reason: why it died, for people.
        """
        if self.closed:
            yield from ((still.cohort, Paused(key, still.step(key))) for key in still.keys)
            return
        self.deaths.update(still.keys)
        lost = [key for key in still.keys if self.deaths[key] >= MOST_DEATHS]
        for key in lost:
            yield still.cohort, Failed(key, f"{reason}, as did {MOST_DEATHS - 1} others at this trial")
        for cohort in still.rest(set(still.keys) - set(lost)):
            last_chance = max(self.deaths[key] for key in cohort.keys) == MOST_DEATHS - 1
            alone = [one for key in cohort.keys for one in cohort.only({key})]
            self.left.extend(alone if last_chance else cohort.halves())

    def close(self) -> None:
        """Hand nothing out any more."""
        self.closed = True


def steered(events: Iterable[Event | None], wishes: Callable[[], Request]) -> Iterator[Event]:
    """Events, their generator being told what is wished of it.

    Args:
        events: work in progress, None where it only gives an occasion to be told; what is no generator cannot be told.
        wishes: what came up since the last call.
    """
    if not isinstance(events, Generator):
        yield from (event for event in events if event is not None)
        return
    wish, looked = Request(), time.monotonic()
    try:
        event = next(events)
        while True:
            if event is not None:
                yield event
            if event is not None or time.monotonic() - looked >= LOOK_SECONDS:
                wish, looked = wish | wishes(), time.monotonic()
            event = events.send(wish)  # again and again, for not every event listens
    except StopIteration:
        return
    finally:
        events.close()
