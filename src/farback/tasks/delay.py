"""Repeat a signal `lag` steps later: memory as a buffer of real numbers."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch
from farback.tasks.support.answers import Chance, Rung, Within

HALF_WIDTH = math.sqrt(3)  # a uniform number on +-sqrt(3) has variance 1


class Delay(Task):
    """At every step from the lag on, give the number of `lag` steps ago.

    The signal is white noise of mean 0 and variance 1. The state must hold `lag` numbers, and how well it does so is
    the memory function MC_k of the networks at that lag: skill is R2.

    Example (lag = 2; . is not asked):

        .3 -1.1 .7 .2 -.5   -> . . .3 -1.1 .7

    Chance: always 0, mean squared error 1. Ladder: a share of the numbers known.

    Source: the delay line of echo state networks, Jaeger 2001 (GMD report 152).
    """

    signal: Literal["uniform", "normal"] = "uniform"
    asked: Annotated[int, Field(ge=1, le=10_000)] = 20
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @property
    def mixes(self) -> bool:
        """Every lag is a question of its own."""
        return False

    @property
    def inputs(self) -> int:
        """One number."""
        return 1

    @property
    def answer(self) -> Within:
        """A real number."""
        return Within(self.tolerance)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + asked steps."""
        lag, shape = self.one_lag(size, lag_B), (size, self.lag + self.asked)
        drawn_BT = rng.uniform(-HALF_WIDTH, HALF_WIDTH, shape) if self.signal == "uniform" else rng.normal(size=shape)
        value_BT = drawn_BT.astype(np.float32)
        target_BT = np.zeros_like(value_BT)
        target_BT[:, lag:] = value_BT[:, : self.asked]
        lag_BT = np.full(shape, -1, dtype=np.int64)
        lag_BT[:, lag:] = lag
        return batch(value_BT[..., None], target_BT, lag_BT)

    def chance(self) -> Chance:
        """Always 0: the variance, and the mass within the tolerance."""
        near = self.tolerance / HALF_WIDTH if self.signal == "uniform" else math.erf(self.tolerance / math.sqrt(2))
        return Chance(near, 1.0)

    def ladder(self) -> list[Rung]:
        """A quarter, a half, three quarters of the numbers known, 0 for the rest."""
        chance = self.chance().accuracy
        return [
            Rung(f"{share:.0%} of the numbers", share + (1 - share) * chance, 1 - share)
            for share in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
