"""Name the order in which the relevant symbols came."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np

from farback.tasks.base import Batch, Lags, Task, batch_once, one_hot
from farback.tasks.support.answers import OneOf, Rung

# Hochreiter and Schmidhuber's windows for the relevant symbols, in steps of a sequence of 100 to 110.
WINDOWS = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
SHORTEST, LONGEST, LEAST_LAG = 100, 110, 79  # the last step of the shortest sequence, 99, minus the latest cue, 20


class TemporalOrder(Task):
    """At the end marker, name the sequence of the `relevant` symbols, each X or Y.

    A start marker, then distractors a, b, c, d with an X or Y at a random step of each of `relevant` windows, then an
    end marker, which asks for the answer: one of 2 ** relevant classes. `lag` is the smallest lag from the end marker
    to the first relevant symbol: at lag 79 the sequences are those of the source (length 100 to 110, symbols at steps
    10-20 and 50-60, or 10-20, 33-43 and 66-76); at other lags the proportions are the same.

    Example (relevant = 2; S and E are the markers):

        S c X a d b Y a E   -> at E: XY

    Chance: accuracy 2 ** -relevant, loss relevant * ln 2. Ladder (partial memory): the last j symbols remembered.

    Source: Hochreiter and Schmidhuber 1997, experiment 6.
    """

    version: ClassVar[int] = 2  # 1: success at a lag was the mean over the answers of all lags
    inputs: ClassVar[int] = 8  # a, b, c, d, X, Y, start, end
    relevant: Literal[2, 3] = 2
    least_lag: ClassVar[int] = 7

    @property
    def answer(self) -> OneOf:
        """One of the possible orders."""
        return OneOf(2**self.relevant)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences padded to the longest that the lag allows."""
        return self._drawn(rng, self.lags(size, lag_B))

    def sample_exact(self, rng: np.random.Generator, size: int) -> Batch:
        """Draw sequences of the shortest length whose first relevant symbol is at its latest step."""
        return self._drawn(rng, self.lags(size, None), nearest=True)

    def _drawn(self, rng: np.random.Generator, lag_B: Lags, nearest: bool = False) -> Batch:
        """Sequences of these lags; with `nearest` the first relevant symbol is as near to the end as it can be."""
        size = len(lag_B)
        shortest_B, longest_B = self._lengths(lag_B)
        _, (steps,) = self._lengths(np.array([self.lag]))
        scale_B, row_B = _scale(lag_B), np.arange(size)
        length_B = shortest_B if nearest else rng.integers(shortest_B, longest_B + 1)
        symbol_BT = rng.integers(4, size=(size, steps))
        symbol_BT[:, 0] = 6
        symbol_BT[row_B, length_B - 1] = 7
        class_B, cues = np.zeros(size, dtype=np.int64), list[Lags]()
        for low, high in WINDOWS[self.relevant]:
            last_B = np.floor(high * scale_B).astype(np.int64)
            first_B = np.maximum(np.ceil(low * scale_B).astype(np.int64), 1)
            cues.append(last_B if nearest and not cues else rng.integers(first_B, last_B + 1))
            symbol_B = rng.integers(2, size=size)
            symbol_BT[row_B, cues[-1]] = 4 + symbol_B
            class_B = 2 * class_B + symbol_B
        symbol_BT[np.arange(steps)[None, :] >= length_B[:, None]] = -1
        return batch_once(one_hot(symbol_BT, self.inputs), length_B - 1, class_B, length_B - 1 - cues[0])

    def _lengths(self, lag_B: Lags) -> tuple[Lags, Lags]:
        """The lengths of the shortest and the longest sequence of each lag."""
        latest_cue_B = np.floor(WINDOWS[self.relevant][0][1] * _scale(lag_B)).astype(np.int64)
        shortest_B = latest_cue_B + lag_B + 1
        return shortest_B, shortest_B + np.floor((LONGEST - SHORTEST) * _scale(lag_B)).astype(np.int64)

    def ladder(self) -> list[Rung]:
        """Models that remember the last j of the relevant symbols."""
        return [
            Rung(f"the last {j} of {self.relevant}", 2.0 ** (j - self.relevant), (self.relevant - j) * math.log(2))
            for j in range(self.relevant + 1)
        ]


def _scale(lag_B: Lags) -> np.ndarray:
    """The length of sequences with these lags, as a multiple of the published length."""
    return (lag_B + 1) / (LEAST_LAG + 1)
