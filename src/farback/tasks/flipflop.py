"""Read the symbol written last: one task with a whole distribution of lags."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch_once, one_hot
from farback.tasks.support.answers import OneOf, Rung


class Flipflop(Task):
    """At the last step, name the symbol that was written last.

    Step 0 writes a symbol. Each later step writes a symbol with probability `write`, and otherwise shows a symbol to
    ignore. Step `lag` asks. So the number of steps since the last write is geometrically distributed up to `lag`, the
    largest lag that an answer can need; `lag_BT` is the lag that it does need.

    Example (symbols = 2, lag = 5; w writes, i is to be ignored, r reads):

        w1 i0 w0 i1 i1 r   -> at r: 0, written 3 steps back

    Chance: accuracy 1 / symbols, loss ln symbols. Ladder (partial memory): a model that remembers the last m steps must
    guess if the last write is older, so its accuracy is 1 - (1 - 1 / symbols) (1 - write) ** m.

    Source: flip-flop language modelling, Liu et al. 2023 (2306.00946), with one question per sequence.
    """

    version: ClassVar[int] = 2  # 1: success at a lag was the mean over the answers of all lags
    least_lag: ClassVar[int] = 1
    symbols: Annotated[int, Field(ge=2, le=1024)] = 2
    write: Annotated[float, Field(gt=0, lt=1)] = 0.1
    lag: Annotated[int, Field(ge=0, le=100_000)] = 20

    @property
    def inputs(self) -> int:
        """One input for each symbol, and one each for write, ignore and read."""
        return self.symbols + 3

    @property
    def answer(self) -> OneOf:
        """One of the symbols."""
        return OneOf(self.symbols)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + 1 steps."""
        return self._drawn(rng, self.lags(size, lag_B), self.write)

    def sample_exact(self, rng: np.random.Generator, size: int) -> Batch:
        """Draw sequences in which only step 0 writes."""
        return self._drawn(rng, self.lags(size, None), 0.0)

    def _drawn(self, rng: np.random.Generator, lag_B: Lags, write: float) -> Batch:
        """Sequences in which the steps after step 0 write with probability `write`."""
        size = len(lag_B)
        step_1T = np.arange(self.lag + 1)[None, :]
        symbol_BT = rng.integers(self.symbols, size=(size, self.lag + 1))
        write_BT = (rng.random(symbol_BT.shape) < write) | (step_1T == 0)
        read_BT = step_1T == lag_B[:, None]
        last_B = np.where(write_BT & (step_1T < lag_B[:, None]), step_1T, 0).max(1)
        flag_BT = np.where(read_BT, 2, np.where(write_BT, 0, 1))
        symbol_BTI = one_hot(np.where(read_BT, -1, symbol_BT), self.symbols)
        input_BTI = np.concatenate([symbol_BTI, one_hot(flag_BT, 3)], axis=2)
        return batch_once(input_BTI, lag_B, symbol_BT[np.arange(size), last_B], lag_B - last_B)

    def ladder(self) -> list[Rung]:
        """Models that remember the last m steps before the question."""
        rungs = []
        for m in sorted({0, 1, *(2**j for j in range(1, self.lag.bit_length()) if 2**j < self.lag), self.lag}):
            older = 0.0 if m == self.lag else (1 - self.write) ** m  # step 0 always writes
            accuracy = 1 - (1 - 1 / self.symbols) * older
            rungs.append(Rung(f"the last {m} steps", accuracy, older * math.log(self.symbols), m))
        return rungs
