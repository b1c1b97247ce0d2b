"""Parity of bits: partial memory is worth nothing."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch_from, batch_once, one_hot
from farback.tasks.support.answers import OneOf, Rung


class Parity(Task):
    """Say whether the number of ones is odd.

    `form: running` asks once, at step `lag`, for the parity of all lag + 1 bits so far; a state of one bit is enough.
    `form: window` asks at each of `asked` steps for the parity of the last lag + 1 bits, which the state must hold all
    at once.

    Example (running, lag = 6):

        1 0 1 0 1 0 0   -> at the last step: odd

    Chance: accuracy 1/2, loss ln 2, also for a model that misses only one bit, so partial memory is worth nothing.

    Source: Deletang et al. 2023 (2207.02098), parity check.
    """

    inputs: ClassVar[int] = 2  # one-hot bits
    answer: ClassVar[OneOf] = OneOf(2)  # even or odd
    form: Literal["running", "window"] = "running"
    asked: Annotated[int, Field(ge=1, le=10_000)] = 20

    @property
    def mixes(self) -> bool:
        """Only with `running`: a window of another width is another question."""
        return self.form == "running"

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + 1 steps (running) or lag + asked (window)."""
        if self.form == "running":
            lag_B = self.lags(size, lag_B)
            bit_BT = rng.integers(2, size=(size, self.lag + 1))
            parity_B = np.cumsum(bit_BT, axis=1)[np.arange(size), lag_B] % 2
            return batch_once(one_hot(bit_BT, 2), lag_B, parity_B, lag_B)
        lag = self.one_lag(size, lag_B)
        bit_BT = rng.integers(2, size=(size, lag + self.asked))
        window_BNK = np.lib.stride_tricks.sliding_window_view(bit_BT, lag + 1, axis=1)
        return batch_from(one_hot(bit_BT, 2), lag, window_BNK.sum(2) % 2)

    def ladder(self) -> list[Rung]:
        """A model that misses one bit, and a model that knows every bit."""
        chance = self.chance()
        return [Rung("all but one bit", chance.accuracy, chance.loss), Rung("every bit", 1.0, 0.0)]
