"""A task of this project: `task: starter` in a config; `farback show task starter` prints it."""

from typing import Annotated

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch_once, one_hot
from farback.tasks.support.answers import OneOf, Rung


class Starter(Task):
    """Tell whether the symbol shown now is the symbol shown `lag` steps ago.

    Example (symbols = 3, lag = 3; . shows nothing):

        2 . . 2   -> at the last step: 1 (the same)

    Chance: a same and a different symbol are equally likely; accuracy 1/2. Ladder: nothing, or the symbol is known.
    """

    # A parameter for configs: `task: {name: starter, symbols: 8}`
    symbols: Annotated[int, Field(ge=2, le=1024)] = 4
    least_lag = 1  # the smallest lag at which the task is possible

    @property
    def inputs(self) -> int:
        """The inputs of a step: one for each symbol (one-hot)."""
        return self.symbols

    @property
    def answer(self) -> OneOf:
        """Two classes. For numbers use `Within(tolerance)`, for several yes-or-no answers `Bits(count)`."""
        return OneOf(2)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + 1 steps, with random numbers from `rng` alone.

        `lag_B` may give each sequence a shorter lag; the steps after its question are then empty.
        """
        lag_B, row_B = self.lags(size, lag_B), np.arange(size)
        first_B, same_B = rng.integers(self.symbols, size=size), rng.integers(2, size=size)
        other_B = (first_B + rng.integers(1, self.symbols, size=size)) % self.symbols
        shown_BT = np.full((size, self.lag + 1), -1)
        shown_BT[:, 0] = first_B
        shown_BT[row_B, lag_B] = np.where(same_B == 1, first_B, other_B)
        # One answer in each sequence: at which step, which answer, and the lag that it needs
        return batch_once(one_hot(shown_BT, self.symbols), lag_B, same_B, lag_B)

    def ladder(self) -> list[Rung]:
        """The scores of a model that remembers nothing, and of one that remembers everything.

        `chance()` is the best score without memory: that of a guess among equally likely classes, or define it.
        """
        chance = self.chance()
        return [Rung("nothing", chance.accuracy, chance.loss), Rung("the symbol", 1.0, 0.0)]
