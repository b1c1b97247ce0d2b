"""Forecast a chaotic series `lag` steps after the last value shown."""

from __future__ import annotations

import functools
import math
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from farback.tasks.base import Batch, Lags, Task, batch_once
from farback.tasks.support.answers import Chance, Rung, Within

Numbers = NDArray[np.float64]
Equation = tuple[float, float, float, float]  # tau, beta, gamma, power
STEP = 0.1  # of the integration; one step of a sequence is one unit of time
TRANSIENT = 300  # units of time after which the constant history no longer matters
SPREAD = 200  # each sequence begins up to this many units later, at random, so that its phase is random
AT_REST = 1e-20  # variance of a series of numbers of about 1 that does not move
SERIES = 400  # number of series over which the errors of the ladder are averaged


class MackeyGlass(Task):
    """Forecast the Mackey-Glass series across a gap.

    The series solves dx/dt = beta x(t - tau) / (1 + x(t - tau) ** power) - gamma x(t), by Runge-Kutta steps of 0.1, and
    is shown once per unit of time, for `history` steps. Then nothing is shown, and `lag` steps after the last shown
    value a flag asks for the value at that time: `lag` is the horizon of the forecast. The same network can be tested
    at all horizons.

    Example (history = 4, lag = 3; . shows nothing, ? is the flag):

        .93 1.02 1.10 1.15 . . ?   -> at the last step: the value three steps after 1.15

    Chance: always answering the mean; the error is the variance. Ladder (partial memory): the best linear guess from
    the last 1, 6 and 18 values; the equation itself, error 0. Errors are means over many series (standard error < 1 %).

    Source: Mackey and Glass 1977; as a benchmark Jaeger and Haas 2004. Deviation: they forecast at every step of a
    continuing series; the gap makes the horizon a lag, and hides the series when the question is asked.
    """

    inputs: ClassVar[int] = 3  # the value, whether one is shown, the flag
    least_lag: ClassVar[int] = 1
    lag: Annotated[int, Field(ge=0, le=100_000)] = 6
    history: Annotated[int, Field(ge=1, le=10_000)] = 50
    tau: Annotated[float, Field(ge=1, le=1000)] = 17.0
    beta: Annotated[float, Field(gt=0, le=1)] = 0.2
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    power: Annotated[float, Field(gt=0, le=100)] = 10.0
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.04

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        if not math.isclose(self.tau / STEP, round(self.tau / STEP), abs_tol=1e-9):
            raise ValueError(f"tau is {self.tau}, and must be a multiple of the integration step, {STEP}")
        return self

    @property
    def answer(self) -> Within:
        """The value at the asked step."""
        return Within(self.tolerance)

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of history + lag steps."""
        lag_B = self.lags(size, lag_B)
        steps, row_B = self.history + self.lag, np.arange(size)
        start_B = rng.integers(TRANSIENT, TRANSIENT + SPREAD, size)
        series_BT = integrated(self._equation, rng.uniform(0.5, 1.5, size), TRANSIENT + SPREAD + steps)
        value_BT = np.take_along_axis(series_BT, start_B[:, None] + np.arange(steps), 1)
        end_B = self.history - 1 + lag_B
        input_BTI = np.zeros((size, steps, 3), dtype=np.float32)
        input_BTI[:, : self.history, 0] = value_BT[:, : self.history]
        input_BTI[:, : self.history, 1] = 1.0
        input_BTI[row_B, end_B, 2] = 1.0
        return batch_once(input_BTI, end_B, value_BT[row_B, end_B], lag_B)

    def chance(self) -> Chance:
        """The scores of always answering the mean of the series."""
        mean = self.ladder()[0]
        return Chance(mean.accuracy, mean.loss)

    def ladder(self) -> list[Rung]:
        """Scores of the mean of the series, of linear models of the last shown values, and of the equation itself."""
        return [*_linear_rungs(self._equation, self.lag, self.history, self.tolerance), Rung("the equation", 1.0, 0.0)]

    @property
    def _equation(self) -> Equation:
        return self.tau, self.beta, self.gamma, self.power


def integrated(equation: Equation, start_B: Numbers, steps: int) -> Numbers:
    """The series from constant histories, (B, steps), one value per unit of time, the first at time 1.

    Over one delay the delayed term is known, so that the equation is linear. A Runge-Kutta step of order 4 then gives
    a x + b_0 f_0 + b_1 f_1/2 + b_2 f_1, with f the delayed term at the start, middle and end of the step (in the middle
    the delayed value is the mean of its neighbours), so that one recursive filter computes the steps of a whole delay.
    """
    from scipy.signal import lfilter  # imported only where it is used, because the import is slow

    tau, beta, gamma, power = equation
    h, block = STEP, round(tau / STEP)
    g = gamma * h
    a = 1 - g + g**2 / 2 - g**3 / 6 + g**4 / 24
    b_0 = h / 6 * (1 - g + g**2 / 2 - g**3 / 4)
    b_1 = h / 6 * (4 - 2 * g + g**2 / 2)
    b_2 = h / 6
    steps_per_unit = round(1 / STEP)
    x_NB = np.repeat(start_B[None, :], block + 1, 0)  # the last delay, both ends included
    blocks = [x_NB[-1:]]
    for _ in range(math.ceil(steps * steps_per_unit / block)):
        middle_NB = 0.5 * (x_NB[:-1] + x_NB[1:])
        f_NB, f_middle_NB = (beta * x / (1 + x**power) for x in (x_NB, middle_NB))
        force_NB = b_0 * f_NB[:-1] + b_1 * f_middle_NB + b_2 * f_NB[1:]
        new_NB, _ = lfilter([1.0], [1.0, -a], force_NB, axis=0, zi=a * x_NB[-1:])
        blocks.append(new_NB)
        x_NB = np.concatenate([x_NB[-1:], new_NB])
    series_BT: Numbers = np.concatenate(blocks)[steps_per_unit::steps_per_unit][:steps].T
    return series_BT


@functools.lru_cache(maxsize=2)
def _long_series(equation: Equation, seed: int, steps: int) -> Numbers:
    """Many series after the transient, for the errors of the ladder."""
    start_B = np.random.default_rng(seed).uniform(0.5, 1.5, SERIES)
    return integrated(equation, start_B, TRANSIENT + steps)[:, TRANSIENT:]


@functools.cache
def _linear_rungs(equation: Equation, lag: int, history: int, tolerance: float) -> list[Rung]:
    """Scores of least squares on the last shown values, by QR: as exact as `lstsq`, in a tenth of the time."""
    from scipy.linalg import solve_triangular

    beyond = lag + history >= 1000  # too long for the series that all shorter forecasts share
    series_BT = _long_series(equation, 1, lag + history + 500) if beyond else _long_series(equation, 0, 1000)
    windows = [0, *(m for m in (1, 6, 18) if m <= history)]
    first = windows[-1]
    y_N = series_BT[:, first + lag - 1 :].ravel()
    shifted = [series_BT[:, first - 1 - j : series_BT.shape[1] - lag - j].ravel() for j in range(first)]
    design_NC = np.column_stack([np.ones(y_N.size), *shifted])
    r = np.asarray(np.linalg.qr(np.column_stack([design_NC, y_N]), mode="r"))
    rungs = []
    for m in windows:
        columns = slice(m + 1)  # R of the first columns is the first block of R
        residual_N = y_N - design_NC[:, columns] @ solve_triangular(r[columns, columns], r[columns, -1])
        text = "the mean" if m == 0 else f"linear in the last {m} values" if m > 1 else "linear in the last value"
        rungs.append(Rung(text, float((np.abs(residual_N) < tolerance).mean()), float((residual_N**2).mean())))
        if rungs[0].loss < AT_REST:  # shown values that are equal determine no linear model
            break
    return rungs
