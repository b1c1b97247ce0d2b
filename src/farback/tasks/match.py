"""Say whether two cues, `lag` steps apart, are the same: delayed match to sample."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch, one_hot
from farback.tasks.support.answers import Chance, OneOf, Rung


class Match(Task):
    """Say whether the test, at step `lag`, is the sample that was shown at step 0.

    The sample, one of `symbols` cues, stands at step 0. At step `lag` stands the test, and with it a flag and the
    question. In half of the sequences the test is the sample; in the others it is one of the other cues, each equally
    likely. Between them stand distractors from an alphabet of their own.

    Example (symbols = 4, lag = 3; digits are cues, letters distractors, ? is the flag):

        2 b a 2?   -> at the last step: same
        2 b a 1?   -> at the last step: different

    Chance: accuracy 1/2, loss ln 2. Ladder: with n of K candidates left for the sample, a test among them is the sample
    with probability 1 / (1 + r), where r = (n - 1) / (K - 1): accuracy 1 - r / 2.

    Source: delayed match to sample, an instrument of the study of working memory in animals (Blough 1959; Miller,
    Erickson and Desimone 1996).
    """

    least_lag: ClassVar[int] = 1
    symbols: Annotated[int, Field(ge=2, le=1024)] = 4
    distractors: Annotated[int, Field(ge=1, le=1024)] = 4

    @property
    def inputs(self) -> int:
        """The cues, the distractors, the flag."""
        return self.symbols + self.distractors + 1

    @property
    def answer(self) -> OneOf:
        """0 is different, 1 is same."""
        return OneOf(2)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + 1 steps."""
        lag_B = self.lags(size, lag_B)
        row_B = np.arange(size)
        symbol_BT = self.symbols + rng.integers(self.distractors, size=(size, self.lag + 1))
        sample_B, same_B = rng.integers(self.symbols, size=size), rng.integers(2, size=size)
        other_B = (sample_B + rng.integers(1, self.symbols, size=size)) % self.symbols
        symbol_BT[:, 0] = sample_B
        symbol_BT[row_B, lag_B] = np.where(same_B, sample_B, other_B)
        input_BTI = one_hot(symbol_BT, self.inputs)
        input_BTI[row_B, lag_B, -1] = 1.0
        target_BT = np.zeros_like(symbol_BT)
        target_BT[row_B, lag_B] = same_B
        lag_BT = np.full_like(symbol_BT, -1)
        lag_BT[row_B, lag_B] = lag_B
        return batch(input_BTI, target_BT, lag_BT)

    def chance(self) -> Chance:
        """A coin."""
        return Chance(0.5, math.log(2))

    def ladder(self) -> list[Rung]:
        """Candidates left for the sample after each remembered bit."""
        left = [self.symbols >> bits for bits in range(self.symbols.bit_length()) if self.symbols % (1 << bits) == 0]
        rungs = []
        for n in [*left, *([1] if left[-1] > 1 else [])]:
            r = (n - 1) / (self.symbols - 1)  # how often a different test is among the candidates
            loss = 0.5 * math.log1p(r) + (0.5 * r * math.log((1 + r) / r) if r else 0.0)
            rungs.append(Rung(f"1 of {n} candidates" if n > 1 else "the sample", 1 - r / 2, loss))
        return rungs
