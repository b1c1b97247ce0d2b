"""Say in which order the relevant symbols came."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np

from farback.tasks.base import Batch, Lags, Task, batch, one_hot
from farback.tasks.support.answers import Chance, OneOf, Rung

# Hochreiter and Schmidhuber's windows for the relevant symbols, in steps of a sequence of 100 to 110.
WINDOWS = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
SHORTEST, LONGEST, LEAST_LAG = 100, 110, 79  # the last step of the shortest sequence, 99, less the latest cue, 20


class TemporalOrder(Task):
    """At the end marker, name the sequence of the `relevant` symbols, each X or Y.

    A start marker, then distractors a, b, c, d, with an X or Y at a random step of each of the windows, then the end
    marker, at which the answer is asked: one of 2 ** relevant classes. `lag` is the least lag from the end marker to
    the first relevant symbol: at lag 79 the sequences are those of the source (length 100 to 110, symbols at steps
    10-20 and 50-60, or 10-20, 33-43 and 66-76), at other lags the same proportions are kept.

    Example (relevant = 2; S and E are the markers):

        S c X a d b Y a E   -> at E: XY

    Chance: accuracy 2 ** -relevant, loss relevant * ln 2. Ladder: the last j symbols remembered.

    Source: Hochreiter and Schmidhuber 1997, experiment 6.
    """

    relevant: Literal[2, 3] = 2
    least_lag: ClassVar[int] = 7

    @property
    def inputs(self) -> int:
        """a, b, c, d, X, Y, start, end."""
        return 8

    @property
    def answer(self) -> OneOf:
        """Which of the orders."""
        return OneOf(2**self.relevant)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences padded to the longest that the lag allows."""
        lag_B = self.lags(size, lag_B)
        scale_B = (lag_B + 1) / (LEAST_LAG + 1)
        first_B = np.floor(WINDOWS[self.relevant][0][1] * scale_B).astype(np.int64)
        shortest_B = first_B + lag_B + 1
        length_B = rng.integers(shortest_B, shortest_B + np.floor((LONGEST - SHORTEST) * scale_B).astype(np.int64) + 1)
        steps = self._longest()
        row_B = np.arange(size)
        symbol_BT = rng.integers(4, size=(size, steps))
        symbol_BT[:, 0] = 6
        symbol_BT[row_B, length_B - 1] = 7
        class_B = np.zeros(size, dtype=np.int64)
        cue_B = np.zeros(size, dtype=np.int64)
        for index, (low, high) in enumerate(WINDOWS[self.relevant]):
            last_B = np.floor(high * scale_B).astype(np.int64)
            step_B = rng.integers(np.maximum(np.ceil(low * scale_B).astype(np.int64), 1), last_B + 1)
            which_B = rng.integers(2, size=size)
            symbol_BT[row_B, step_B] = 4 + which_B
            class_B = 2 * class_B + which_B
            if index == 0:
                cue_B = step_B
        symbol_BT[np.arange(steps)[None, :] >= length_B[:, None]] = -1
        target_BT = np.zeros((size, steps), dtype=np.int64)
        target_BT[row_B, length_B - 1] = class_B
        lag_BT = np.full((size, steps), -1, dtype=np.int64)
        lag_BT[row_B, length_B - 1] = length_B - 1 - cue_B
        return batch(one_hot(symbol_BT, self.inputs), target_BT, lag_BT)

    def _longest(self) -> int:
        scale = (self.lag + 1) / (LEAST_LAG + 1)
        first = math.floor(WINDOWS[self.relevant][0][1] * scale)
        return first + self.lag + 1 + math.floor((LONGEST - SHORTEST) * scale)

    def chance(self) -> Chance:
        """A guess among the orders."""
        return Chance(0.5**self.relevant, self.relevant * math.log(2))

    def ladder(self) -> list[Rung]:
        """The last j of the relevant symbols."""
        return [
            Rung(f"the last {j} of {self.relevant}", 2.0 ** (j - self.relevant), (self.relevant - j) * math.log(2))
            for j in range(self.relevant + 1)
        ]
