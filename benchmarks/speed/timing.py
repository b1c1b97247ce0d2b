"""Sides of a comparison, timed in turns in one process: what disturbs one disturbs the others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

WARM = 1  # untimed calls of each side, after the steps that are compared
ROUNDS = 3  # at least...
MOST = 40  # ...and at most
TURN = 0.1  # seconds of a side's turn, at least: its calls are repeated
SETTLE = 0.1  # seconds before a turn: threads of the side before may go on looking for work (JAX's do for 30 ms)


def interleaved(sides: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, NDArray[np.float64]]:
    """Seconds of one call of each side, a reading a round, the sides taking turns at going first.

    Args:
        sides: what is timed, by name.
        seconds: rounds go on for so long, once there are ROUNDS of them.
    """
    repeats: dict[str, int] = {}
    for name, call in sides.items():
        for _ in range(WARM):
            call()
        repeats[name] = max(1, math.ceil(TURN / max(1e-6, reading(call, 1))))
    order = list(sides)
    rounds: list[dict[str, float]] = []
    began = time.perf_counter()
    while len(rounds) < ROUNDS or (time.perf_counter() - began < seconds and len(rounds) < MOST):
        rounds.append({name: reading(sides[name], repeats[name]) for name in order})
        order = [*order[1:], order[0]]
    return {name: np.array([each[name] for each in rounds]) for name in sides}


def reading(call: Callable[[], object], repeats: int) -> float:
    """Mean seconds of a few calls, once nothing else runs.

    Where there are several, one before them is not timed: a training loop finds in the caches what its last update left
    there, not what another side did.
    """
    time.sleep(SETTLE)
    if repeats > 1:
        call()
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats
