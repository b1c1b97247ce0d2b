"""Repeat a signal `lag` steps later: memory as a buffer of real numbers."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch_from
from farback.tasks.support.answers import Chance, Rung, Within, quarters

HALF_WIDTH = math.sqrt(3)  # a uniform number on +-sqrt(3) has variance 1


class Delay(Task):
    """At every step from the lag on, give the number shown `lag` steps ago.

    The signal is white noise of mean 0 and variance 1. The state must hold `lag` numbers. Skill is R2 of the answers,
    which is the memory function MC_k of the network at k = lag.

    Example (lag = 2; . is not asked):

        .3 -1.1 .7 .2 -.5   -> . . .3 -1.1 .7

    Chance: always answering 0, mean squared error 1. Ladder (partial memory): a fraction of the numbers known.

    Source: the delay line of echo state networks, Jaeger 2001 (GMD report 152).
    """

    inputs: ClassVar[int] = 1  # the number
    mixes: ClassVar[bool] = False
    signal: Literal["uniform", "normal"] = "uniform"
    asked: Annotated[int, Field(ge=1, le=10_000)] = 20
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @property
    def answer(self) -> Within:
        """A real number."""
        return Within(self.tolerance)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + asked steps."""
        lag, shape = self.one_lag(size, lag_B), (size, self.lag + self.asked)
        drawn_BT = rng.uniform(-HALF_WIDTH, HALF_WIDTH, shape) if self.signal == "uniform" else rng.normal(size=shape)
        value_BT = drawn_BT.astype(np.float32)
        return batch_from(value_BT[..., None], lag, value_BT[:, : self.asked])

    def chance(self) -> Chance:
        """The scores of always answering 0: accuracy P(|number| < tolerance), and as squared error the variance, 1."""
        near = self.tolerance / HALF_WIDTH if self.signal == "uniform" else math.erf(self.tolerance / math.sqrt(2))
        return Chance(near, 1.0)

    def ladder(self) -> list[Rung]:
        """Models that know none, a quarter, a half, three quarters or all of the numbers, and else answer 0."""
        return quarters("numbers", self.chance())
