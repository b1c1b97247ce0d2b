"""Advisory leases: which driver trains which trial, so that several drivers on one store share the work.

A driver announces itself with a heartbeat and with lists of the keys that it trains, as texts that all drivers of an
experiment can read: its tags in MLflow. It writes texts of its own only. A lease excludes nobody: two drivers that take
a trial at the same moment both train it, record the same bits, and the newer run counts (docs/decisions/0025).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from farback.system import processes

HEARTBEAT, LEASE = "farback.heartbeat.", "farback.lease."
KEYS_PER_TEXT = 200  # MLflow allows 5000 characters in a tag
BEAT_SECONDS = 60.0
SILENT_SECONDS = 600.0  # without a heartbeat, after which a driver on another machine counts as dead
JOIN_SECONDS = 5.0


class Heartbeat:
    """A thread that calls a function every so many seconds; an exception is left to the next call."""

    def __init__(self, beat: Callable[[], None], seconds: float) -> None:
        self._beat, self._seconds = beat, seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="farback-heartbeat")

    def start(self) -> None:
        """Start, once."""
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self) -> None:
        """Stop, waiting a little for a call in progress: it may hang on a server that does not answer."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            with suppress(Exception):  # the driver reports an unreachable store when it next needs it
                self._beat()


class Board(Protocol):
    """Texts by name that all drivers of an experiment read and write."""

    def read(self) -> Mapping[str, str]:
        """All texts."""

    def write(self, name: str, text: str) -> None:
        """Write a text, replacing an earlier one of that name."""

    def erase(self, name: str) -> None:
        """Remove a text, if it is there."""


@dataclass
class _Driver:
    """Another driver as its texts show it."""

    heartbeat: str = ""
    leases: dict[str, tuple[str, set[str]]] = field(default_factory=dict)  # text name -> time stamp, keys

    @property
    def process(self) -> str:
        return self.heartbeat.partition(" ")[2]


class Leases:
    """The leases of one driver on the trials of one experiment.

    Args:
        board: of the experiment.
        silent_seconds: without a heartbeat, after which a driver on another machine counts as dead.
        process: this driver's, as `processes.identity`.
        clock: seconds that only ever grow.
    """

    def __init__(
        self,
        board: Board,
        silent_seconds: float = SILENT_SECONDS,
        *,
        process: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.board, self.silent_seconds, self._clock = board, silent_seconds, clock
        self.process = process or processes.identity()
        self.id = secrets.token_hex(6)
        self._is_announced = False
        self._beats = 0  # never starts again: to others, a heartbeat that they have seen before is silence
        self._batches = 0
        self._held: dict[str, set[str]] = {}  # keys by the name of the text that lists them
        self._heard: dict[str, tuple[str, float]] = {}  # the last heartbeat of each other driver, and when it was new
        self.dead: set[str] = set()  # processes of drivers that were found dead

    def take(self, keys: Iterable[str]) -> set[str]:
        """Lease trials; of these keys, those that no other living driver has leased."""
        wanted = set(keys)
        ours = {key for held in self._held.values() for key in held} & wanted
        free = sorted(wanted - ours - self._leased(self.board.read()).keys())
        for begin in range(0, len(free), KEYS_PER_TEXT):
            ours |= self._take(free[begin : begin + KEYS_PER_TEXT])
        return ours

    def release(self, keys: Iterable[str]) -> None:
        """Give trials back. Others see it once a whole list is back, which saves writing."""
        back = set(keys)
        for name, held in list(self._held.items()):
            held -= back
            if not held:
                self.board.erase(name)
                del self._held[name]

    def beat(self) -> None:
        """Renew the heartbeat, if anything is leased. May be called from another thread."""
        if self._is_announced:
            self._beats += 1
            self.board.write(HEARTBEAT + self.id, f"{self._beats} {self.process}")

    def look(self) -> None:
        """Look for dead drivers, remove their leases, and add their processes to `dead`."""
        self._leased(self.board.read())

    def close(self) -> None:
        """Give everything back. After an error it may be called again."""
        for name in list(self._held):
            self.board.erase(name)
            del self._held[name]
        if self._is_announced:
            self.board.erase(HEARTBEAT + self.id)
            self._is_announced = False

    def _take(self, keys: list[str]) -> set[str]:
        """Announce a list of keys; of two drivers that announce a key at once, the earlier one keeps it."""
        if not self._is_announced:
            self._is_announced = True
            self.beat()
        name, stamp = f"{LEASE}{self.id}.{self._batches}", f"{time.time_ns()}"
        self._batches += 1
        self._held[name] = set()  # if an access fails below, `release` and `close` still remove the text
        self.board.write(name, f"{stamp} {' '.join(keys)}")
        others = self._leased(self.board.read())
        kept = {key for key in keys if others.get(key, (stamp, self.id)) >= (stamp, self.id)}
        if not kept:
            self.board.erase(name)
            del self._held[name]
        else:
            if len(kept) < len(keys):
                self.board.write(name, f"{stamp} {' '.join(sorted(kept))}")
            self._held[name] = set(kept)
        return kept

    def _leased(self, texts: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """The keys that other living drivers have leased, each with the time stamp and the driver of its lease."""
        drivers: dict[str, _Driver] = {}
        for name, text in texts.items():
            if name.startswith(HEARTBEAT):
                drivers.setdefault(name.removeprefix(HEARTBEAT), _Driver()).heartbeat = text
            elif name.startswith(LEASE):
                stamp, _, listed = text.partition(" ")
                driver = drivers.setdefault(name.removeprefix(LEASE).rpartition(".")[0], _Driver())
                driver.leases[name] = stamp, set(listed.split())
        drivers.pop(self.id, None)
        leased: dict[str, tuple[str, str]] = {}
        for identifier, driver in drivers.items():
            if self._is_dead(identifier, driver):
                self._remove(identifier, driver)
                continue
            for stamp, keys in driver.leases.values():
                leased |= {key: min(leased.get(key, (stamp, identifier)), (stamp, identifier)) for key in keys}
        return leased

    def _is_dead(self, identifier: str, driver: _Driver) -> bool:
        """Whether a driver's process is gone from this machine, or its heartbeat has not changed for too long."""
        now = self._clock()
        if self._heard.get(identifier, ("", 0.0))[0] != driver.heartbeat or identifier not in self._heard:
            self._heard[identifier] = driver.heartbeat, now
        if processes.is_dead(driver.process):
            return True
        silent = now - self._heard[identifier][1] >= self.silent_seconds
        return silent and not (processes.is_alive(driver.process) and driver.process != self.process)

    def _remove(self, identifier: str, driver: _Driver) -> None:
        for name in [*driver.leases, HEARTBEAT + identifier]:
            self.board.erase(name)
        if driver.process:
            self.dead.add(driver.process)
