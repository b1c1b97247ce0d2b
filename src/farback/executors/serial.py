"""The reference: one cohort after the other, in this process."""

from __future__ import annotations

import traceback as tracebacks
from collections.abc import Iterable, Iterator
from types import TracebackType

from farback.executors.base import Cohort, Executor, Open, Work, steered
from farback.trial import Event


class Serial(Executor):
    """Runs in this process: easiest to debug, and what the others must agree with bit for bit."""

    def __init__(self) -> None:
        self.dropped: set[str] = set()

    def drop(self, keys: Iterable[str]) -> None:
        """At the next event of the cohort that is training."""
        self.dropped |= set(keys)

    def map(self, function: Work, items: Iterable[Cohort]) -> Iterator[tuple[Cohort, Event]]:
        """One after the other."""
        for cohort in items:
            still = Open(cohort)
            try:
                for event in steered(function(cohort), self._taken):
                    still.seen(event)
                    yield cohort, event
            except Exception as error:  # whatever a cell or task raises is that cohort's failure, not the sweep's
                text = "".join(tracebacks.format_exception(error))
                for event in still.failed(f"{type(error).__name__}: {error}", text):
                    yield cohort, event

    def _taken(self) -> set[str]:
        taken, self.dropped = self.dropped, set()
        return taken

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to let go of."""
