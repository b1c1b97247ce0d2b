"""Copy only the symbols, not the blanks between them."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch_at, one_hot
from farback.tasks.support.answers import OneOf, Rung, partial


class SelectiveCopy(Task):
    """Repeat, in order, `tokens` symbols shown at random steps among `lag` steps of blanks.

    After `lag` steps come `tokens` markers, and each asks for the next symbol. Symbol 0 of the alphabet is the blank
    and the last one the marker, so that alphabet - 2 symbols can be copied. `lag` is the largest lag that an answer can
    need (the first symbol at step 0); `lag_BT` is the lag that it does need, from `tokens` to `lag`.

    Example (tokens = 2, lag = 5; - is blank, ! the marker):

        - 4 - - 7 ! !   -> at the markers: 4 7

    Chance: accuracy 1 / (alphabet - 2), loss ln(alphabet - 2). Ladder (partial memory): j of the symbols remembered.

    Source: Gu and Dao 2023 (2312.00752), drawn as in their public generator: steps without replacement.
    """

    version: ClassVar[int] = 2  # 1: success at a lag was the mean over the answers of all lags
    alphabet: Annotated[int, Field(ge=4, le=1024)] = 16
    tokens: Annotated[int, Field(ge=1, le=1000)] = 4
    lag: Annotated[int, Field(ge=0, le=100_000)] = 32

    @property
    def least(self) -> int:
        """The smallest lag with room for the tokens."""
        return self.tokens

    @property
    def inputs(self) -> int:
        """One input for each symbol of the alphabet."""
        return self.alphabet

    @property
    def answer(self) -> OneOf:
        """One of the symbols that can be copied."""
        return OneOf(self.alphabet - 2)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + tokens steps."""
        return self._drawn(rng, self.lags(size, lag_B))

    def sample_exact(self, rng: np.random.Generator, size: int) -> Batch:
        """Draw sequences whose first symbol is at step 0."""
        return self._drawn(rng, self.lags(size, None), from_start=True)

    def _drawn(self, rng: np.random.Generator, lag_B: Lags, from_start: bool = False) -> Batch:
        """Sequences of these lags; with `from_start` the first symbol is at step 0."""
        size, lag_B1 = len(lag_B), lag_B[:, None]
        row_B1 = np.arange(size)[:, None]
        order_BL = rng.random((size, self.lag))
        if from_start:
            order_BL[:, 0] = -1.0
        order_BL[np.arange(self.lag)[None, :] >= lag_B1] = 2.0  # steps beyond the sequence's lag are never chosen
        step_BN = np.sort(np.argsort(order_BL, axis=1, kind="stable")[:, : self.tokens], axis=1)
        token_BN = rng.integers(1, self.alphabet - 1, size=(size, self.tokens))
        asked_BN = lag_B1 + np.arange(self.tokens)[None, :]
        symbol_BT = np.zeros((size, self.lag + self.tokens), dtype=np.int64)
        symbol_BT[row_B1, step_BN] = token_BN
        symbol_BT[row_B1, asked_BN] = self.alphabet - 1
        return batch_at(one_hot(symbol_BT, self.alphabet), asked_BN, token_BN - 1, asked_BN - step_BN)

    def ladder(self) -> list[Rung]:
        """Models that remember j of the symbols and guess the others."""
        kept = {0, 1, self.tokens // 2, self.tokens}
        return [partial(j, self.tokens, "symbols", self.chance()) for j in sorted(kept)]
