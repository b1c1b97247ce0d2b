"""Copy only the symbols, not the blanks between them."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch, one_hot
from farback.tasks.support.answers import Chance, OneOf, Rung


class SelectiveCopy(Task):
    """Repeat `tokens` symbols that stand at random steps among `lag` steps of blanks, in order.

    After `lag` steps come `tokens` markers, and at each the next symbol is asked. Of the alphabet, 0 is the blank and
    the last symbol the marker, which leaves alphabet - 2 to be copied. `lag` is the largest lag that can be needed (the
    first symbol at step 0); `lag_BT` says what each answer really needs, tokens to lag.

    Example (tokens = 2, lag = 5; - is blank, ! the marker):

        - 4 - - 7 ! !   -> at the markers: 4 7

    Chance: accuracy 1 / (alphabet - 2), loss ln(alphabet - 2). Ladder: j of the symbols remembered.

    Source: Gu and Dao 2023 (2312.00752), as their public generator draws it: places without replacement.
    """

    alphabet: Annotated[int, Field(ge=4, le=1024)] = 16
    tokens: Annotated[int, Field(ge=1, le=1000)] = 4
    lag: Annotated[int, Field(ge=0, le=100_000)] = 32

    @property
    def least(self) -> int:
        """There is room for the tokens."""
        return self.tokens

    @property
    def inputs(self) -> int:
        """One-hot alphabet."""
        return self.alphabet

    @property
    def answer(self) -> OneOf:
        """One of the symbols that are copied."""
        return OneOf(self.alphabet - 2)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + tokens steps."""
        lag_B = self.lags(size, lag_B)
        steps = self.lag + self.tokens
        row_B1 = np.arange(size)[:, None]
        order_BL = rng.random((size, self.lag))
        order_BL[np.arange(self.lag)[None, :] >= lag_B[:, None]] = 2.0  # places beyond a sequence's own lag come last
        place_BN = np.sort(np.argsort(order_BL, axis=1, kind="stable")[:, : self.tokens], axis=1)
        token_BN = rng.integers(1, self.alphabet - 1, size=(size, self.tokens))
        asked_BN = lag_B[:, None] + np.arange(self.tokens)[None, :]
        symbol_BT = np.zeros((size, steps), dtype=np.int64)
        symbol_BT[row_B1, place_BN] = token_BN
        symbol_BT[row_B1, asked_BN] = self.alphabet - 1
        target_BT = np.zeros_like(symbol_BT)
        target_BT[row_B1, asked_BN] = token_BN - 1
        lag_BT = np.full_like(symbol_BT, -1)
        lag_BT[row_B1, asked_BN] = asked_BN - place_BN
        return batch(one_hot(symbol_BT, self.alphabet), target_BT, lag_BT)

    def chance(self) -> Chance:
        """A guess among the symbols that are copied."""
        return Chance(1 / (self.alphabet - 2), math.log(self.alphabet - 2))

    def ladder(self) -> list[Rung]:
        """j of the symbols remembered, the others guessed."""
        chance = self.chance()
        return [
            Rung(
                f"{j} of {self.tokens} symbols",
                (j + (self.tokens - j) * chance.accuracy) / self.tokens,
                (self.tokens - j) * chance.loss / self.tokens,
            )
            for j in sorted({0, 1, self.tokens // 2, self.tokens})
        ]
