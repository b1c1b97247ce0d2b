"""When a fault strikes: at a random instant of a command's life, drawn from a seed that a failure prints."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from projects import TRIALS, Command

PHASES = ("start", "training", "page")


@dataclass(frozen=True)
class Pace:
    """How long each part of the command takes on this machine at present, in seconds."""

    start: float
    training: float
    page: float

    def of(self, phase: str) -> float:
        return float(getattr(self, phase))


class Instants:
    """Instants for one case.

    Args:
        seed: says which.
        pace: of the reference, which was never stopped.
        odds: of the three phases.
    """

    def __init__(self, seed: str, pace: Pace, odds: tuple[float, float, float] = (0.25, 0.6, 0.15)) -> None:
        self.rng = random.Random(seed)
        self.pace, self.odds = pace, odds

    def reach(self, command: Command, *, phase: str | None = None, share: float = 1.0) -> str:
        """Wait for one in a command; the phase that it fell into, or "" where the command ended before.

        Args:
            command: that was just started.
            phase: which part of its life; by default one at random.
            share: of that part, from its beginning, to draw from.
        """
        chosen = phase or self.rng.choices(PHASES, self.odds)[0]
        delay = self.rng.uniform(0, share) * self.pace.of(chosen)
        if chosen == "training":
            self._until(command, lambda: command.training)
        elif chosen == "page":
            self._until(command, lambda: command.training and command.project.recorded() == TRIALS)
        self.pause(command, delay)
        if not command.alive:
            return ""
        if not command.training:
            return "start"
        return "training" if command.project.recorded() < TRIALS else "page"

    def pause(self, command: Command, seconds: float) -> None:
        """Wait, but not for what has ended."""
        until = time.monotonic() + seconds
        while command.alive and (left := until - time.monotonic()) > 0:
            time.sleep(min(0.01, left))

    def _until(self, command: Command, ready: Callable[[], bool]) -> None:
        while command.alive and not ready():
            time.sleep(0.02)
