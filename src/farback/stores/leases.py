"""Which driver trains which trial, agreed upon through a board of texts that all drivers of an experiment see.

Every driver writes only texts of its own: a sign of life, and for each batch of trials that it holds a list of their
keys. It writes its claim first and looks afterwards; so of two that write at once at least one sees the other, and who
sees another one withdraws, waits for a moment and comes again. No lock is needed and no common clock: whether a driver
lives is judged by whether its sign of life moves, in the looking driver's own time (docs/decisions/0013).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from farback.stores.client import ExperimentBoard, Tracking
from farback.system import processes

DRIVER, CLAIM, GRAVE = "farback.driver.", "farback.claim.", "farback.grave."
AT_ONCE = 200  # keys in one text: MLflow allows 5000 characters
ATTEMPTS = 8  # at trials that others ask for at that very moment; who gets none comes again when the rest is done
FIRST_WAIT = 0.05  # seconds, at most; twice as long each time


@dataclass(frozen=True)
class Lease:
    """How long a driver may be silent.

    Attributes:
        beat: seconds between two signs of life.
        seconds: of silence, after which a driver on another machine is taken for dead. One that was asleep for more
            than half of that looks whether its trials are still its own before it records anything.
    """

    beat: float = 60.0
    seconds: float = 600.0


class Board(Protocol):
    """Texts by name. What one driver has written is seen by every read that begins afterwards."""

    def read(self) -> Mapping[str, str]:
        """All texts as they were at one instant."""

    def write(self, name: str, text: str) -> None:
        """Put a text up, in place of an earlier one of that name."""

    def erase(self, name: str) -> None:
        """Take a text down; nothing where there is none."""


@dataclass
class _Seen:
    """Another driver: its last sign of life, when that was first seen, and for how long it has not changed since."""

    sign: str
    looked: float
    silent: float = 0.0


class Claims:
    """The claims of one driver on the trials of one experiment. `beat` may be called from another thread."""

    def __init__(
        self,
        board: Board,
        lease: Lease | None = None,
        *,
        owner: str | None = None,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is written before the first claim.

        Args:
            board: of the experiment.
            lease: how long a driver may be silent.
            owner: who we are, as `owners.owner` says it.
            clock: seconds, which go on while the machine sleeps.
            sleep: waits for so many seconds.
        """
        self.board, self.lease = board, lease or Lease()
        self.owner = owner or processes.identity()
        self.buried: set[str] = set()  # owners that were found dead; the store closes their runs
        self._clock, self._sleep = clock or awake, sleep
        self._lock = threading.RLock()
        self._rng = secrets.SystemRandom()
        self._seen: dict[str, _Seen] = {}
        self._lost: set[str] = set()
        self._beats = 0
        self._reborn()

    def _reborn(self) -> None:
        self.id = secrets.token_hex(6)
        self._proven: float | None = None  # when we last certainly lived in the eyes of others
        self._held: dict[str, set[str]] = {}  # keys by the name of the text that claims them
        self._batches = 0

    # What a driver does

    def take(self, keys: Iterable[str]) -> set[str]:
        """Claim trials; those that are now ours, and that no other living driver holds."""
        with self._lock:
            self._confirm()
            wanted = list(dict.fromkeys(keys))
            ours = {key for key in wanted if self.holds(key)}
            rest = [key for key in wanted if key not in ours]
            for begin in range(0, len(rest), AT_ONCE):
                ours |= self._take(rest[begin : begin + AT_ONCE])
            self._lost -= ours
            return ours

    def release(self, keys: Iterable[str]) -> None:
        """Give trials back. Others see it when the last one of a batch is back, for the price of one text."""
        with self._lock:
            back = set(keys)
            for name, held in list(self._held.items()):
                held -= back
                if not held:
                    self.board.erase(name)
                    del self._held[name]

    def holds(self, key: str) -> bool:
        """Whether a trial was ours when we last looked."""
        return any(key in held for held in self._held.values())

    @property
    def sure(self) -> bool:
        """Whether nobody can have taken us for dead since we last gave a sign of life, if we ever did."""
        return self._proven is None or self._clock() - self._proven <= self.lease.seconds / 2

    def lost(self, key: str) -> bool:
        """Whether a trial that was ours has been taken by another driver, who took us for dead. Looks if need be."""
        with self._lock:
            self._confirm()
            return key in self._lost

    def beat(self) -> None:
        """Give a sign of life where we hold anything, and look at those of the others."""
        with self._lock:
            if self._proven is not None:
                self._live()

    def look(self) -> set[str]:
        """The keys that other living drivers hold. Those found dead are buried."""
        with self._lock:
            return self._others(self.board.read())

    def close(self) -> None:
        """Give everything back and go."""
        with self._lock:
            if self._proven is not None:
                for name in [*self._held, DRIVER + self.id]:
                    self.board.erase(name)
            self._reborn()

    # Taking

    def _take(self, wanted: list[str]) -> set[str]:
        ours: set[str] = set()
        for attempt in range(ATTEMPTS):
            settled = self._others(self.board.read())  # held by others before we asked: there is nothing to compete for
            free = [key for key in wanted if key not in settled]
            if not free:
                break
            if self._proven is None:
                self._live()
            name = f"{CLAIM}{self.id}.{self._batches}"
            self._batches += 1
            self._held[name] = set()
            self.board.write(name, " ".join(free))
            contested = self._others(self.board.read()) & set(free)
            self._settle(name, free, contested)
            ours |= set(free) - contested
            wanted = [key for key in free if key in contested]
            if not wanted:
                break
            self._sleep(self._rng.uniform(0, FIRST_WAIT * 2**attempt))
        return ours

    def _settle(self, name: str, asked: list[str], contested: set[str]) -> None:
        """Withdraw from what others want, too. What stays ours is claimed all the while."""
        kept = [key for key in asked if key not in contested]
        if not kept:
            self.board.erase(name)
            del self._held[name]
        elif contested:
            self.board.write(name, " ".join(kept))
        if kept:
            self._held[name] = set(kept)

    # Living

    def _confirm(self) -> None:
        """Where we were silent for long, show that we live and see what is still ours."""
        if not self.sure:
            self._live()

    def _live(self) -> None:
        """Give a sign of life, then look whether anyone had buried us."""
        began = self._clock()
        self._beats += 1
        self.board.write(DRIVER + self.id, f"{self._beats} {self.owner}")
        texts = self.board.read()
        whole = all(name in texts for name, held in self._held.items() if held)
        if GRAVE + self.id in texts or not whole:
            self._lost |= {key for held in self._held.values() for key in held}
            self._erase(self.id, texts)
            self._reborn()
        else:
            self._proven = began
            self._others(texts)

    # Others

    def _others(self, texts: Mapping[str, str]) -> set[str]:
        """The keys that others hold by these texts, once the dead are buried."""
        now = self._clock()
        signs = {name.removeprefix(DRIVER): sign for name, sign in texts.items() if name.startswith(DRIVER)}
        claimed: dict[str, set[str]] = {}
        for name, text in texts.items():
            if name.startswith(CLAIM):
                claimed.setdefault(name.removeprefix(CLAIM).rpartition(".")[0], set()).update(text.split())
        for driver in (claimed.keys() | signs.keys()) - {self.id}:
            if self._is_dead(driver, signs.get(driver, ""), now) and self._bury(driver):
                claimed.pop(driver, None)
        self._seen = {driver: seen for driver, seen in self._seen.items() if driver in claimed or driver in signs}
        return {key for driver, keys in claimed.items() if driver != self.id for key in keys}

    def _is_dead(self, driver: str, sign: str, now: float) -> bool:
        """Whether a driver is gone from this machine, or was silent for a lease.

        Only time between two looks that are close to each other counts: while the store could not be reached, nobody
        could give a sign.
        """
        seen = self._seen.get(driver)
        if seen is None or seen.sign != sign:
            self._seen[driver] = seen = _Seen(sign, now)
        seen.silent += min(now - seen.looked, 2 * self.lease.beat)
        seen.looked = now
        owner = sign.partition(" ")[2]
        if processes.is_dead(owner):
            return True
        lives = processes.is_alive(owner) and owner != self.owner  # of ours, one that was never closed may be left
        return seen.silent >= self.lease.seconds and not lives

    def _bury(self, driver: str) -> bool:
        """Take down what a dead driver left; False where it turns out to live.

        The grave is dug before the last look, and a driver that wakes gives its sign of life before it looks for a
        grave: so either we see the sign, or it sees the grave or that its claims are gone.
        """
        before = self._seen[driver].sign
        self.board.write(GRAVE + driver, self.id)
        texts = self.board.read()
        if texts.get(DRIVER + driver, "") != before:
            self.board.erase(GRAVE + driver)
            return False
        self._erase(driver, texts)
        if before:
            self.buried.add(before.partition(" ")[2])
        return True

    def _erase(self, driver: str, texts: Collection[str]) -> None:
        """The grave goes last: who wakes in between sees it."""
        for name in [name for name in texts if name.startswith(f"{CLAIM}{driver}.")]:
            self.board.erase(name)
        self.board.erase(DRIVER + driver)
        self.board.erase(GRAVE + driver)


def awake() -> float:
    """Seconds that go on while the machine sleeps, where the system can tell them."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


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


class Holding:
    """The claims of this driver. Nothing is written, and no thread started, before the first one."""

    def __init__(self, tracking: Tracking, experiment_id: str, lease: Lease) -> None:
        self._keep = tracking.patience.keep
        self._claims = Claims(ExperimentBoard(tracking, experiment_id), lease)
        self._heart = Heart(self._claims.beat, lease.beat)

    def take(self, keys: Collection[str]) -> set[str]:
        """Claim trials; those that are now ours."""
        self._heart.start()
        return self._keep(lambda: self._claims.take(keys))

    def release(self, keys: Collection[str]) -> None:
        """Give trials back."""
        self._keep(lambda: self._claims.release(keys))

    def lost(self, key: str) -> bool:
        """Whether a trial that was ours has been taken over."""
        return self._keep(lambda: self._claims.lost(key))

    @property
    def sure(self) -> bool:
        """Whether nobody can have taken us for dead."""
        return self._claims.sure

    def dead(self) -> set[str]:
        """Look around; the owners that were found dead since this was last asked."""
        self._keep(self._claims.look)
        return self.found_dead()

    def found_dead(self) -> set[str]:
        """The same without another look."""
        found, self._claims.buried = self._claims.buried, set()
        return found

    def close(self) -> None:
        """Give everything back."""
        self._heart.stop()
        self._keep(self._claims.close)
