"""Copy a list of symbols after a delay."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from farback.records.record import Since
from farback.tasks.base import Batch, Lags, Task, batch_at, one_hot
from farback.tasks.support.answers import Chance, OneOf, Rung, partial


class Copy(Task):
    """Repeat `length` symbols, in order, `lag` steps after each was shown.

    The layout is that of Arjovsky, Shah and Bengio 2016, with their delay T = `lag` - `length`: the symbols, T - 1
    blanks, one go marker, `length` blanks; T + 2 * length steps in all. Every recalled symbol has the same lag,
    T + length. With `blanks: asked`, as published, the answer at the other steps is a blank (these answers need no
    memory, so their lag is 0); with `blanks: ignored` nothing is asked at the other steps.

    `layout: tcn` is the variant of Bai, Kolter and Koltun 2018 with the same name: the go marker is repeated to the
    end, `length` + 1 times, and the input is one number, the symbol's index, instead of a one-hot row.

    Example (length = 3, T = 4, so lag = 7; digits are symbols, - is blank, ! the go marker):

        1 8 3 - - - ! - - -   -> - - - - - - - 1 8 3      (layout: arjovsky)
        1 8 3 - - - ! ! ! !   -> - - - - - - - 1 8 3      (layout: tcn)

    Chance, over the recalled symbols: accuracy 1 / symbols, loss ln symbols. The published baseline is the mean over
    all steps, `baseline()`. Ladder (partial memory): j of the `length` symbols remembered.

    Source: Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016 (1511.06464), with one-hot inputs; TCN: 1803.01271.
    Deviation from both: every batch is a fresh sample. Deviation from TCN: one output for each symbol and the blank,
    and none for the marker, which is never the answer.
    """

    symbols: Annotated[int, Field(ge=2, le=1024)] = 8
    length: Annotated[int, Field(ge=1, le=1000)] = 10
    blanks: Literal["asked", "ignored"] = "asked"
    layout: Annotated[Literal["arjovsky", "tcn"], Since("0.1.0")] = "arjovsky"
    lag: Annotated[int, Field(ge=0, le=100_000)] = 20

    @property
    def least(self) -> int:
        """The smallest lag, which has a delay of T = 1."""
        return self.length + 1

    @property
    def inputs(self) -> int:
        """One input for the blank, each symbol and the go marker, or a single number with `layout: tcn`."""
        return self.symbols + 2 if self.layout == "arjovsky" else 1

    @property
    def answer(self) -> OneOf:
        """The blank or one of the symbols."""
        return OneOf(self.symbols + 1)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + length steps."""
        lag_B1 = self.lags(size, lag_B)[:, None]
        step_1T = np.arange(self.lag + self.length)[None, :]
        shown_BN = rng.integers(1, self.symbols + 1, size=(size, self.length))
        symbol_BT = np.zeros((size, step_1T.size), dtype=np.int64)
        symbol_BT[:, : self.length] = shown_BN
        one_hot_input = self.layout == "arjovsky"
        markers = 1 if one_hot_input else self.length + 1
        symbol_BT[(step_1T >= lag_B1 - 1) & (step_1T < lag_B1 - 1 + markers)] = self.symbols + 1
        input_BTI = one_hot(symbol_BT, self.inputs) if one_hot_input else symbol_BT[..., None].astype(np.float32)
        batch = batch_at(input_BTI, lag_B1 + np.arange(self.length), shown_BN, lag_B1)
        if self.blanks == "asked":
            batch.lag_BT[torch.from_numpy(step_1T < lag_B1)] = 0
        return batch

    def chance(self) -> Chance:
        """A guess among the symbols at each recalled step."""
        return Chance(1 / self.symbols, math.log(self.symbols))

    def baseline(self) -> Chance:
        """The published baseline: mean over all T + 2 * length steps of a model that knows when to answer, not what."""
        steps = self.lag + self.length
        return Chance((self.lag + self.length / self.symbols) / steps, self.length * math.log(self.symbols) / steps)

    def ladder(self) -> list[Rung]:
        """Models that remember j of the symbols and guess the others."""
        kept = {0, 1, self.length // 2, self.length - 1, self.length}
        return [partial(j, self.length, "symbols", self.chance()) for j in sorted(kept)]
