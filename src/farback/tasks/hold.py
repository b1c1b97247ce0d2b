"""Hold a real number through noise: how many bits of one number survive a delay."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, part_once, within
from farback.tasks.support.answers import Chance, Rung, Within

HALF_WIDTH = math.sqrt(3)  # a uniform number on +-sqrt(3) has variance 1
MOST_BITS = 8  # of the ladder: trained networks keep fewer


class Hold(Task):
    """Give the number that was shown `lag` steps ago.

    Step 0 shows a number u, uniform on +-sqrt(3) (mean 0, variance 1), and a write flag; step `lag` sets a read flag
    and asks for u. All steps but the first show distractors in the place of the number: independent draws from the
    same distribution, times `noise`. So x_t = (u, 1, 0) at t = 0, and (noise * u_t, 0, 0) or, at t = lag, (noise * u_t,
    0, 1) later. The state must hold one number and keep out all others; `recall` is the same problem with a symbol.
    Skill is R2, 1 - mean squared error.

    Example (lag = 3; ! is the write flag, ? the read flag):

        .7! -1.2 .1 .4?   -> at the last step: .7

    Chance: always answering 0, mean squared error 1, accuracy tolerance / sqrt(3). Ladder (partial memory): a system
    that keeps b bits knows in which of 2 ** b equal cells the number lies and answers the cell's centre. The error is
    uniform within a cell, so that R2 = 1 - 4 ** -b: 0, .75, .9375, ... for 0, 1, 2, ... bits.

    Source: a latched real number, after Hochreiter and Schmidhuber 1997, experiments 4 and 5, without the sum; the
    error of b bits is that of the uniform quantiser, which is optimal for a uniform number (Max 1960).
    """

    inputs: ClassVar[int] = 3  # the number, the write flag, the read flag
    draws_in_parts: ClassVar[bool] = True
    noise: Annotated[float, Field(ge=0, le=100)] = 1.0
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @property
    def answer(self) -> Within:
        """A real number."""
        return Within(self.tolerance)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + 1 steps."""
        lag_B = self.lags(size, lag_B)
        return self._part(rng, _numbers(rng, (size,)), lag_B, 0, self.lag + 1)

    def sample_in_parts(
        self, rng: np.random.Generator, size: int, steps: int, lag_B: Lags | None = None
    ) -> Iterator[Batch]:
        """Draw sequences in parts of at most `steps` steps."""
        lag_B, number_B = self.lags(size, lag_B), _numbers(rng, (size,))
        for first in range(0, self.lag + 1, steps):
            yield self._part(rng, number_B, lag_B, first, min(steps, self.lag + 1 - first))

    def _part(self, rng: np.random.Generator, number_B: np.ndarray, lag_B: Lags, first: int, steps: int) -> Batch:
        """The `steps` steps from step `first` on."""
        input_BTI = np.zeros((len(number_B), steps, 3), dtype=np.float32)
        input_BTI[..., 0] = self.noise * _numbers(rng, (len(number_B), steps))
        if first == 0:
            input_BTI[:, 0, 0], input_BTI[:, 0, 1] = number_B, 1.0
        input_BTI[*within(lag_B, first, steps), 2] = 1.0
        return part_once(input_BTI, first, lag_B, number_B, lag_B)

    def chance(self) -> Chance:
        """The scores of always answering 0: accuracy P(|number| < tolerance), and as squared error the variance, 1."""
        return Chance(self.tolerance / HALF_WIDTH, 1.0)

    def ladder(self) -> list[Rung]:
        """Models that keep 0 to 8 bits of the number, and one that keeps it whole, which counts as 9 bits or more."""
        rungs = [
            Rung(
                f"{bits} bit{'' if bits == 1 else 's'}",
                min(1.0, 2**bits * self.tolerance / HALF_WIDTH),
                4.0**-bits,
                bits,
            )
            for bits in range(MOST_BITS + 1)
        ]
        return [*rungs, Rung("the number", 1.0, 0.0, MOST_BITS + 1)]


def _numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers of mean 0 and variance 1."""
    return rng.uniform(-HALF_WIDTH, HALF_WIDTH, shape).astype(np.float32)
