"""Time several functions in turns in one process, so that disturbances affect all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

WARM = 1  # untimed calls of each side, after the steps whose losses are compared
ROUNDS = 3  # at least...
MOST = 40  # ...and at most
TURN = 0.1  # seconds that the calls of one turn take at least
SETTLE = 0.1  # seconds before a turn, because threads of the last side may still be active (JAX's for 30 ms)


def interleaved(
    sides: Mapping[str, Callable[[], object]], seconds: float, blocks: Mapping[str, int] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Seconds of one call of each side, a reading a round, the sides taking turns at going first.

    Args:
        sides: the functions, by name.
        seconds: how long to repeat rounds; there are at least ROUNDS.
        blocks: how many calls a side computes at once, by name; 1 where it is not named. The calls of a turn are a
            multiple of it, so that every turn has as many computations as calls, wherever in a block it begins.
    """
    repeats: dict[str, int] = {}
    for name, call in sides.items():
        for _ in range(WARM):
            call()
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < TURN:
            call()
            count += 1
        block = (blocks or {}).get(name, 1)
        repeats[name] = -(-count // block) * block
    order = list(sides)
    rounds: list[dict[str, float]] = []
    began = time.perf_counter()
    while len(rounds) < ROUNDS or (time.perf_counter() - began < seconds and len(rounds) < MOST):
        rounds.append({name: reading(sides[name], repeats[name]) for name in order})
        order = [*order[1:], order[0]]
    return {name: np.array([each[name] for each in rounds]) for name in sides}


def reading(call: Callable[[], object], repeats: int) -> float:
    """Mean seconds of a few calls.

    If there are several, one more call before them is not timed: in a training loop the caches hold data of the last
    update, not of another side.
    """
    time.sleep(SETTLE)
    if repeats > 1:
        call()
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats
