"""Where cohorts run: this process, a process pool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from types import TracebackType
from typing import Self

from farback.trial import Event, Failed, Finished, Stopped, Trial

Cohort = list[Trial]
Work = Callable[[Cohort], Iterable[Event]]


class Executor(ABC):
    """The base of the executors: a context manager that maps a function over cohorts and streams the events back.

    Whatever goes wrong with a cohort ends as `Failed` events for those of its trials that had not finished; the other
    cohorts go on.
    """

    @abstractmethod
    def map(self, function: Work, items: Iterable[Cohort]) -> Iterator[tuple[Cohort, Event]]:
        """Events as they come, each with the cohort that it belongs to."""

    def drop(self, keys: Iterable[str]) -> None:  # noqa: B027 - to do nothing is right, only slower
        """Ask that trials be given up. They may still end as if nobody had asked: it saves time, and decides nothing.

        A trial that is given up ends as `Stopped`.
        """

    def __enter__(self) -> Self:
        """Enter."""
        return self

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of processes and connections."""


class Open:
    """The trials of a cohort that have not ended yet."""

    def __init__(self, cohort: Cohort) -> None:
        self.keys = [trial.key for trial in cohort]

    def seen(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, Finished | Failed | Stopped) and event.key in self.keys:
            self.keys.remove(event.key)

    def failed(self, error: str, traceback: str = "") -> Iterator[Failed]:
        """A failure for each trial that is left."""
        for key in self.keys:
            yield Failed(key, error, traceback)


def steered(events: Iterable[Event], dropped: Callable[[], set[str]]) -> Iterator[Event]:
    """Events, their generator being told between two of them which trials have been given up.

    Args:
        events: work in progress; what is no generator cannot be told.
        dropped: keys given up since the last call.
    """
    if not isinstance(events, Generator):
        yield from events
        return
    told: set[str] = set()
    try:
        event = next(events)
        while True:
            yield event
            told |= dropped()
            event = events.send(told)  # again and again, for not every event listens
    except StopIteration:
        return
    finally:
        events.close()
