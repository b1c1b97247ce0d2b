"""Advisory leases: which driver trains which trial, so that several drivers on one store share the work.

A driver publishes a heartbeat and lists of the keys that it trains, as texts that all drivers of an experiment can
read: tags of its MLflow experiment. Each driver writes only its own texts. A lease excludes nobody: two drivers that
lease a trial at the same moment both train it, record the same bits, and the newer run counts (docs/decisions/0025).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Protocol

from farback.system import processes

HEARTBEAT, LEASE = "farback.heartbeat.", "farback.lease."
KEYS_PER_TEXT = 200  # MLflow allows 5000 characters in a tag
BEAT_SECONDS = 60.0
SILENT_SECONDS = 600.0  # a driver on another machine counts as dead after this time without a heartbeat
JOIN_SECONDS = 5.0


class Heartbeat:
    """A thread that calls a function at a fixed interval, also after the function raised an exception."""

    def __init__(self, beat: Callable[[], None], seconds: float) -> None:
        self._beat, self._seconds = beat, seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="farback-heartbeat")

    def start(self) -> None:
        """Start the thread if it is not running."""
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self) -> None:
        """Stop; wait up to 5 s for a call in progress, which may hang on a server that does not answer."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            with suppress(Exception):  # the driver reports an unreachable store when it next uses it
                self._beat()


class Board(Protocol):
    """Texts by name that all drivers of an experiment read and write."""

    def read(self) -> Mapping[str, str]:
        """All texts."""

    def write(self, name: str, text: str) -> None:
        """Write a text, replacing an earlier one of that name."""

    def erase(self, name: str) -> None:
        """Remove a text, if it exists."""


class Leases:
    """The leases of one driver on the trials of one experiment."""

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
        self._beats = 0  # never restarts: other drivers count a repeated heartbeat as silence
        self._lists = 0
        self._held: dict[str, set[str]] = {}  # keys by the name of the text that lists them
        self._heard: dict[str, tuple[str, float]] = {}  # each other driver's last heartbeat, and when it changed
        self.dead: set[str] = set()  # processes of drivers that were found dead

    def take(self, keys: Iterable[str]) -> set[str]:
        """Lease trials; returns the keys that no other living driver has leased."""
        requested = set(keys)
        own = {key for held in self._held.values() for key in held} & requested
        free = sorted(requested - own - self._leased(self.board.read()).keys())
        for begin in range(0, len(free), KEYS_PER_TEXT):
            own |= self._take(free[begin : begin + KEYS_PER_TEXT])
        return own

    def release(self, keys: Iterable[str]) -> None:
        """End leases. Other drivers notice once all keys of a list are released, which saves writing."""
        released = set(keys)
        for name, held in list(self._held.items()):
            held -= released
            if not held:
                self._erase(name)

    def beat(self) -> None:
        """Renew the heartbeat, if anything is leased. May be called from another thread."""
        if self._is_announced:
            self._beats += 1
            self.board.write(HEARTBEAT + self.id, f"{self._beats} {self.process}")

    def look(self) -> None:
        """Look for dead drivers, remove their leases, and add their processes to `dead`."""
        self._leased(self.board.read())

    def close(self) -> None:
        """End all leases. After an error it may be called again."""
        for name in list(self._held):
            self._erase(name)
        if self._is_announced:
            self.board.erase(HEARTBEAT + self.id)
            self._is_announced = False

    def _take(self, keys: list[str]) -> set[str]:
        """Publish a list of keys; if two drivers publish a key at the same moment, the earlier one keeps it."""
        if not self._is_announced:
            self._is_announced = True
            self.beat()
        name, stamp = f"{LEASE}{self.id}.{self._lists}", f"{time.time_ns()}"
        self._lists += 1
        self._held[name] = set()  # if a call fails below, `release` and `close` still remove the text
        self.board.write(name, f"{stamp} {' '.join(keys)}")
        others = self._leased(self.board.read())
        kept = {key for key in keys if others.get(key, (stamp, self.id)) >= (stamp, self.id)}
        if not kept:
            self._erase(name)
            return kept
        if len(kept) < len(keys):
            self.board.write(name, f"{stamp} {' '.join(sorted(kept))}")
        self._held[name] = set(kept)
        return kept

    def _erase(self, name: str) -> None:
        self.board.erase(name)
        del self._held[name]

    def _leased(self, texts: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """The keys that other living drivers have leased, each with the time stamp and the driver of its lease."""
        heartbeats = {name.removeprefix(HEARTBEAT): text for name, text in texts.items() if name.startswith(HEARTBEAT)}
        owners = {name: name.removeprefix(LEASE).rpartition(".")[0] for name in texts if name.startswith(LEASE)}
        dead = set()
        for driver in {*heartbeats, *owners.values()} - {self.id}:
            heartbeat = heartbeats.get(driver, "")
            process = heartbeat.partition(" ")[2]
            if self._is_dead(driver, heartbeat, process):
                dead.add(driver)
                for name in [name for name, owner in owners.items() if owner == driver] + [HEARTBEAT + driver]:
                    self.board.erase(name)
                self.dead |= {process} - {""}
        leased: dict[str, tuple[str, str]] = {}
        for name, driver in owners.items():
            if driver not in {self.id, *dead}:
                stamp, *keys = texts[name].split()
                leased |= {key: min(leased.get(key, (stamp, driver)), (stamp, driver)) for key in keys}
        return leased

    def _is_dead(self, driver: str, heartbeat: str, process: str) -> bool:
        """Whether a driver's process is gone from this machine, or its heartbeat has not changed for too long."""
        now = self._clock()
        if self._heard.get(driver, (None, 0.0))[0] != heartbeat:
            self._heard[driver] = heartbeat, now
        if processes.is_dead(process):
            return True
        is_silent = now - self._heard[driver][1] >= self.silent_seconds
        return is_silent and not (processes.is_alive(process) and process != self.process)
