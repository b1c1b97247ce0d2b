"""A thread that gives signs of life for a driver that waits or trains."""

from __future__ import annotations

import threading
from collections.abc import Callable

JOIN_SECONDS = 5.0


class Heart:
    """Calls a function every so many seconds until it is stopped; what the function raises is left to the next call."""

    def __init__(self, beat: Callable[[], None], seconds: float) -> None:
        self._beat, self._seconds = beat, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="farback-heart")

    def start(self) -> None:
        """Begin; once."""
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self) -> None:
        """End, and wait a little for a call that is under way: it may hang on a server that does not answer."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            try:
                self._beat()
            except Exception:  # the store cannot be reached: the driver says so when it next wants something of it
                continue
