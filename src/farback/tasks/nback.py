"""Name at every step the symbol shown k steps ago: memory as a buffer."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch_from, one_hot
from farback.tasks.support.answers import OneOf, Rung, quarters


class NBack(Task):
    """At every step from the lag on, name the symbol shown `lag` steps ago.

    The state must hold `lag` symbols at once, lag * log2(symbols) bits, whereas recall needs one symbol at any lag.

    Example (symbols = 3, lag = 2; . is not asked):

        0 2 1 1 0 2   -> . . 0 2 1 1

    Chance: accuracy 1 / symbols, loss ln symbols. Ladder (partial memory): a fraction of the symbols remembered.

    Source: the n-back test, and the delay lines of echo state networks (Jaeger 2001).
    """

    mixes: ClassVar[bool] = False
    symbols: Annotated[int, Field(ge=2, le=1024)] = 4
    asked: Annotated[int, Field(ge=1, le=10_000)] = 20

    @property
    def inputs(self) -> int:
        """One input for each symbol."""
        return self.symbols

    @property
    def answer(self) -> OneOf:
        """One of the symbols."""
        return OneOf(self.symbols)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + asked steps."""
        lag = self.one_lag(size, lag_B)
        symbol_BT = rng.integers(self.symbols, size=(size, lag + self.asked))
        return batch_from(one_hot(symbol_BT, self.symbols), lag, symbol_BT[:, : self.asked])

    def ladder(self) -> list[Rung]:
        """Models that know none, a quarter, a half, three quarters or all of the steps, and guess the others."""
        return quarters("steps", self.chance())
