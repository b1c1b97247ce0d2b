"""A sign of life on the trials of this process, for other machines: they cannot ask whether its process is there."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from farback.search.study import LEASE_SECONDS, Study


class Pulse:
    """Counts up on every trial that this process trains, several times within a lease. Off where storage is local."""

    def __init__(self, is_local: bool) -> None:
        self.trials: dict[tuple[str, int], Study] = {}
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = None if is_local else threading.Thread(target=self._beat, daemon=True, name="farback-pulse")

    def add(self, study: Study, trial_id: int) -> None:
        """Begin with a trial."""
        with self._lock:
            self.trials[study.name, trial_id] = study

    def remove(self, study: Study, trial_id: int) -> None:
        """End with it."""
        with self._lock:
            self.trials.pop((study.name, trial_id), None)

    def _beat(self) -> None:
        count = 0
        while not self._ended.wait(LEASE_SECONDS / 6):
            count += 1
            with self._lock:
                alive = list(self.trials.items())
            for (_, trial_id), study in alive:
                study.note(trial_id, pulse=count)

    def __enter__(self) -> Self:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()
