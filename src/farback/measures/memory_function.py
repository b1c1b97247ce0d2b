"""The memory function: how much of the input k steps ago a linear readout of the state recovers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farback.measures.base import Floats, MeasureRow, curve_rows, summary_rows
from farback.measures.support.driven_states import Driven
from farback.measures.support.regression import aligned_samples, delayed, span
from farback.networks.network import Network
from farback.tasks.base import Task

NULL_SHARE = 0.95  # the probability that a state independent of the input lies within the null interval


@dataclass(frozen=True)
class MemoryFunction:
    """The memory function MC_k: how much of the input k steps ago a linear readout recovers, for each lag k.

    Attributes:
        lag: 0, 1, ..., max_lag.
        r2: adjusted R2 of the input k steps ago. Not clipped at 0, so that lags without memory sum to zero on average.
        null_low, null_high: 95 % interval of r2 for a state independent of the input; both zero for an exact result.
        features: number of linearly independent components of the state, an upper bound of the sum of r2.
        samples: number of fitted steps; 0 for an exact result.
    """

    lag: NDArray[np.int64]
    r2: Floats
    null_low: Floats
    null_high: Floats
    features: int
    samples: int

    def total(self, first_lag: int = 0) -> float:
        """The memory capacity: r2 summed from `first_lag` on. Jaeger starts at lag 1: N - 1 for a delay line of N."""
        return float(self.r2[self.lag >= first_lag].sum())

    @property
    def half(self) -> int:
        """The largest lag with r2 of at least 0.5; -1 if there is none."""
        return int(self.lag[self.r2 >= 0.5].max(initial=-1))


def memory_function(inputs: Any, states: Any, max_lag: int, washout: int = 0) -> MemoryFunction:
    """The memory function of a system driven by a scalar signal, by least squares in float64.

    Lag k pairs the state after step t, which has seen input t, with input t - k. All lags use the same steps.

    Args:
        inputs: the signal, (T,), (T, 1) or (1, T, 1), independent from step to step. Its mean and scale do not affect
            the fit.
        states: the state after each step, (T, N) or (1, T, N), if possible computed in float64; or the tuple that a
            `torch.nn` module returns, of which the outputs are taken. The readout sees these N numbers (two for each
            complex number) and a constant. For an LSTM, pass h or [h, c].
        washout: number of steps to drop at the start.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, a constant signal, or too few steps.

    Source: Jaeger 2001, GMD report 152. R2 is adjusted by Wherry's formula; without memory it is Beta distributed.
    """
    input_T, state_TN = aligned_samples(inputs, states, max_lag, washout)
    fit = span(state_TN)
    r2 = fit.adjusted(fit.r2(delayed(input_T, max_lag)))
    tail = (1 - NULL_SHARE) / 2
    low, high = fit.adjusted(np.array([fit.null_quantile(tail), fit.null_quantile(1 - tail)]))
    lag = np.arange(max_lag + 1)
    return MemoryFunction(lag, r2, np.full(len(lag), low), np.full(len(lag), high), fit.features, fit.samples)


class MemoryFunctionMeasure(Driven):
    """Adjusted R2 of the driving input k steps ago, recovered by a linear readout of the state.

    Source: Jaeger 2001, GMD report 152.
    """

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are r2, null_low, null_high for each lag, and total, total_from_1, half, features without a lag."""
        driven = self.driven(network, seed)
        if driven is None:
            return []
        memory = memory_function(*driven, self.max_lag, self.washout)
        curves = {"r2": memory.r2, "null_low": memory.null_low, "null_high": memory.null_high}
        return curve_rows(memory.lag, curves) + summary_rows(
            total=memory.total(), total_from_1=memory.total(1), half=memory.half, features=memory.features
        )
