"""Give a fixed linear filter (memory kernel) of past inputs, to compare with the filter that a network learns."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from farback.tasks.base import Batch, Lags, Task, batch_from
from farback.tasks.support.answers import Chance, Rung, Within

RUNGS = 5


class KernelTask(Task):
    """At every step from the lag on, give a fixed linear filter of past inputs, y_t = sum over k of w_k x_{t-k}.

    The inputs are white noise of mean 0 and variance 1. The weights w_0 ... w_lag are the memory kernel ("kernel" means
    compiled code elsewhere). Their squares add up to 1. They have one of four shapes: `exponential`, exp(-k / tau);
    `power_law`, (k + 1) ** -exponent; `shift`, one weight at the lag; `two_bumps`, Gaussian bumps at a quarter and
    three quarters of the lag. `tau` and `width` are in steps; by default a quarter and a twentieth of the lag.

    Because the inputs are white, least squares can estimate the memory kernel of a trained network from its outputs, to
    compare it with `weights()`: see the measure `kernel_recovery`.

    Example (shape = shift, lag = 2; . is not asked):

        .3 -1.1 .7 .2 -.5   -> . . .3 -1.1 .7

    Chance: answering w_0 times the present input, mean squared error 1 - w_0 ** 2. Ladder (partial memory): if the last
    m inputs are known, the error is the sum of the squares of the other weights.

    Source: linear functionals of the past as a test of memory (Li et al. 2021, 2009.07799); the shift is the delay line
    of Jaeger 2001.
    """

    inputs: ClassVar[int] = 1  # the number
    mixes: ClassVar[bool] = False
    least_lag: ClassVar[int] = 1
    shape: Literal["exponential", "power_law", "shift", "two_bumps"] = "exponential"
    tau: Annotated[float, Field(gt=0)] | None = None
    exponent: Annotated[float, Field(gt=0, le=10)] = 1.0
    width: Annotated[float, Field(gt=0)] | None = None
    asked: Annotated[int, Field(ge=1, le=10_000)] = 20
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _looks_back(self) -> Self:
        if not math.isfinite(float(self.weights().sum())):
            raise ValueError(f"{self.shape} with width {self.width} is zero at every step: choose a larger width")
        if self._missing(1) < 1e-6:
            case = f"tau is {self.tau}, exponent {self.exponent}: this kernel weighs the present input only"
            raise ValueError(f"{case}; choose a larger tau or a smaller exponent")
        return self

    @property
    def answer(self) -> Within:
        """A real number."""
        return Within(self.tolerance)

    def weights(self) -> NDArray[np.float64]:
        """The memory kernel, w_0 ... w_lag, with a sum of squares of 1."""
        k = np.arange(self.lag + 1, dtype=np.float64)
        if self.shape == "exponential":
            w = np.exp(-k / (self.lag / 4 if self.tau is None else self.tau))
        elif self.shape == "power_law":
            w = (k + 1) ** -self.exponent
        elif self.shape == "shift":
            w = (k == self.lag).astype(np.float64)
        else:
            width = max(0.5, self.lag / 20) if self.width is None else self.width
            w = sum(
                (np.exp(-0.5 * ((k - center * self.lag) / width) ** 2) for center in (0.25, 0.75)), np.zeros_like(k)
            )
        with np.errstate(divide="ignore", invalid="ignore"):  # narrow bumps between steps give 0 / 0, an error above
            scaled: NDArray[np.float64] = w / np.sqrt((w**2).sum())
        return scaled

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of lag + asked steps."""
        lag = self.one_lag(size, lag_B)
        value_BT = rng.normal(size=(size, lag + self.asked)).astype(np.float32)
        window_BNK = np.lib.stride_tricks.sliding_window_view(value_BT, lag + 1, axis=1)
        return batch_from(value_BT[..., None], lag, window_BNK @ self.weights()[::-1].astype(np.float32))

    def chance(self) -> Chance:
        """Scores of the best answer from the present input alone, whose error is normally distributed."""
        loss = self._missing(1)
        return Chance(self._near(loss), loss)

    def ladder(self) -> list[Rung]:
        """Models that know the last m inputs; m grows geometrically from 1, the present input, to all."""
        chance = self.chance()
        rungs = [Rung("the present input", chance.accuracy, chance.loss, 1)]
        for m in sorted({round((self.lag + 1) ** (j / (RUNGS - 1))) for j in range(RUNGS)}):
            loss = self._missing(m)
            if loss < rungs[-1].loss:
                rungs.append(Rung(f"the last {m} inputs", self._near(loss), loss, m))
        return rungs

    def _missing(self, known: int) -> float:
        """The mean squared error of a model that knows the last `known` inputs."""
        return float((self.weights()[known:] ** 2).sum())

    def _near(self, loss: float) -> float:
        """The probability that a normal error of variance `loss` is below the tolerance."""
        return math.erf(self.tolerance / math.sqrt(2 * loss)) if loss > 0 else 1.0
