"""Nonlinear autoregressive moving average: the benchmark of the echo state literature."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch_from
from farback.tasks.support.answers import Chance, Rung, Within

Numbers = NDArray[np.float64]
BOUND = 2.0  # the output is nearly always below 1; beyond this bound it diverges, and the sequence is drawn again
WARM_UP = 20  # hidden steps before a sequence, in orders: after 5 orders the variance of y is still 3 % too small
SEQUENCES, STEPS = 400, 1000  # the errors of the ladder are averages over these
BLOCK = 20  # sequences per block of the least squares, which bounds its memory
WIDEST = 100  # windows of the ladder that are longer than the order have at most this many inputs


class Narma(Task):
    """At every step, give the next output of a system that multiplies an input with the input of `lag` steps ago.

    With order n = lag + 1, inputs u uniform on [0, 1/2], and y the output,

        y_{t+1} = 0.3 y_t + (0.5 / n) y_t (y_t + ... + y_{t-n+1}) + 1.5 u_{t-n+1} u_t + 0.1

    Step t shows u_t and asks for y_{t+1}, which needs the input of `lag` steps ago; so `lag` is the order minus one. At
    lag 9 this is NARMA-10 as published. The coefficient 0.5 / n makes the system as stable as NARMA-10 at every order;
    other authors keep 0.05 and squash the output.

    Example (lag 9, a constant input of 1/4):

        y tends to 0.3 y + 0.5 y y + 1.5 / 16 + 0.1, so that y = 0.386

    Chance: the best guess from the present input, which is linear, since u_t and the past are independent. Ladder
    (partial memory): the best linear guess from the last m inputs, and from these and u_{t-lag} u_t; the system
    itself, error 0. All errors are means over many sequences (standard error below 1 %): no closed form is known.

    Source: Atiya and Parlos 2000; as used by Jaeger 2003 and Rodan and Tino 2011.
    """

    inputs: ClassVar[int] = 1  # u
    mixes: ClassVar[bool] = False
    least_lag: ClassVar[int] = 1
    lag: Annotated[int, Field(ge=0, le=100_000)] = 9
    asked: Annotated[int, Field(ge=1, le=10_000)] = 50
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.04

    @property
    def answer(self) -> Within:
        """The next output."""
        return Within(self.tolerance)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + asked steps of the stationary system."""
        lag = self.one_lag(size, lag_B)
        u_BT, y_BT = simulated(rng, size, lag, lag + self.asked)
        return batch_from(u_BT[..., None].astype(np.float32), lag, y_BT[:, lag:])

    def chance(self) -> Chance:
        """The best linear guess from the present input."""
        present = self.ladder()[0]
        return Chance(present.accuracy, present.loss)

    def ladder(self) -> list[Rung]:
        """Linear models of the last m inputs, also with the product, and the system itself."""
        return [*_linear_rungs(self.lag, self.tolerance), Rung("the system itself", 1.0, 0.0)]


def simulated(rng: np.random.Generator, size: int, lag: int, steps: int) -> tuple[Numbers, Numbers]:
    """Inputs and next outputs (size, steps) of the system after a warm-up. Diverging sequences are drawn again."""
    order, past = lag + 1, WARM_UP * (lag + 1)
    u_TB = rng.uniform(0, 0.5, (past + steps, size))
    y_TB = np.zeros((past + steps + 1, size))  # y_TB[t] is the output before step t
    total_B = np.zeros(size)  # of the last `order` outputs
    for t in range(past + steps):
        total_B += y_TB[t] - (y_TB[t - order] if t >= order else 0.0)
        delayed_B = u_TB[t - lag] if t >= lag else np.zeros(size)
        y_TB[t + 1] = 0.3 * y_TB[t] + 0.5 / order * y_TB[t] * total_B + 1.5 * delayed_B * u_TB[t] + 0.1
        np.clip(y_TB[t + 1], -BOUND, BOUND, out=y_TB[t + 1])
    u_BT, y_BT = u_TB[past:].T.copy(), y_TB[past + 1 :].T.copy()
    diverged_B = ~(np.abs(y_BT) < BOUND).all(1)
    if diverged_B.any():
        u_BT[diverged_B], y_BT[diverged_B] = simulated(rng, int(diverged_B.sum()), lag, steps)
    return u_BT, y_BT


@functools.cache
def _linear_rungs(lag: int, tolerance: float) -> list[Rung]:
    """Scores of least squares on the last m inputs, and for the largest m also on the product, on one fixed sample."""
    order = lag + 1
    windows = sorted({1, lag, order, *(m for m in (2 * order, 5 * order) if m <= WIDEST)})
    before = 5 * order  # inputs before the first output that is predicted
    u_BT, y_BT = simulated(np.random.default_rng(0), SEQUENCES, lag, before + STEPS)

    def block(first: int) -> tuple[Numbers, Numbers]:
        """Columns (a constant, the last inputs, the product) and outputs of a block of sequences."""
        u, y_N = u_BT[first : first + BLOCK], y_BT[first : first + BLOCK, before:].ravel()
        shifted = [u[:, before - k : before + STEPS - k].ravel() for k in range(windows[-1])]
        return np.column_stack([np.ones(len(y_N)), *shifted, shifted[0] * shifted[lag]]), y_N

    gram, moment = np.zeros((windows[-1] + 2,) * 2), np.zeros(windows[-1] + 2)
    for first in range(0, SEQUENCES, BLOCK):
        x_NC, y_N = block(first)
        gram, moment = gram + x_NC.T @ x_NC, moment + x_NC.T @ y_N
    fits = {f"linear in the last {m} inputs" if m > 1 else "the present input": m + 1 for m in windows}
    fits[f"linear in the last {windows[-1]} inputs and in the product"] = windows[-1] + 2
    weight_CF = np.zeros((windows[-1] + 2, len(fits)))
    for fit, columns in enumerate(fits.values()):
        weight_CF[:columns, fit] = np.linalg.solve(gram[:columns, :columns], moment[:columns])
    residual_NF = np.concatenate(
        [y_N[:, None] - x_NC @ weight_CF for x_NC, y_N in map(block, range(0, SEQUENCES, BLOCK))]
    )
    accuracy_F, loss_F = (np.abs(residual_NF) < tolerance).mean(0), (residual_NF**2).mean(0)
    return [Rung(text, float(accuracy_F[fit]), float(loss_F[fit])) for fit, text in enumerate(fits)]
