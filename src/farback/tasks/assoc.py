"""Associative recall: which value came with this key?"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from farback.tasks.base import Batch, Lags, Task, batch_at, one_hot
from farback.tasks.support.answers import OneOf, Rung


class Assoc(Task):
    """Multi-query associative recall: first `pairs` pairs of a key and a value, then one query for each key.

    Of a vocabulary of V symbols, 1 to V/2 - 1 are keys and V/2 to V - 1 are values; a sequence uses each at most once.
    After the pairs, every other step may be a query, which shows a key and asks for its value. The steps of the queries
    are drawn with weights j ** (`power` - 1) for the j-th possible step, so that most come early, some late. All
    other steps show random symbols. Sweep `pairs` to measure capacity and `lag` to measure reach.

    `lag` is the largest lag that an answer can need: from the last step, which may be a query, to the first value.
    `lag_BT` is the distance from each query to its value.

    Example (pairs = 2, lag = 8; letters are keys, digits values, ~ is random):

        a 4 c 7 ~ c ~ ~ ~ a   -> at the queries: 7 (2 steps back), 4 (8 back)

    Chance: guessing one of the V/2 values, accuracy 2 / V. Ladder (partial memory): a network that knows the values,
    but not their keys, has accuracy 1 / pairs.

    Source: Arora et al. 2023, Zoology (2312.04927), drawn as in their public generator.
    """

    version: ClassVar[int] = 2  # 1: success at a lag was the mean over the answers of all lags
    vocabulary: Annotated[int, Field(ge=6, le=8192)] = 16
    pairs: Annotated[int, Field(ge=1, le=1000)] = 4
    power: Annotated[float, Field(gt=0, le=1)] = 0.01
    lag: Annotated[int, Field(ge=0, le=100_000)] = 32

    @model_validator(mode="after")
    def _enough_symbols(self) -> Self:
        if self.vocabulary % 2 or self.pairs > self.vocabulary // 2 - 1:
            needed = f"an even vocabulary of at least {2 * self.pairs + 2}"
            raise ValueError(f"{self.pairs} pairs need {needed}, got {self.vocabulary}")
        return self

    @property
    def least(self) -> int:
        """The smallest lag that leaves a step for every query."""
        return 4 * self.pairs - 3

    @property
    def inputs(self) -> int:
        """One input for each symbol."""
        return self.vocabulary

    @property
    def answer(self) -> OneOf:
        """One of the values."""
        return OneOf(self.vocabulary // 2)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + 2 steps."""
        return self._drawn(rng, self.lags(size, lag_B))

    def sample_exact(self, rng: np.random.Generator, size: int) -> Batch:
        """Draw sequences whose last step asks for the value of the first key."""
        return self._drawn(rng, self.lags(size, None), first_is_last=True)

    def _drawn(self, rng: np.random.Generator, lag_B: Lags, first_is_last: bool = False) -> Batch:
        """Sequences of these lags; with `first_is_last` the first key is the last query."""
        size = len(lag_B)
        half = self.vocabulary // 2
        key_BD = 1 + _smallest(rng.random((size, half - 1)), self.pairs)
        value_BD = _smallest(rng.random((size, half)), self.pairs)
        symbol_BT = rng.integers(self.vocabulary, size=(size, self.lag + 2))
        symbol_BT[:, 0 : 2 * self.pairs : 2] = key_BD
        symbol_BT[:, 1 : 2 * self.pairs : 2] = half + value_BD

        slots_B1 = (lag_B[:, None] + 2 - 2 * self.pairs + 1) // 2  # how many steps may be queries
        slot_1S = np.arange(int(slots_B1.max(initial=0)))[None, :]
        log_weight_1S = (self.power - 1) * np.log1p(slot_1S)
        gumbel_BS = log_weight_1S - np.log(rng.exponential(size=(size, slot_1S.size)))  # draws without replacement
        if first_is_last:  # the first key takes the first slot drawn
            gumbel_BS[:, -1] = np.inf
        taken_BD = _smallest(np.where(slot_1S < slots_B1, -gumbel_BS, np.inf), self.pairs)
        step_BD = lag_B[:, None] + 1 - 2 * (slots_B1 - 1 - taken_BD)  # the last slot is the last step
        symbol_BT[np.arange(size)[:, None], step_BD] = key_BD
        shown_BD = 2 * np.arange(self.pairs)[None, :] + 1
        return batch_at(one_hot(symbol_BT, self.vocabulary), step_BD, value_BD, step_BD - shown_BD)

    def ladder(self) -> list[Rung]:
        """Models that know nothing, the set of values, also half of the keys, or every pair; they guess the rest."""
        chance = self.chance()
        rungs = [Rung("nothing", chance.accuracy, chance.loss)]
        for known in sorted({0, self.pairs // 2, self.pairs}):
            left = self.pairs - known  # values among which the model guesses; a single value needs no guess
            text = f"the values, and {known} of {self.pairs} keys" if known else "the set of values"
            loss = left * math.log(max(1, left)) / self.pairs
            if loss < rungs[-1].loss:
                rungs.append(Rung(text if left > 1 else "every pair", (known + min(1, left)) / self.pairs, loss))
        return rungs


def _smallest(order_BN: np.ndarray, count: int) -> np.ndarray:
    """The columns of the `count` smallest numbers of each row, smallest first."""
    return np.argsort(order_BN, axis=1, kind="stable")[:, :count]
