"""Random instants for faults, drawn from a seed that is printed when a test fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from projects import TRIALS, Command

PHASES = ("start", "training", "page")


@dataclass(frozen=True)
class Pace:
    """The seconds that each phase of the command takes on this machine at present."""

    start: float
    training: float
    page: float

    def of(self, phase: str) -> float:
        return float(getattr(self, phase))


class Instants:
    """Random instants for one test case.

    Args:
        seed: of the random generator.
        pace: of the command without faults.
        odds: probability of each phase.
    """

    def __init__(self, seed: str, pace: Pace, odds: tuple[float, float, float] = (0.25, 0.6, 0.15)) -> None:
        self.rng = random.Random(seed)
        self.pace, self.odds = pace, odds

    def reach(self, command: Command, *, phase: str | None = None, share: float = 1.0) -> str:
        """Wait for a random instant of a command; returns its phase, or "" if the command ended first.

        Args:
            command: just started.
            phase: of the instant; by default a random one.
            share: the instant is in this first part of the phase; if the phase is random, this holds for training only.
        """
        chosen = phase or self.rng.choices(PHASES, self.odds)[0]
        delay = self.rng.uniform(0, share if phase or chosen == "training" else 1) * self.pace.of(chosen)
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
        """Sleep, but no longer than the command runs."""
        until = time.monotonic() + seconds
        while command.alive and (left := until - time.monotonic()) > 0:
            time.sleep(min(0.01, left))

    def _until(self, command: Command, ready: Callable[[], bool]) -> None:
        while command.alive and not ready():
            time.sleep(0.02)
