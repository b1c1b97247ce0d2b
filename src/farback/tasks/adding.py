"""Add the two marked numbers of a long sequence."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from farback.records.record import Since
from farback.tasks.base import Batch, Lags, Task, batch_once
from farback.tasks.support.answers import Chance, Rung, Within


class Adding(Task):
    """At the last step, give the sum of the two marked numbers.

    Each step shows a number, uniform on [0, 1], and whether it is marked. As in Arjovsky, Shah and Bengio 2016 one mark
    is in each half of the sequence, so that the first is at least half a sequence back: `lag` is this smallest lag, and
    the sequence has 2 * lag steps. `lag_BT` is the distance to the first mark, from lag to 2 * lag - 1. The last step,
    which asks, is never marked (as in Hochreiter and Schmidhuber 1997), so that both numbers must be remembered.

    `numbers: symmetric` is Hochreiter and Schmidhuber's scaling: numbers X uniform on [-1, 1], and the answer is
    1/2 + (X1 + X2) / 4.

    Example (lag = 3; * is a mark):

        .5 .2* .9 .1 .8* .7   -> at the last step: 1.0

    Chance: always answering 1, mean squared error 1/6. Ladder (partial memory): 1/12 with one number remembered. With
    symmetric numbers: 1/24 for always answering 1/2, which has accuracy 0.1536; 1/48 with one number remembered.

    Source: Hochreiter and Schmidhuber 1997, experiment 4, with their tolerance of 0.04; this form from Arjovsky et al.
    2016 (1511.06464). Deviation from Arjovsky et al.: their second mark may stand on the last step.
    """

    inputs: ClassVar[int] = 2  # the number and the mark
    least_lag: ClassVar[int] = 2  # the second mark stands between the first one and the last step
    version: ClassVar[int] = 2  # 1: the last step could be marked
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.04
    numbers: Annotated[Literal["unit", "symmetric"], Since("0.1.0")] = "unit"

    @property
    def answer(self) -> Within:
        """A real number."""
        return Within(self.tolerance)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of 2 * lag steps."""
        input_BTI, end_B, number_B2, lag_B = marked_numbers(rng, self.lags(size, lag_B), self.lag)
        sum_B = number_B2.sum(1)
        if self.numbers == "symmetric":
            input_BTI[..., 0] = 2 * input_BTI[..., 0] - 1
            sum_B = 0.5 * sum_B  # 1/2 + (X1 + X2) / 4, with X = 2 * number - 1
        return batch_once(input_BTI, end_B, sum_B, lag_B)

    def sample_exact(self, rng: np.random.Generator, size: int) -> Batch:
        """Draw sequences whose first mark is at the end of the first half."""
        return with_nearest_first_mark(self.sample(rng, size), self.lag)

    def chance(self) -> Chance:
        """The scores of always answering the mean: accuracy P(|sum - mean| < tolerance), and the variance as error."""
        near = min(1.0, self.tolerance / self._range)
        return Chance(1 - (1 - near) ** 2, self._range**2 / 6)

    def ladder(self) -> list[Rung]:
        """Models that know neither, one or both of the numbers."""
        chance, near = self.chance(), self.tolerance / self._range
        one = Rung("one of the two numbers", min(1.0, 2 * near), self._range**2 / 12)
        return [Rung("neither number", chance.accuracy, chance.loss), one, Rung("both numbers", 1.0, 0.0)]

    @property
    def _range(self) -> float:
        """How much the answer changes when one number goes from its smallest to its largest value."""
        return 1.0 if self.numbers == "unit" else 0.5


def marked_numbers(
    rng: np.random.Generator, lag_B: Lags, longest: int
) -> tuple[NDArray[np.float32], Lags, NDArray[np.float32], Lags]:
    """Sequences with a mark in the first `lag` steps and one in the next `lag` - 1, padded to 2 * `longest` steps.

    Returns inputs (B, T, 2), last steps (B), marked numbers (B, 2), and distances (B) from last step to first mark.
    """
    row_B = np.arange(len(lag_B))
    input_BTI = np.zeros((len(lag_B), 2 * longest, 2), dtype=np.float32)
    input_BTI[..., 0] = rng.random((len(lag_B), 2 * longest), dtype=np.float32)
    first_B, second_B = rng.integers(0, lag_B), rng.integers(lag_B, 2 * lag_B - 1)
    input_BTI[row_B, first_B, 1] = input_BTI[row_B, second_B, 1] = 1.0
    number_B2 = np.stack([input_BTI[row_B, step_B, 0] for step_B in (first_B, second_B)], 1)
    end_B = 2 * lag_B - 1
    return input_BTI, end_B, number_B2, end_B - first_B


def with_nearest_first_mark(batch: Batch, lag: int) -> Batch:
    """The same sequences with the first mark, and its number, exactly `lag` steps before the last step."""
    input_BTI, target_BT, lag_BT = batch
    row_B, first_B = torch.arange(len(input_BTI)), 2 * lag - 1 - lag_BT[:, -1]
    input_BTI[row_B, first_B], input_BTI[:, lag - 1] = input_BTI[:, lag - 1].clone(), input_BTI[row_B, first_B].clone()
    lag_BT[:, -1] = lag
    return Batch(input_BTI, target_BT, lag_BT)
