"""Multiply the two marked numbers of a long sequence."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.adding import answered, marked
from farback.tasks.base import Batch, Lags, Task
from farback.tasks.support.answers import Chance, Rung, Within


class Multiplication(Task):
    """At the last step, give the product of the two marked numbers.

    The sequences are those of `adding`: a number, uniform on [0, 1], and a mark at each of 2 * lag steps, with one mark
    in each half, so that the first lies at least `lag` steps back; `lag_BT` says how far it really was.

    Example (lag = 3; * is a mark):

        .5 .2* .9 .1 .8* .7   -> at the last step: 0.16

    Chance: always 1/4, mean squared error 7/144. Ladder: one number remembered, half of it is the best answer, 1/36.

    Source: Hochreiter and Schmidhuber 1997, experiment 5, with the marks placed as Arjovsky et al. 2016 place those of
    adding (1511.06464). Their tolerance of 0.04 decides what is right.
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
        value_BT, mark_BT, end_B, lag_B, number_B2 = marked(self, rng, size, lag_B)
        return answered(value_BT, mark_BT, end_B, lag_B, number_B2.prod(1))

    def chance(self) -> Chance:
        """Always 1/4: the variance of a product of two uniform numbers, and its mass P(XY < z) = z (1 - ln z) there."""

        def below(z: float) -> float:
            return 0.0 if z <= 0 else 1.0 if z >= 1 else z * (1 - math.log(z))

        return Chance(below(0.25 + self.tolerance) - below(0.25 - self.tolerance), 7 / 144)

    def ladder(self) -> list[Rung]:
        """None, one, both of the numbers. With x known, x / 2 is right where |y - 1/2| < tolerance / x."""
        chance, wide = self.chance(), 2 * self.tolerance
        one = wide * (1 - math.log(wide)) if wide < 1 else 1.0
        return [
            Rung("neither number", chance.accuracy, chance.loss),
            Rung("one of the two numbers", one, 1 / 36),
            Rung("both numbers", 1.0, 0.0),
        ]
