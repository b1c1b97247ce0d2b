"""Say whether two cues, `lag` steps apart, are the same: delayed match to sample."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch_once, one_hot
from farback.tasks.support.answers import OneOf, Rung, candidates


class MatchTask(Task):
    """Say whether the test, at step `lag`, is the same as the sample, which was shown at step 0.

    The sample is one of `symbols` cues. Step `lag` shows the test and a flag, and asks the question. In half of the
    sequences the test is the sample; in the others it is one of the other cues, each equally likely. The steps between
    sample and test show distractors from a separate alphabet.

    Example (symbols = 4, lag = 3; digits are cues, letters distractors, ? is the flag):

        2 b a 2?   -> at the last step: same
        2 b a 1?   -> at the last step: different

    Chance: accuracy 1/2, loss ln 2. Ladder (partial memory): if n of K cues are left as candidates for the sample, a
    test among them is the sample with probability 1 / (1 + r), where r = (n - 1) / (K - 1); the accuracy is 1 - r / 2.

    Source: delayed match to sample, used in studies of working memory in animals (Blough 1959; Miller, Erickson and
    Desimone 1996).
    """

    answer: ClassVar[OneOf] = OneOf(2)  # 0 is different, 1 is same
    least_lag: ClassVar[int] = 1
    symbols: Annotated[int, Field(ge=2, le=1024)] = 4
    distractors: Annotated[int, Field(ge=1, le=1024)] = 4

    @property
    def inputs(self) -> int:
        """One input for each cue and each distractor, and one for the flag."""
        return self.symbols + self.distractors + 1

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
        return batch_once(input_BTI, lag_B, same_B, lag_B)

    def ladder(self) -> list[Rung]:
        """Models that have fewer candidates for the sample with each bit that they remember."""
        rungs = []
        for n in candidates(self.symbols):
            r = (n - 1) / (self.symbols - 1)  # the probability that a different test is a candidate
            loss = 0.5 * math.log1p(r) + (0.5 * r * math.log((1 + r) / r) if r else 0.0)
            rungs.append(Rung(f"1 of {n} candidates" if n > 1 else "the sample", 1 - r / 2, loss))
        return rungs
