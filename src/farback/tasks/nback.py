"""Say at every step which symbol came k steps ago: memory as a buffer."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch, one_hot
from farback.tasks.support.answers import Chance, OneOf, Rung


class NBack(Task):
    """At every step from the lag on, name the symbol of `lag` steps ago.

    The state must hold `lag` symbols at once, lag * log2(symbols) bits, where recall needs one symbol at any lag.

    Example (symbols = 3, lag = 2; . is not asked):

        0 2 1 1 0 2   -> . . 0 2 1 1

    Chance: accuracy 1 / symbols, loss ln symbols. Ladder: a share of the buffer kept.

    Source: the n-back test, and the delay lines of echo state networks (Jaeger 2001).
    """

    symbols: Annotated[int, Field(ge=2, le=1024)] = 4
    asked: Annotated[int, Field(ge=1, le=10_000)] = 20

    @property
    def mixes(self) -> bool:
        """Every lag is a question of its own."""
        return False

    @property
    def inputs(self) -> int:
        """One-hot symbols."""
        return self.symbols

    @property
    def answer(self) -> OneOf:
        """One of the symbols."""
        return OneOf(self.symbols)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + asked steps."""
        self.one_lag(size, lag_B)
        symbol_BT = rng.integers(self.symbols, size=(size, self.lag + self.asked))
        target_BT = np.zeros_like(symbol_BT)
        target_BT[:, self.lag :] = symbol_BT[:, : self.asked]
        lag_BT = np.full_like(symbol_BT, -1)
        lag_BT[:, self.lag :] = self.lag
        return batch(one_hot(symbol_BT, self.symbols), target_BT, lag_BT)

    def chance(self) -> Chance:
        """A guess among the symbols."""
        return Chance(1 / self.symbols, math.log(self.symbols))

    def ladder(self) -> list[Rung]:
        """A quarter, a half, three quarters of the steps known, the rest guessed."""
        chance = self.chance()
        return [
            Rung(f"{share:.0%} of the steps", share + (1 - share) * chance.accuracy, (1 - share) * chance.loss)
            for share in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
