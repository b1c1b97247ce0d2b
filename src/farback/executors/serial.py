"""The reference: one cohort after the other, in this process."""

from __future__ import annotations

import traceback as tracebacks
from collections.abc import Iterable, Iterator
from types import TracebackType

from farback.executors.base import Executor, Open, Queue, Work, steered
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Request


class Serial(Executor):
    """Runs in this process: easiest to debug, and what the others must agree with bit for bit."""

    def __init__(self) -> None:
        self.dropped: set[str] = set()
        self._finishing = False

    @property
    def size(self) -> int:
        """One cohort."""
        return 1

    def drop(self, keys: Iterable[str]) -> None:
        """At the next update of the cohort that is training."""
        self.dropped |= set(keys)

    def finish(self) -> None:
        """At the next update."""
        self._finishing = True

    @property
    def finishing(self) -> bool:
        """Whether `finish` was called."""
        return self._finishing

    def map(self, function: Work, items: Iterable[Cohort | None]) -> Iterator[tuple[Cohort, Event]]:
        """One after the other."""
        queue = Queue(items)
        while not self._finishing and (cohort := queue.take()) is not None:
            still = Open(cohort)
            try:
                for event in steered(function(cohort), self._wishes):
                    still.seen(event)
                    yield cohort, event
            except Exception as error:  # whatever a cell or task raises is that cohort's failure, not the sweep's
                text = "".join(tracebacks.format_exception(error))
                yield from still.failed(f"{type(error).__name__}: {error}", text)

    def _wishes(self) -> Request:
        dropped, self.dropped = frozenset(self.dropped), set()
        return Request(dropped, self._finishing)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to let go of."""
