"""Copy a list of symbols after a delay."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from farback.records.record import Since
from farback.tasks.base import Batch, Lags, Task, batch, one_hot
from farback.tasks.support.answers import Chance, OneOf, Rung


class Copy(Task):
    """Repeat `length` symbols, in order, `lag` steps after each was shown.

    The layout is that of Arjovsky, Shah and Bengio 2016, whose delay T is here `lag - length`: the symbols, T - 1
    blanks, one go marker, `length` blanks, T + 2 * length steps in all. Every recalled symbol has the same lag,
    T + length. With `blanks: asked`, as published, a blank must be put out at the other steps (they need no memory, and
    their lag is 0); with `blanks: ignored` nothing is asked there.

    `layout: tcn` is the variant of Bai, Kolter and Koltun 2018 that shares the name: the go marker is repeated to the
    end, `length` + 1 times, and the input is one number, the symbol's index, instead of a one-hot row.

    Example (length = 3, T = 4, so lag = 7; digits are symbols, - is blank, ! the go marker):

        1 8 3 - - - ! - - -   -> - - - - - - - 1 8 3      (layout: arjovsky)
        1 8 3 - - - ! ! ! !   -> - - - - - - - 1 8 3      (layout: tcn)

    Chance, over the recalled symbols: accuracy 1 / symbols, loss ln symbols. The published baseline is the mean over
    all steps, `baseline()`. Ladder: j of the `length` symbols remembered.

    Source: Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016 (1511.06464), with one-hot inputs; TCN: 1803.01271.
    Deviation from both: fresh sequences without end; from TCN's: one output for each symbol and the blank, without one
    for the marker, which is never the answer.
    """

    symbols: Annotated[int, Field(ge=2, le=1024)] = 8
    length: Annotated[int, Field(ge=1, le=1000)] = 10
    blanks: Literal["asked", "ignored"] = "asked"
    layout: Annotated[Literal["arjovsky", "tcn"], Since("0.2")] = "arjovsky"
    lag: Annotated[int, Field(ge=0, le=100_000)] = 20

    @property
    def least(self) -> int:
        """T is at least 1."""
        return self.length + 1

    @property
    def inputs(self) -> int:
        """Blank, symbols, go marker, one-hot; or one number for all of them."""
        return self.symbols + 2 if self.layout == "arjovsky" else 1

    @property
    def answer(self) -> OneOf:
        """Blank or a symbol."""
        return OneOf(self.symbols + 1)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + length steps."""
        lag_B = self.lags(size, lag_B)
        steps = self.lag + self.length
        shown_BN = rng.integers(1, self.symbols + 1, size=(size, self.length))
        row_B1, place_1N = np.arange(size)[:, None], np.arange(self.length)[None, :]
        symbol_BT = np.zeros((size, steps), dtype=np.int64)
        symbol_BT[:, : self.length] = shown_BN
        step_1T, go_B1, end_B1 = np.arange(steps)[None, :], lag_B[:, None] - 1, (lag_B + self.length)[:, None]
        marker_BT = step_1T == go_B1 if self.layout == "arjovsky" else (step_1T >= go_B1) & (step_1T < end_B1)
        symbol_BT[marker_BT] = self.symbols + 1
        target_BT = np.zeros_like(symbol_BT)
        target_BT[row_B1, lag_B[:, None] + place_1N] = shown_BN
        silent = 0 if self.blanks == "asked" else -1
        lag_BT = np.where(step_1T < end_B1, silent, -1)
        lag_BT[row_B1, lag_B[:, None] + place_1N] = lag_B[:, None]
        shown = (
            one_hot(symbol_BT, self.inputs) if self.layout == "arjovsky" else symbol_BT[..., None].astype(np.float32)
        )
        return batch(shown, target_BT, lag_BT)

    def chance(self) -> Chance:
        """A guess among the symbols at each recalled step."""
        return Chance(1 / self.symbols, math.log(self.symbols))

    def baseline(self) -> Chance:
        """The published baseline: mean over all T + 2 * length steps for a net that knows when, but not what."""
        steps = self.lag + self.length
        return Chance(
            (self.lag + self.length / self.symbols) / steps,
            self.length * math.log(self.symbols) / steps,
        )

    def ladder(self) -> list[Rung]:
        """j of the symbols remembered, the others guessed."""
        kept = {0, 1, self.length // 2, self.length - 1, self.length}
        return [
            Rung(
                f"{j} of {self.length} symbols",
                (j + (self.length - j) / self.symbols) / self.length,
                (self.length - j) * math.log(self.symbols) / self.length,
            )
            for j in sorted(kept)
        ]
