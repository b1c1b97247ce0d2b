"""The reference: one cohort after the other, in this process."""

from __future__ import annotations

import traceback as tracebacks
from collections.abc import Iterable, Iterator
from types import TracebackType

from farback.executors.base import Cohort, Executor, Open, Work
from farback.trial import Event


class Serial(Executor):
    """Runs in this process: easiest to debug, and what the others must agree with bit for bit."""

    def map(self, function: Work, items: Iterable[Cohort]) -> Iterator[tuple[Cohort, Event]]:
        """One after the other."""
        for cohort in items:
            still = Open(cohort)
            try:
                for event in function(cohort):
                    still.seen(event)
                    yield cohort, event
            except Exception as error:  # whatever a cell or task raises is that cohort's failure, not the sweep's
                text = "".join(tracebacks.format_exception(error))
                for event in still.failed(f"{type(error).__name__}: {error}", text):
                    yield cohort, event

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to let go of."""
