"""Add the two marked numbers of a long sequence."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.answers import Chance, Rung, Within
from farback.tasks.base import Batch, Lags, Task, batch


class Adding(Task):
    """At the last step, give the sum of the two marked numbers.

    Each step shows a number, uniform on [0, 1], and a mark. One mark stands in each half of the sequence, as Arjovsky,
    Shah and Bengio 2016 place them, so that the first lies at least half a sequence back: `lag` is that least lag, and
    the sequence has 2 * lag steps. `lag_BT` says how far back the first mark really was, lag to 2 * lag - 1.

    Example (lag = 3; * is a mark):

        .5 .2* .9 .1 .8* .7   -> at the last step: 1.0

    Chance: always 1, mean squared error 1/6. Ladder: one number remembered, 1/12.

    Source: Hochreiter and Schmidhuber 1997, experiment 4; this form from Arjovsky et al. 2016 (1511.06464). Their
    tolerance of 0.04 decides what is right.
    """

    least_lag: ClassVar[int] = 1
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.04

    @property
    def inputs(self) -> int:
        """The number and the mark."""
        return 2

    @property
    def answer(self) -> Within:
        """A real number."""
        return Within(self.tolerance)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of 2 * lag steps."""
        lag_B = self.lags(size, lag_B)
        steps = 2 * self.lag
        row_B = np.arange(size)
        value_BT = rng.random((size, steps), dtype=np.float32)
        first_B, second_B = rng.integers(0, lag_B), rng.integers(lag_B, 2 * lag_B)
        input_BTI = np.zeros((size, steps, 2), dtype=np.float32)
        input_BTI[:, :, 0] = value_BT
        input_BTI[row_B, first_B, 1] = 1.0
        input_BTI[row_B, second_B, 1] = 1.0
        end_B = 2 * lag_B - 1
        target_BT = np.zeros((size, steps), dtype=np.float32)
        target_BT[row_B, end_B] = value_BT[row_B, first_B] + value_BT[row_B, second_B]
        lag_BT = np.full((size, steps), -1, dtype=np.int64)
        lag_BT[row_B, end_B] = end_B - first_B
        return batch(input_BTI, target_BT, lag_BT)

    def chance(self) -> Chance:
        """Always 1: the variance of a sum of two uniform numbers, and the mass of its density within the tolerance."""
        return Chance(1 - (1 - self.tolerance) ** 2, 1 / 6)

    def ladder(self) -> list[Rung]:
        """None, one, both of the numbers."""
        chance = self.chance()
        one = Rung("one of the two numbers", min(1.0, 2 * self.tolerance), 1 / 12)
        return [Rung("neither number", chance.accuracy, chance.loss), one, Rung("both numbers", 1.0, 0.0)]
