"""Read what was last written: one task with a whole distribution of lags."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch, one_hot
from farback.tasks.support.answers import Chance, OneOf, Rung


class Flipflop(Task):
    """At the last step, name the symbol that was written last.

    Step 0 writes a symbol; each later step writes one with probability `write`, and else shows one that is to be
    ignored; step `lag` reads. So the last write lies a geometric number of steps back, cut off at `lag`: `lag` is the
    largest lag that can be needed, and `lag_BT` says what each answer really needs.

    Example (symbols = 2, lag = 5; w writes, i is to be ignored, r reads):

        w1 i0 w0 i1 i1 r   -> at r: 0, written 3 steps back

    Chance: accuracy 1 / symbols, loss ln symbols. Ladder: a memory of the last m steps is right unless the last write
    is older, 1 - (1 - 1 / symbols) (1 - write) ** m.

    Source: flip-flop language modelling, Liu et al. 2023 (2306.00946), asked once a sequence.
    """

    least_lag: ClassVar[int] = 1
    symbols: Annotated[int, Field(ge=2, le=1024)] = 2
    write: Annotated[float, Field(gt=0, lt=1)] = 0.1
    lag: Annotated[int, Field(ge=0, le=100_000)] = 20

    @property
    def inputs(self) -> int:
        """The symbols; write, ignore, read."""
        return self.symbols + 3

    @property
    def answer(self) -> OneOf:
        """One of the symbols."""
        return OneOf(self.symbols)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + 1 steps."""
        lag_B = self.lags(size, lag_B)
        row_B, step_1T = np.arange(size), np.arange(self.lag + 1)[None, :]
        symbol_BT = rng.integers(self.symbols, size=(size, self.lag + 1))
        write_BT = (rng.random(symbol_BT.shape) < self.write) | (step_1T == 0)
        read_BT = step_1T == lag_B[:, None]
        last_B = np.where(write_BT & (step_1T < lag_B[:, None]), step_1T, 0).max(1)
        input_BTI = np.zeros((*symbol_BT.shape, self.inputs), dtype=np.float32)
        input_BTI[..., : self.symbols] = one_hot(np.where(read_BT, -1, symbol_BT), self.symbols)
        for place, flag_BT in enumerate((write_BT & ~read_BT, ~write_BT & ~read_BT, read_BT)):
            input_BTI[..., self.symbols + place] = flag_BT
        target_BT = np.where(read_BT, symbol_BT[row_B, last_B][:, None], 0)
        lag_BT = np.where(read_BT, (lag_B - last_B)[:, None], -1)
        return batch(input_BTI, target_BT, lag_BT)

    def chance(self) -> Chance:
        """A guess among the symbols."""
        return Chance(1 / self.symbols, math.log(self.symbols))

    def ladder(self) -> list[Rung]:
        """The last m steps before the reading one remembered."""
        rungs = []
        for m in sorted({0, 1, *(2**j for j in range(1, self.lag.bit_length()) if 2**j < self.lag), self.lag}):
            older = 0.0 if m == self.lag else (1 - self.write) ** m  # step 0 always writes
            accuracy = 1 - (1 - 1 / self.symbols) * older
            rungs.append(Rung(f"the last {m} steps", accuracy, older * math.log(self.symbols), m))
        return rungs
