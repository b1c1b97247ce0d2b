"""Recall a single cue after a delay: the main task."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from farback.tasks.base import LONGEST_LAG, Batch, Lags, Task, one_hot, part_once, within
from farback.tasks.support.answers import OneOf, Rung, candidates


class Recall(Task):
    """Name the cue that was shown `lag` steps ago.

    Step s shows one of `symbols` cues; step s + lag shows a go flag and asks for the cue. The other steps show
    distractors: `filler: noise` draws them from a separate alphabet, `counted` goes through that alphabet in order, the
    same in every sequence, `blank` shows nothing, `same` draws them from the cue's alphabet, so that only a flag on the
    cue distinguishes it. The cue is at step 0, or, when `length` fixes the length of the sequence, at any step that
    leaves room for the lag.

    Example (symbols = 4, filler = noise, lag = 3; digits are cues, letters distractors, ! is the go flag):

        2 b a c!   -> at the last step: 2

    Chance: accuracy 1 / symbols, loss ln symbols. Ladder (partial memory): each bit of the cue halves the candidates; a
    network that keeps one of two bits is right half of the time, and does not count as remembering.

    Source: delayed recall with distractors, after Hochreiter and Schmidhuber 1997, experiment 2; the noise is random
    because a network can learn to ignore a constant filler. `counted` with as many distractors as the lag is their
    experiment 2a, with a1, a2, ... between two equal symbols; `noise` is their experiment 2b.
    """

    draws_in_parts: ClassVar[bool] = True
    symbols: Annotated[int, Field(ge=2, le=1024)] = 4
    filler: Literal["noise", "counted", "blank", "same"] = "noise"
    distractors: Annotated[int, Field(ge=1, le=1024)] = 4
    length: Annotated[int, Field(ge=1, le=LONGEST_LAG + 1)] | None = None

    @model_validator(mode="after")
    def _length_leaves_room(self) -> Self:
        if self.length is not None and self.length <= self.lag:
            raise ValueError(f"length is {self.length}, which leaves no room for a lag of {self.lag}")
        return self

    @property
    def inputs(self) -> int:
        """One input for each cue, each distractor of a separate alphabet (or a flag on the cue), and the go flag."""
        return self.symbols + {"blank": 0, "same": 1}.get(self.filler, self.distractors) + 1

    @property
    def answer(self) -> OneOf:
        """One of the cues."""
        return OneOf(self.symbols)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of `length` steps, by default lag + 1."""
        lag_B = self.lags(size, lag_B)
        return self._part(rng, *self._cues(rng, lag_B), lag_B, 0, self._steps)

    def sample_in_parts(
        self, rng: np.random.Generator, size: int, steps: int, lag_B: Lags | None = None
    ) -> Iterator[Batch]:
        """Draw sequences in parts of at most `steps` steps."""
        lag_B = self.lags(size, lag_B)
        cue_B, start_B = self._cues(rng, lag_B)
        for first in range(0, self._steps, steps):
            yield self._part(rng, cue_B, start_B, lag_B, first, min(steps, self._steps - first))

    @property
    def _steps(self) -> int:
        return self.lag + 1 if self.length is None else self.length

    def _cues(self, rng: np.random.Generator, lag_B: Lags) -> tuple[Lags, Lags]:
        """The cue of each sequence and its step."""
        cue_B = rng.integers(self.symbols, size=len(lag_B))
        start_B = np.zeros(len(lag_B), dtype=np.int64) if self.length is None else rng.integers(0, self._steps - lag_B)
        return cue_B, start_B

    def _part(self, rng: np.random.Generator, cue_B: Lags, start_B: Lags, lag_B: Lags, first: int, steps: int) -> Batch:
        """The `steps` steps from step `first` on."""
        shape = (len(cue_B), steps)
        if self.filler == "noise":
            symbol_BT = self.symbols + rng.integers(self.distractors, size=shape)
        elif self.filler == "counted":
            symbol_BT = self.symbols + (np.arange(first, first + steps) - start_B[:, None] - 1) % self.distractors
        elif self.filler == "same":
            symbol_BT = rng.integers(self.symbols, size=shape)
        else:
            symbol_BT = np.full(shape, -1, dtype=np.int64)
        row_N, at_N = within(start_B, first, steps)
        symbol_BT[row_N, at_N] = cue_B[row_N]
        input_BTI = one_hot(symbol_BT, self.inputs)
        if self.filler == "same":
            input_BTI[row_N, at_N, self.symbols] = 1.0
        end_B = start_B + lag_B
        input_BTI[*within(end_B, first, steps), -1] = 1.0
        return part_once(input_BTI, first, end_B, cue_B, lag_B)

    def ladder(self) -> list[Rung]:
        """Models that have fewer candidates for the cue with each bit that they remember."""
        return [
            Rung(f"1 of {n} candidates" if n > 1 else "the cue", 1 / n, math.log(n)) for n in candidates(self.symbols)
        ]
