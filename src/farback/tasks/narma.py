"""Nonlinear autoregressive moving average: the benchmark of the echo state literature."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from farback.tasks.base import Batch, Lags, Task, batch
from farback.tasks.support.answers import Chance, Rung, Within

Numbers = NDArray[np.float64]
BOUND = 2.0  # what stays below 1 nearly always; beyond it the recursion runs away, and the sequence is drawn again
WARM_UP = 20  # orders: after 5 the variance of y is still 3 % too small
LONG = 400  # sequences of 1000 steps, over which means of the stationary process are taken
BLOCK = 20  # sequences at a time in least squares, so that long memories do not need gigabytes
WIDEST = 100  # inputs of a rung beyond the order


class Narma(Task):
    """At every step, give the next output of a system that multiplies an input with the input of `lag` steps ago.

    With order n = lag + 1, inputs u uniform on [0, 1/2], and y the output,

        y_{t+1} = 0.3 y_t + (0.5 / n) y_t (y_t + ... + y_{t-n+1}) + 1.5 u_{t-n+1} u_t + 0.1

    At step t the network sees u_t and is asked for y_{t+1}, which needs the input of `lag` steps ago; so `lag` is the
    order less one. At lag 9 this is NARMA-10 as published; at other orders the sum's coefficient is 0.5 / n, where
    others keep 0.05 and squash the output, so that the system is as stable as NARMA-10 at every order.

    Example (lag 9, a constant input of 1/4):

        y tends to 0.3 y + 0.5 y y + 1.5 / 16 + 0.1, so that y = 0.386

    Chance: the best guess from the present input, which is a linear one, since u_t and the past are independent.
    Ladder: the best linear guess from the last m inputs; with the product u_{t-lag} u_t; the system itself, 0. There is
    no closed form for the variance of y: these numbers are means over a long sequence (standard error below 1 %).

    Source: Atiya and Parlos 2000; as used by Jaeger 2003 and Rodan and Tino 2011.
    """

    least_lag: ClassVar[int] = 1
    lag: Annotated[int, Field(ge=0, le=100_000)] = 9
    asked: Annotated[int, Field(ge=1, le=10_000)] = 50
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.04

    @property
    def mixes(self) -> bool:
        """Another order is another system."""
        return False

    @property
    def inputs(self) -> int:
        """The input u."""
        return 1

    @property
    def answer(self) -> Within:
        """The next output."""
        return Within(self.tolerance)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + asked steps of the stationary system."""
        lag = self.one_lag(size, lag_B)
        u_BT, y_BT = system(rng, size, lag, lag + self.asked)
        target_BT = np.where(np.arange(lag + self.asked) >= lag, y_BT, 0.0).astype(np.float32)
        lag_BT = np.full(u_BT.shape, -1, dtype=np.int64)
        lag_BT[:, lag:] = lag
        return batch(u_BT[..., None].astype(np.float32), target_BT, lag_BT)

    def chance(self) -> Chance:
        """The best linear guess from the present input."""
        _, accuracy, loss = _ladder(self.lag, self.tolerance)[0]
        return Chance(accuracy, loss)

    def ladder(self) -> list[Rung]:
        """Linear in the last m inputs; the product as well; everything."""
        return [Rung(text, accuracy, loss) for text, accuracy, loss in _ladder(self.lag, self.tolerance)]

    def nrmse(self, inputs: int, product: bool = False) -> float:
        """Error of the best linear guess from the last `inputs` inputs, in standard deviations of the output."""
        residual = _residual(self.lag, inputs, product)
        return float(np.sqrt((residual**2).mean() / _long(self.lag, inputs)[1].var()))


def system(rng: np.random.Generator, size: int, lag: int, steps: int) -> tuple[Numbers, Numbers]:
    """Inputs and next outputs, each (size, steps), after a warm-up; sequences that run away are drawn again."""
    u_BT, y_BT = _run(rng, size, lag, steps)
    while (away := ~(np.abs(y_BT) < BOUND).all(1)).any():
        u_BT[away], y_BT[away] = _run(rng, int(away.sum()), lag, steps)
    return u_BT, y_BT


def _run(rng: np.random.Generator, size: int, lag: int, steps: int) -> tuple[Numbers, Numbers]:
    order, past = lag + 1, WARM_UP * (lag + 1)
    u_TB = rng.uniform(0, 0.5, (past + steps, size))
    y_TB = np.zeros((past + steps + 1, size))  # y_TB[t] is the output before step t
    total_B = np.zeros(size)  # of the last `order` outputs
    for t in range(past + steps):
        total_B += y_TB[t] - (y_TB[t - order] if t >= order else 0.0)
        echo_B = u_TB[t - lag] if t >= lag else np.zeros(size)
        y_TB[t + 1] = 0.3 * y_TB[t] + 0.5 / order * y_TB[t] * total_B + 1.5 * echo_B * u_TB[t] + 0.1
        np.clip(y_TB[t + 1], -BOUND, BOUND, out=y_TB[t + 1])
    return u_TB[past:].T.copy(), y_TB[past + 1 :].T.copy()


@functools.cache
def _long(lag: int, inputs: int) -> tuple[Numbers, Numbers]:
    """Many sequences from one fixed stream: outputs, and their inputs with as many before the first as are needed."""
    before = max(5 * (lag + 1), inputs)
    u_BT, y_BT = system(np.random.default_rng(0), LONG, lag, before + 1000)
    return u_BT, y_BT[:, before:]


def _residual(lag: int, inputs: int, product: bool = False) -> Numbers:
    """What a linear guess from the last inputs leaves, by least squares."""
    u_BT, y_BT = _long(lag, max(inputs, 5 * (lag + 1)))
    steps, width = y_BT.shape[1], u_BT.shape[1]

    def design(rows: slice) -> Numbers:
        shifted = [u_BT[rows, width - steps - k : width - k].ravel() for k in range(inputs)]
        if product:
            shifted.append(shifted[0] * u_BT[rows, width - steps - lag : width - lag].ravel())
        return np.column_stack([np.ones(len(shifted[0])), *shifted])

    blocks = [slice(first, first + BLOCK) for first in range(0, LONG, BLOCK)]
    gram, moment = np.zeros((inputs + 1 + product,) * 2), np.zeros(inputs + 1 + product)
    for rows in blocks:
        x = design(rows)
        gram, moment = gram + x.T @ x, moment + x.T @ y_BT[rows].ravel()
    weight = np.linalg.solve(gram, moment)
    return np.concatenate([y_BT[rows].ravel() - design(rows) @ weight for rows in blocks])


@functools.cache
def _ladder(lag: int, tolerance: float) -> list[tuple[str, float, float]]:
    order = lag + 1
    windows = sorted({1, lag, order, *(m for m in (2 * order, 5 * order) if m <= WIDEST)})
    fits = [(f"linear in the last {m} inputs" if m > 1 else "the present input", m, False) for m in windows]
    fits.append((f"linear in the last {windows[-1]} inputs and in the product", windows[-1], True))
    rungs = []
    for text, inputs, product in fits:
        residual = _residual(lag, inputs, product)
        rungs.append((text, float((np.abs(residual) < tolerance).mean()), float((residual**2).mean())))
    return [*rungs, ("the system itself", 1.0, 0.0)]
