"""Parity of bits: no credit for partial memory."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch, one_hot
from farback.tasks.support.answers import Chance, OneOf, Rung


class Parity(Task):
    """Whether the number of ones is odd.

    `running` asks once, at step `lag`, for the parity of everything so far: lag + 1 bits, one bit of state. `window`
    asks at each of `asked` steps for the parity of the last lag + 1 bits, which a state must hold all at once.

    Example (running, lag = 6):

        1 0 1 0 1 0 0   -> at the last step: odd

    Chance: accuracy 1/2, loss ln 2, for anything that misses one bit or more: a cliff, no ladder.

    Source: Deletang et al. 2023 (2207.02098), parity check.
    """

    form: Literal["running", "window"] = "running"
    asked: Annotated[int, Field(ge=1, le=10_000)] = 20

    @property
    def mixes(self) -> bool:
        """A window of another width is another question."""
        return self.form == "running"

    @property
    def inputs(self) -> int:
        """One-hot bits."""
        return 2

    @property
    def answer(self) -> OneOf:
        """Even or odd."""
        return OneOf(2)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + 1 steps (running) or lag + asked (window)."""
        lag_B = self.lags(size, lag_B)
        steps = self.lag + (1 if self.form == "running" else self.asked)
        bit_BT = rng.integers(2, size=(size, steps))
        total_BT = np.cumsum(bit_BT, axis=1)
        step_1T = np.arange(steps)[None, :]
        if self.form == "running":
            asked_BT = step_1T == lag_B[:, None]
            parity_BT = total_BT % 2
        else:
            if lag_B.min(initial=self.lag) < self.lag:
                raise ValueError(f"a window of {self.lag + 1} bits is one question: other lags cannot be mixed in")
            asked_BT = np.broadcast_to(step_1T >= self.lag, bit_BT.shape)
            before_BT = np.zeros_like(total_BT)
            before_BT[:, self.lag + 1 :] = total_BT[:, : -self.lag - 1]
            parity_BT = (total_BT - before_BT) % 2
        target_BT = np.where(asked_BT, parity_BT, 0)
        lag_BT = np.where(asked_BT, lag_B[:, None], -1)
        return batch(one_hot(bit_BT, 2), target_BT, lag_BT)

    def chance(self) -> Chance:
        """A coin."""
        return Chance(0.5, math.log(2))

    def ladder(self) -> list[Rung]:
        """All or nothing."""
        return [Rung("all but one bit", 0.5, math.log(2)), Rung("every bit", 1.0, 0.0)]
