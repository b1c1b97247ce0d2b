"""Multiply the two marked numbers of a long sequence."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.adding import marked_numbers, with_nearest_first_mark
from farback.tasks.base import Batch, Lags, Task, batch_once
from farback.tasks.support.answers import Chance, Rung, Within


class Multiplication(Task):
    """At the last step, give the product of the two marked numbers.

    The sequences are those of `adding`: a number, uniform on [0, 1], and a mark at each of 2 * lag steps, with one mark
    in each half but never on the last step, so that the first is at least `lag` steps back; `lag_BT` is the distance to
    the first mark.

    Example (lag = 3; * is a mark):

        .5 .2* .9 .1 .8* .7   -> at the last step: 0.16

    Chance: always answering 1/4, mean squared error 7/144. Ladder (partial memory): with one number remembered, half of
    that number is the best answer, mean squared error 1/36.

    Source: Hochreiter and Schmidhuber 1997, experiment 5, with their tolerance of 0.04 and the marks placed as in
    Arjovsky et al. 2016 (1511.06464), except that the last step is never marked.
    """

    inputs: ClassVar[int] = 2  # the number and the mark
    least_lag: ClassVar[int] = 2  # the second mark stands between the first one and the last step
    version: ClassVar[int] = 2  # 1: the last step could be marked
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.04

    @property
    def answer(self) -> Within:
        """A real number."""
        return Within(self.tolerance)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of 2 * lag steps."""
        input_BTI, end_B, number_B2, lag_B = marked_numbers(rng, self.lags(size, lag_B), self.lag)
        return batch_once(input_BTI, end_B, number_B2.prod(1), lag_B)

    def sample_exact(self, rng: np.random.Generator, size: int) -> Batch:
        """Draw sequences whose first mark is at the end of the first half."""
        return with_nearest_first_mark(self.sample(rng, size), self.lag)

    def chance(self) -> Chance:
        """The scores of always answering 1/4: accuracy P(|XY - 1/4| < tolerance), and the variance of XY, 7/144."""

        def below(z: float) -> float:
            """P(XY < z)."""
            return 0.0 if z <= 0 else 1.0 if z >= 1 else z * (1 - math.log(z))

        return Chance(below(0.25 + self.tolerance) - below(0.25 - self.tolerance), 7 / 144)

    def ladder(self) -> list[Rung]:
        """Models that know none, one or both numbers. With x known, x / 2 is right if |y - 1/2| < tolerance / x."""
        chance, wide = self.chance(), 2 * self.tolerance
        one = wide * (1 - math.log(wide)) if wide < 1 else 1.0
        return [
            Rung("neither number", chance.accuracy, chance.loss),
            Rung("one of the two numbers", one, 1 / 36),
            Rung("both numbers", 1.0, 0.0),
        ]
