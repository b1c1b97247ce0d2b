"""Where cohorts run: this process, a process pool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

from farback.trial import Event, Failed, Finished, Trial

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
        if isinstance(event, Finished | Failed) and event.key in self.keys:
            self.keys.remove(event.key)

    def failed(self, error: str, traceback: str = "") -> Iterator[Failed]:
        """A failure for each trial that is left."""
        for key in self.keys:
            yield Failed(key, error, traceback)
