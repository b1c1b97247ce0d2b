"""Associative recall: which value came with this key?"""

from __future__ import annotations

import math
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from farback.tasks.base import Batch, Lags, Task, batch, one_hot
from farback.tasks.support.answers import Chance, OneOf, Rung


class Assoc(Task):
    """Multi-query associative recall: `pairs` of a key and a value come first, then each key is asked for once.

    Of a vocabulary of V symbols, 1 to V/2 - 1 are keys and V/2 to V - 1 are values; a sequence uses each at most once.
    After the pairs, every other step may hold a query, which shows the key and asks for its value; where the queries
    stand is drawn with weights j ** (`power` - 1) over the j-th place, so that most come soon and some late. All other
    steps show random symbols. Sweep `pairs` for capacity and `lag` for reach.

    `lag` is the largest lag that can be needed: from the last step, which holds the last place for a query, to the
    first value. `lag_BT` says how far back each answer's value really was.

    Example (pairs = 2, lag = 8; letters are keys, digits values, ~ is random):

        a 4 c 7 ~ c ~ ~ ~ a   -> at the queries: 7 (2 steps back), 4 (8 back)

    Chance: one of the V/2 values, accuracy 2 / V. Ladder: a net that knows which values were shown, but not with which
    keys, is right 1 / pairs of the time.

    Source: Arora et al. 2023, Zoology (2312.04927), as their public generator draws it.
    """

    vocabulary: Annotated[int, Field(ge=6, le=8192)] = 16
    pairs: Annotated[int, Field(ge=1, le=1000)] = 4
    power: Annotated[float, Field(gt=0, le=1)] = 0.01
    lag: Annotated[int, Field(ge=0, le=100_000)] = 32

    @model_validator(mode="after")
    def _enough_symbols(self) -> Self:
        if self.vocabulary % 2 or self.pairs > self.vocabulary // 2 - 1:
            raise ValueError(
                f"vocabulary is {self.vocabulary}, and {self.pairs} pairs need an even number of "
                f"{2 * self.pairs + 2} or more"
            )
        return self

    @property
    def least(self) -> int:
        """There is a place for every query."""
        return 4 * self.pairs - 3

    @property
    def inputs(self) -> int:
        """One-hot symbols."""
        return self.vocabulary

    @property
    def answer(self) -> OneOf:
        """One of the values."""
        return OneOf(self.vocabulary // 2)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + 2 steps."""
        lag_B = self.lags(size, lag_B)
        half, steps = self.vocabulary // 2, self.lag + 2
        row_B1 = np.arange(size)[:, None]
        key_BD = 1 + _chosen(rng.random((size, half - 1)), self.pairs)
        value_BD = _chosen(rng.random((size, half)), self.pairs)
        symbol_BT = rng.integers(self.vocabulary, size=(size, steps))
        symbol_BT[:, 0 : 2 * self.pairs : 2] = key_BD
        symbol_BT[:, 1 : 2 * self.pairs : 2] = half + value_BD

        places_B1 = (lag_B[:, None] + 2 - 2 * self.pairs + 1) // 2
        place_1S = np.arange(int(places_B1.max(initial=0)))[None, :]
        log_weight_1S = (self.power - 1) * np.log1p(place_1S)
        gumbel_BS = log_weight_1S - np.log(rng.exponential(size=(size, place_1S.size)))
        taken_BD = _chosen(np.where(place_1S < places_B1, -gumbel_BS, np.inf), self.pairs)  # drawn without replacement
        step_BD = lag_B[:, None] + 1 - 2 * (places_B1 - 1 - taken_BD)  # the last place is the last step
        symbol_BT[row_B1, step_BD] = key_BD
        target_BT = np.zeros_like(symbol_BT)
        target_BT[row_B1, step_BD] = value_BD
        lag_BT = np.full_like(symbol_BT, -1)
        lag_BT[row_B1, step_BD] = step_BD - (2 * np.arange(self.pairs)[None, :] + 1)
        return batch(one_hot(symbol_BT, self.vocabulary), target_BT, lag_BT)

    def chance(self) -> Chance:
        """A guess among the values."""
        return Chance(2 / self.vocabulary, math.log(self.vocabulary / 2))

    def ladder(self) -> list[Rung]:
        """The set of the values; j of the pairs, the others guessed among the values that are left; all."""
        chance = self.chance()
        rungs = [Rung("nothing", chance.accuracy, chance.loss)]
        for j in sorted({0, self.pairs // 2, self.pairs}):
            left = self.pairs - j  # values among which the rest is guessed; the last one is known by elimination
            text = f"the values, and {j} of {self.pairs} keys" if j else "the set of values"
            loss = left * math.log(max(1, left)) / self.pairs
            if loss < rungs[-1].loss:
                rungs.append(Rung(text if left > 1 else "every pair", (j + min(1, left)) / self.pairs, loss))
        return rungs


def _chosen(order_BN: np.ndarray, count: int) -> np.ndarray:
    """The places of the `count` smallest numbers of each row, smallest first."""
    return np.argsort(order_BN, axis=1, kind="stable")[:, :count]
