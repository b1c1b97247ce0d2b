"""Induction heads: what came after this symbol the last time?"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch_once, one_hot
from farback.tasks.support.answers import OneOf, Rung


class Induction(Task):
    """Name the symbol that followed the trigger when it was shown first.

    Random symbols are shown at every step but two, at which the trigger is shown. At the second one the network must
    name the symbol that followed the first. Unlike in `recall`, the cue looks like all other symbols; what marks it is
    the symbol before it. Before the first trigger are 0 to `before` random symbols, equally likely.

    `lag` is the number of steps from the cue to the second trigger.

    Example (symbols = 3, before = 2, lag = 4; ! is the trigger):

        2 ! 0 1 1 2 ! 1   -> at the second trigger: 0

    Chance: accuracy 1 / symbols, loss ln symbols.

    Source: Olsson et al. 2022 (2209.11895); Gu and Dao 2023 (2312.00752), whose 16 symbols include the trigger.
    Neither text was read. Deviations: the distance is `lag`, where they draw the first trigger's step at random; up to
    `before` more symbols follow the second trigger.
    """

    least_lag: ClassVar[int] = 1
    symbols: Annotated[int, Field(ge=2, le=1024)] = 15
    before: Annotated[int, Field(ge=0, le=10_000)] = 10

    @property
    def inputs(self) -> int:
        """One input for each symbol, and one for the trigger."""
        return self.symbols + 1

    @property
    def answer(self) -> OneOf:
        """One of the symbols."""
        return OneOf(self.symbols)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of before + lag + 2 steps."""
        lag_B, row_B = self.lags(size, lag_B), np.arange(size)
        symbol_BT = rng.integers(self.symbols, size=(size, self.before + self.lag + 2))
        cue_B = 1 + rng.integers(self.before + 1, size=size)
        answer_B = symbol_BT[row_B, cue_B]
        symbol_BT[row_B, cue_B - 1] = symbol_BT[row_B, cue_B + lag_B] = self.symbols
        return batch_once(one_hot(symbol_BT, self.inputs), cue_B + lag_B, answer_B, lag_B)

    def ladder(self) -> list[Rung]:
        """A model that does not know the symbol, and a model that does."""
        chance = self.chance()
        return [Rung("nothing", chance.accuracy, chance.loss), Rung("the symbol", 1.0, 0.0)]
