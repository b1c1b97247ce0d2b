"""The reference executor: one cohort after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from typing_extensions import override

from farback.executors.base import CohortQueue, Executor, RunningCohort, Work, described, with_requests
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Request


class Serial(Executor):
    """Runs cohorts in this process. It is the easiest to debug; the other executors must give the same bits."""

    size = 1

    def __init__(self) -> None:
        self.dropped: set[str] = set()

    @override
    def drop(self, keys: Iterable[str]) -> None:
        self.dropped |= set(keys)

    @override
    def map(self, function: Work, items: Iterable[Cohort | None]) -> Iterator[tuple[Cohort, Event]]:
        queue = CohortQueue(items)
        while not self.finishing and (cohort := queue.take()) is not None:
            running = RunningCohort(cohort)
            try:
                for event in with_requests(function(cohort), self._new_requests):
                    running.update(event)
                    yield cohort, event
            except Exception as error:  # an error in a cell or task must not end the other cohorts
                yield from running.failed(*described(error))

    def _new_requests(self) -> Request:
        dropped, self.dropped = frozenset(self.dropped), set()
        return Request(dropped, self.finishing)
