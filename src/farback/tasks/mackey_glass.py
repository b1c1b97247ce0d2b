"""Say where a chaotic series stands `lag` steps after it was last seen."""

from __future__ import annotations

import functools
import math
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from farback.tasks.base import Batch, Lags, Task, batch
from farback.tasks.support.answers import Chance, Rung, Within

Numbers = NDArray[np.float64]
STEP = 0.1  # of the integration; one step of a sequence is one unit of time
TRANSIENT = 300  # units of time after which a constant history is forgotten
SPREAD = 200  # and as many more at most, drawn for each sequence, so that the phase is, too


class MackeyGlass(Task):
    """Forecast the Mackey-Glass series across a gap.

    The series solves dx/dt = beta x(t - tau) / (1 + x(t - tau) ** power) - gamma x(t), by Runge-Kutta steps of 0.1, and
    is shown once a unit of time. It is shown for `history` steps; then nothing is shown, and `lag` steps after the last
    shown value a flag asks for the present one: `lag` is the horizon of the forecast. One network can be asked at all
    horizons.

    Example (history = 4, lag = 3; . shows nothing, ? is the flag):

        .93 1.02 1.10 1.15 . . ?   -> at the last step: the value three steps after 1.15

    Chance: the mean of the series, its variance. Ladder: the best linear guess from the last 1, 6 and 18 shown values;
    the equation itself, 0. These are means over many long series (standard error below 1 %). `persistence()` is the
    error of repeating the last value, which at long horizons is worse than chance.

    Source: Mackey and Glass 1977; as a benchmark Jaeger and Haas 2004. They forecast at every step of a stream; the gap
    makes the horizon a lag, and leaves nothing of the series in sight when it is asked.
    """

    least_lag: ClassVar[int] = 1
    lag: Annotated[int, Field(ge=0, le=100_000)] = 6
    history: Annotated[int, Field(ge=1, le=10_000)] = 50
    tau: Annotated[float, Field(ge=1, le=1000)] = 17.0
    beta: Annotated[float, Field(gt=0, le=1)] = 0.2
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    power: Annotated[float, Field(gt=0, le=100)] = 10.0
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.04

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if not math.isclose(self.tau / STEP, round(self.tau / STEP), abs_tol=1e-9):
            raise ValueError(f"tau is {self.tau}, and must be a multiple of the integration step, {STEP}")
        return self

    @property
    def inputs(self) -> int:
        """The value, whether one is shown, the flag."""
        return 3

    @property
    def answer(self) -> Within:
        """The present value."""
        return Within(self.tolerance)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of history + lag steps."""
        lag_B = self.lags(size, lag_B)
        steps, row_B = self.history + self.lag, np.arange(size)
        value_BT = self._series(rng, size, steps)
        end_B, step_1T = self.history - 1 + lag_B, np.arange(steps)[None, :]
        input_BTI = np.zeros((size, steps, 3), dtype=np.float32)
        input_BTI[:, : self.history, 0] = value_BT[:, : self.history]
        input_BTI[:, : self.history, 1] = 1.0
        input_BTI[row_B, end_B, 2] = 1.0
        asked_BT = step_1T == end_B[:, None]
        return batch(
            input_BTI, np.where(asked_BT, value_BT, 0).astype(np.float32), np.where(asked_BT, lag_B[:, None], -1)
        )

    def chance(self) -> Chance:
        """The mean."""
        _, accuracy, loss = self._rungs()[0]
        return Chance(accuracy, loss)

    def ladder(self) -> list[Rung]:
        """Linear in the last values; everything."""
        return [Rung(text, accuracy, loss) for text, accuracy, loss in self._rungs()]

    def persistence(self) -> float:
        """Error of repeating the last value shown, in standard deviations of the series."""
        series = _long(self.equation)
        change = series[:, self.lag :] - series[:, : -self.lag]
        return float(np.sqrt((change**2).mean() / series.var()))

    @property
    def equation(self) -> tuple[float, float, float, float]:
        """tau, beta, gamma, power."""
        return self.tau, self.beta, self.gamma, self.power

    def _series(self, rng: np.random.Generator, size: int, steps: int) -> Numbers:
        start_B = rng.integers(TRANSIENT, TRANSIENT + SPREAD, size)
        series_BT = integrated(self.equation, rng.uniform(0.5, 1.5, size), TRANSIENT + SPREAD + steps)
        return np.take_along_axis(series_BT, start_B[:, None] + np.arange(steps), 1)

    def _rungs(self) -> list[tuple[str, float, float]]:
        return _ladder(self.equation, self.lag, self.history, self.tolerance)


def integrated(equation: tuple[float, float, float, float], start_B: Numbers, steps: int) -> Numbers:
    """The series from constant histories, (B, steps), one value a unit of time, the first at time 1.

    Over one delay the delayed term is known, so that the equation is linear: its Runge-Kutta step of order 4 is
    x' = a x + b_0 f_0 + b_1 f_1/2 + b_2 f_1, with f the delayed term at the start, middle and end of the step (in the
    middle the delayed value is the mean of its neighbours), and a whole delay is one recursive filter.
    """
    from scipy.signal import lfilter  # slow to import: only where it is used

    tau, beta, gamma, power = equation
    h, block = STEP, round(tau / STEP)
    g = gamma * h
    a = 1 - g + g**2 / 2 - g**3 / 6 + g**4 / 24
    b_0 = h / 6 * (1 - g + g**2 / 2 - g**3 / 4)
    b_1 = h / 6 * (4 - 2 * g + g**2 / 2)
    b_2 = h / 6
    each = round(1 / STEP)
    x_NB = np.repeat(start_B[None, :], block + 1, 0)  # the last delay, both ends included
    kept = [x_NB[-1:]]
    for _ in range(math.ceil(steps * each / block)):
        middle_NB = 0.5 * (x_NB[:-1] + x_NB[1:])
        f_NB, f_middle_NB = (beta * x / (1 + x**power) for x in (x_NB, middle_NB))
        force_NB = b_0 * f_NB[:-1] + b_1 * f_middle_NB + b_2 * f_NB[1:]
        new_NB, _ = lfilter([1.0], [1.0, -a], force_NB, axis=0, zi=a * x_NB[-1:])
        kept.append(new_NB)
        x_NB = np.concatenate([x_NB[-1:], new_NB])
    series_BT: Numbers = np.concatenate(kept)[each::each][:steps].T
    return series_BT


@functools.cache
def _long(equation: tuple[float, float, float, float]) -> Numbers:
    """Many series from one fixed stream, after the transient."""
    rng = np.random.default_rng(0)
    return integrated(equation, rng.uniform(0.5, 1.5, 400), TRANSIENT + 1000)[:, TRANSIENT:]


@functools.cache
def _ladder(
    equation: tuple[float, float, float, float], lag: int, history: int, tolerance: float
) -> list[tuple[str, float, float]]:
    from scipy.linalg import solve_triangular

    long = _long(equation)
    if lag + history >= long.shape[1]:  # a horizon beyond the series kept
        rng = np.random.default_rng(1)
        long = integrated(equation, rng.uniform(0.5, 1.5, 400), TRANSIENT + lag + history + 500)[:, TRANSIENT:]
    windows = [0, *(m for m in (1, 6, 18) if m <= history)]
    first = windows[-1]
    y = long[:, first + lag - 1 :].ravel() if first else long.ravel()
    rungs = []
    for m in windows:
        shifted = [long[:, first - 1 - j : long.shape[1] - lag - j].ravel() for j in range(m)]
        design = np.column_stack([np.ones(y.size), *shifted])
        r = np.asarray(
            np.linalg.qr(np.column_stack([design, y]), mode="r")
        )  # as exact as lstsq, at a tenth of the cost
        residual = y - design @ solve_triangular(r[:-1, :-1], r[:-1, -1])
        text = "the mean" if m == 0 else f"linear in the last {m} values" if m > 1 else "linear in the last value"
        rungs.append((text, float((np.abs(residual) < tolerance).mean()), float((residual**2).mean())))
    return [*rungs, ("the equation", 1.0, 0.0)]
