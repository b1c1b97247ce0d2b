"""A board in memory, and drivers in threads that take turns at it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from farback.stores.leases import LEASE, Leases

SILENT_SECONDS = 10.0


class MemoryBoard:
    """A board and a clock. `before` is called before each access: other drivers may act, or this one may be killed."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.accesses: list[str] = []
        self.now = 0.0
        self.before: Callable[[], None] = lambda: None

    def read(self) -> Mapping[str, str]:
        self.before()
        self.accesses.append("read")
        return dict(self.texts)

    def write(self, name: str, text: str) -> None:
        self.before()
        self.accesses.append("write")
        self.texts[name] = text

    def erase(self, name: str) -> None:
        self.before()
        self.accesses.append("erase")
        self.texts.pop(name, None)

    def driver(self, process: str, ahead: float = 0.0) -> Leases:
        """A driver whose clock is so many seconds ahead."""
        return Leases(self, SILENT_SECONDS, process=process, clock=lambda: self.now + ahead)

    def fail_once(self, access: int, error: BaseException) -> None:
        """Raise an error before one access."""
        at = len(self.accesses) + access

        def fail() -> None:
            if len(self.accesses) == at:
                self.before = lambda: None
                raise error

        self.before = fail

    @property
    def leased(self) -> set[str]:
        """The keys of all lists; some may have been given back, but not yet the whole list."""
        return {key for name, text in self.texts.items() if name.startswith(LEASE) for key in text.split()[1:]}


class Player:
    """A driver and the keys that it holds; with a script, in a thread that makes one access of the board at a turn."""

    def __init__(self, leases: Leases, script: list[str] | None = None) -> None:
        self.leases, self.script, self.held = leases, script or [], set[str]()
        self.errors: list[BaseException] = []
        self.turn, self.back = threading.Semaphore(0), threading.Semaphore(0)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def act(self, what: str) -> None:
        verb, *keys = what.split()
        if verb == "take":
            self.held |= self.leases.take(keys)
        elif verb == "release":
            self.held -= set(keys)
            self.leases.release(keys)
        else:
            self.held = set() if verb == "close" else self.held
            getattr(self.leases, verb)()

    def give_turn(self) -> None:
        if self.script:
            self.turn.release()
            self.back.acquire()

    def end_turn(self) -> None:
        """Called before each access."""
        if threading.current_thread() is self.thread:
            self.back.release()
            self.turn.acquire()

    def _run(self) -> None:
        self.turn.acquire()
        try:
            for what in self.script:
                self.act(what)
        except BaseException as error:
            self.errors.append(error)
        self.script = []
        self.back.release()
