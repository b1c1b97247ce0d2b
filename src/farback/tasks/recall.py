"""Recall a single cue after a delay: the primary instrument."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from farback.tasks.base import Batch, Lags, Task, batch, one_hot
from farback.tasks.support.answers import Chance, OneOf, Rung


class Recall(Task):
    """Name the cue that was shown `lag` steps ago.

    One of `symbols` cues stands at step s; the answer is asked at step s + lag, where a go flag is up. Between and
    after them stand distractors: `noise` draws them from a disjoint alphabet, `counted` goes through that alphabet in
    order, the same in every sequence, `blank` shows nothing, `same` draws them from the cue's own alphabet, and only
    the flag on the cue tells it from them. The cue stands at step 0, or, when `length` fixes the length of the
    sequence, anywhere that leaves room for the lag.

    Example (symbols = 4, filler = noise, lag = 3; digits are cues, letters distractors, ! is the go flag):

        2 b a c!   -> at the last step: 2

    Chance: accuracy 1 / symbols, loss ln symbols. Ladder: each bit of the cue halves the candidates; a net that keeps
    one of two bits is right half of the time, and does not count as remembering.

    Source: delayed recall with distractors, after Hochreiter and Schmidhuber 1997, experiment 2; the noise is random
    because a constant filler lets a network coast. `counted` with as many distractors as the lag is their experiment
    2a, a1, a2, ... between two equal symbols; `noise` their 2b.
    """

    symbols: Annotated[int, Field(ge=2, le=1024)] = 4
    filler: Literal["noise", "counted", "blank", "same"] = "noise"
    distractors: Annotated[int, Field(ge=1, le=1024)] = 4
    length: Annotated[int, Field(ge=1, le=100_001)] | None = None

    @model_validator(mode="after")
    def _length_leaves_room(self) -> Self:
        if self.length is not None and self.length <= self.lag:
            raise ValueError(f"length is {self.length}, which leaves no room for a lag of {self.lag}")
        return self

    @property
    def inputs(self) -> int:
        """The cues, the distractors of an alphabet of their own, the cue flag where it is needed, the go flag."""
        return self.symbols + self._extra + 1

    @property
    def _extra(self) -> int:
        return {"blank": 0, "same": 1}.get(self.filler, self.distractors)

    @property
    def answer(self) -> OneOf:
        """One of the cues."""
        return OneOf(self.symbols)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of `length` steps, or of lag + 1."""
        lag_B = self.lags(size, lag_B)
        steps = self.lag + 1 if self.length is None else self.length
        row_B = np.arange(size)
        cue_B = rng.integers(self.symbols, size=size)
        start_B = np.zeros(size, dtype=np.int64) if self.length is None else rng.integers(0, steps - lag_B)

        symbol_BT = np.full((size, steps), -1, dtype=np.int64)
        if self.filler == "noise":
            symbol_BT[:] = self.symbols + rng.integers(self.distractors, size=(size, steps))
        elif self.filler == "counted":
            since_BT = np.arange(steps)[None, :] - start_B[:, None]
            symbol_BT[:] = self.symbols + (since_BT - 1) % self.distractors
        elif self.filler == "same":
            symbol_BT[:] = rng.integers(self.symbols, size=(size, steps))
        symbol_BT[row_B, start_B] = cue_B
        input_BTI = one_hot(symbol_BT, self.inputs)
        if self.filler == "same":
            input_BTI[row_B, start_B, self.symbols] = 1.0
        input_BTI[row_B, start_B + lag_B, -1] = 1.0

        target_BT = np.zeros((size, steps), dtype=np.int64)
        target_BT[row_B, start_B + lag_B] = cue_B
        lag_BT = np.full((size, steps), -1, dtype=np.int64)
        lag_BT[row_B, start_B + lag_B] = lag_B
        return batch(input_BTI, target_BT, lag_BT)

    def chance(self) -> Chance:
        """A guess among the symbols; at lag 0 the cue is in sight, and this is what a blind guess scores."""
        return Chance(1 / self.symbols, math.log(self.symbols))

    def ladder(self) -> list[Rung]:
        """Candidates left after each remembered bit."""
        left = [self.symbols >> bits for bits in range(self.symbols.bit_length()) if self.symbols % (1 << bits) == 0]
        rungs = [Rung(f"1 of {n} candidates", 1 / n, math.log(n)) for n in left]
        return rungs if rungs[-1].loss == 0 else [*rungs, Rung("the cue", 1.0, 0.0)]
