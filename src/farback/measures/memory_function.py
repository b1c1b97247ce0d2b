"""The memory function: how much of the input of k steps ago a linear readout of the state recovers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farback.measures.base import Row, Untrained
from farback.measures.support.driven_signal import Driven
from farback.measures.support.regression import delayed, samples, span
from farback.networks.network import Network
from farback.tasks.base import Task

NULL_SHARE = 0.95  # of the lags of a net that remembers nothing lie within the null interval


@dataclass(frozen=True)
class MemoryFunction:
    """MC_k over the lags.

    Attributes:
        lag: 0, 1, ..., the largest.
        r2: adjusted R2 of the input of that many steps ago; never clipped, so that lags without memory sum to zero.
        null_low: with `null_high`, where 95 % of the values of a state independent of the input lie.
        null_high: see `null_low`; both are zero in an exact result.
        features: linearly independent numbers of the state, which the sum cannot exceed.
        samples: steps that were fitted; 0 for an exact result.
    """

    lag: NDArray[np.int64]
    r2: NDArray[np.float64]
    null_low: NDArray[np.float64]
    null_high: NDArray[np.float64]
    features: int
    samples: int

    def total(self, first_lag: int = 0) -> float:
        """The memory capacity: the sum from `first_lag` on. Jaeger sums from 1, where a delay line has N - 1, not N."""
        return float(self.r2[self.lag >= first_lag].sum())

    @property
    def half(self) -> int:
        """The largest lag of which at least half is recovered; -1 where there is none."""
        return int(self.lag[self.r2 >= 0.5].max(initial=-1))


def memory_function(inputs: Any, states: Any, max_lag: int, washout: int = 0) -> MemoryFunction:
    """The memory function of a system driven by a scalar signal, by least squares in float64.

    Lag k pairs the state after step t, which has seen input t, with input t - k. All lags share the same steps.

    Args:
        inputs: the signal, (T,), independent from step to step. Its mean and scale do not matter to the fit.
        states: the states after each step, (T, N): the readout sees these N numbers and a constant, no more. For an
            LSTM say whether they are h or [h, c]. Best computed in float64.
        max_lag: the largest lag.
        washout: steps to leave out at the start.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, a constant signal, or too few steps.

    Source: Jaeger 2001, GMD report 152; the adjustment is Wherry's, the null distribution the Beta of R2.
    """
    input_T, state_TN = samples(inputs, states, max_lag, washout)
    reach = span(state_TN)
    r2 = reach.adjusted(reach.r2(delayed(input_T, max_lag)))
    low, high = reach.adjusted(np.array([reach.null((1 - NULL_SHARE) / 2), reach.null((1 + NULL_SHARE) / 2)]))
    lag = np.arange(max_lag + 1)
    return MemoryFunction(lag, r2, np.full(len(lag), low), np.full(len(lag), high), reach.features, reach.samples)


class MemoryFunctionMeasure(Driven):
    """Adjusted R2 of the drive's value k steps ago, from a linear readout of the state; see `driven` for the drive.

    Source: Jaeger 2001, GMD report 152.
    """

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows r2, null_low, null_high for each lag; total, total_from_1, half and features belong to none.

        A net whose state does not stay finite has no rows.
        """
        return [self._rows(network.replica(index), seed) for index, seed in enumerate(seeds)]

    def _rows(self, network: Network, seed: int) -> list[Row]:
        driven = self.driven(network, seed)
        if driven is None:
            return []
        found = memory_function(*driven, self.max_lag, self.washout)
        curves = {"r2": found.r2, "null_low": found.null_low, "null_high": found.null_high}
        alone = {
            "total": found.total(),
            "total_from_1": found.total(1),
            "half": float(found.half),
            "features": float(found.features),
        }
        rows = [Row(int(k), name, float(curve[k])) for name, curve in curves.items() for k in found.lag]
        return rows + [Row(-1, name, value) for name, value in alone.items()]
