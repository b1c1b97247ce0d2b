"""Add the two marked numbers of a long sequence."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from farback.records.record import Since
from farback.tasks.base import Batch, Lags, Task, batch
from farback.tasks.support.answers import Chance, Rung, Within

Numbers = NDArray[np.float32]


class Adding(Task):
    """At the last step, give the sum of the two marked numbers.

    Each step shows a number, uniform on [0, 1], and a mark. One mark stands in each half of the sequence, as Arjovsky,
    Shah and Bengio 2016 place them, so that the first lies at least half a sequence back: `lag` is that least lag, and
    the sequence has 2 * lag steps. `lag_BT` says how far back the first mark really was, lag to 2 * lag - 1.

    `numbers: symmetric` is Hochreiter and Schmidhuber's scaling: numbers X uniform on [-1, 1], and the answer is
    1/2 + (X1 + X2) / 4.

    Example (lag = 3; * is a mark):

        .5 .2* .9 .1 .8* .7   -> at the last step: 1.0

    Chance: always 1, mean squared error 1/6. Ladder: one number remembered, 1/12. With symmetric numbers: always 1/2,
    1/24, which is right already with probability 0.1536; 1/48.

    Source: Hochreiter and Schmidhuber 1997, experiment 4; this form from Arjovsky et al. 2016 (1511.06464). Their
    tolerance of 0.04 decides what is right.
    """

    least_lag: ClassVar[int] = 1
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.04
    numbers: Annotated[Literal["unit", "symmetric"], Since("0.2")] = "unit"

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
        sum_B = number_B2.sum(1)
        if self.numbers == "unit":
            return answered(value_BT, mark_BT, end_B, lag_B, sum_B)
        return answered(2 * value_BT - 1, mark_BT, end_B, lag_B, 0.5 * sum_B)  # 1/2 + (2 sum - 2) / 4

    def chance(self) -> Chance:
        """The mean: the variance of a sum of two uniform numbers, and the mass of its density within the tolerance."""
        near = min(1.0, self.tolerance / self._scale)
        return Chance(1 - (1 - near) ** 2, self._scale**2 / 6)

    def ladder(self) -> list[Rung]:
        """None, one, both of the numbers."""
        chance, near = self.chance(), self.tolerance / self._scale
        one = Rung("one of the two numbers", min(1.0, 2 * near), self._scale**2 / 12)
        return [Rung("neither number", chance.accuracy, chance.loss), one, Rung("both numbers", 1.0, 0.0)]

    @property
    def _scale(self) -> float:
        """What the answer changes by, when one of the numbers goes through its range."""
        return 1.0 if self.numbers == "unit" else 0.5


def marked(
    task: Task, rng: np.random.Generator, size: int, lag_B: Lags | None
) -> tuple[Numbers, Numbers, Lags, Lags, Numbers]:
    """Numbers with a mark in each half of 2 * lag steps: values and marks (B, T), the last step, how far back the first
    mark lies, and the two marked numbers (B, 2)."""
    lag_B = task.lags(size, lag_B)
    row_B = np.arange(size)
    value_BT = rng.random((size, 2 * task.lag), dtype=np.float32)
    first_B, second_B = rng.integers(0, lag_B), rng.integers(lag_B, 2 * lag_B)
    mark_BT = np.zeros_like(value_BT)
    mark_BT[row_B, first_B] = 1.0
    mark_BT[row_B, second_B] = 1.0
    end_B = 2 * lag_B - 1
    return value_BT, mark_BT, end_B, end_B - first_B, np.stack([value_BT[row_B, first_B], value_BT[row_B, second_B]], 1)


def answered(value_BT: Numbers, mark_BT: Numbers, end_B: Lags, lag_B: Lags, answer_B: Numbers) -> Batch:
    """The batch that asks for one number at the last step of each sequence."""
    row_B = np.arange(len(end_B))
    target_BT = np.zeros_like(value_BT)
    target_BT[row_B, end_B] = answer_B
    lag_BT = np.full(value_BT.shape, -1, dtype=np.int64)
    lag_BT[row_B, end_B] = lag_B
    return batch(np.stack([value_BT, mark_BT], 2), target_BT, lag_BT)
