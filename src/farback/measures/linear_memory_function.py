"""The exact memory function of a linear system, and that of a network where it has come to rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from scipy.linalg import eigvals, hessenberg

from farback.measures.base import Measure, Row, Untrained
from farback.measures.memory_function import MemoryFunction
from farback.measures.support.driven_signal import check_channel
from farback.measures.support.linearisation import linearisation
from farback.measures.support.regression import EPS, Floats, floats
from farback.networks.network import Network
from farback.tasks.base import Task

ON_THE_EDGE = 1e-12  # a spectral radius this close to 1 is 1: the eigenvalues are known no better


def linear_memory_function(W: Any, w: Any, max_lag: int) -> MemoryFunction:
    """MC_k of `h_t = W h_{t-1} + w u_t` for independent u: exact, nothing is simulated.

    With v_k = W^k w and C = sum_k v_k v_k', it is MC_k = v_k' C^+ v_k, the squared length of the k-th unit vector's
    projection onto the responses that readouts of h can have. C is far too ill-conditioned to invert (50 random units
    lose 7 of their 50 steps), so the projection is taken in an orthonormal basis of the same responses, which the
    eigenvalues alone give: a chain of first-order all-pass filters. It has the sum N to rounding at any size. What w
    does not excite is left out beforehand, by an orthogonal reduction of (w, W) to Hessenberg form.

    Args:
        W: (N, N).
        w: (N,).
        max_lag: the largest lag.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or a system that does not forget: an eigenvalue
            that w excites is 1 or more in size, so that the variance of h grows without end.

    Source: Jaeger 2001, GMD report 152; White, Lee and Sompolinsky 2004; the basis is Takenaka's and Malmquist's.
    """
    from scipy.signal import lfilter  # slow to import: only where it is used

    W_NN, w_N = linear_system(W, w, max_lag)
    poles = _excited(W_NN, w_N)
    radius = np.abs(poles).max(initial=0.0)
    if radius > 1 - ON_THE_EDGE:
        raise ValueError(f"the largest eigenvalue that w excites has size {radius:.6g}; it must be below 1 to forget")
    signal_K = np.zeros(max_lag + 1, dtype=complex)
    signal_K[0] = 1.0
    r2 = np.zeros(max_lag + 1)
    for pole in poles:
        passed_K = lfilter([1.0], [1.0, -pole], signal_K)
        r2 += (1 - abs(pole) ** 2) * np.abs(passed_K) ** 2
        signal_K = lfilter([-np.conj(pole), 1.0], [1.0, -pole], signal_K)
    nothing = np.zeros(max_lag + 1)
    return MemoryFunction(np.arange(max_lag + 1), r2, nothing, nothing, len(poles), 0)


def linear_system(W: Any, w: Any, max_lag: int) -> tuple[Floats, Floats]:
    """W and w in double precision, checked, as of `linear_memory_function`."""
    W_NN, w_N = floats("W", W, 2), floats("w", w, 1)
    if W_NN.shape != (len(w_N), len(w_N)) or max_lag < 0:
        raise ValueError(
            f"needs W (N, N), w (N,) and max_lag of 0 or more, got {W_NN.shape}, {w_N.shape} and {max_lag}"
        )
    return W_NN, w_N


def _excited(W_NN: Floats, w_N: Floats) -> Any:
    """The eigenvalues of W on the space that w, W w, W^2 w ... span."""
    N = len(w_N)
    joined = np.zeros((N + 1, N + 1))
    joined[1:, 0], joined[1:, 1:] = w_N, W_NN
    reduced = hessenberg(joined)
    step_N = np.abs(np.diag(reduced, -1))  # what each further power of W adds to the space
    least_N = np.full(N, N * EPS * np.linalg.norm(W_NN))
    least_N[:1] = 0.0
    ends = np.flatnonzero(step_N <= least_N)
    reached = int(ends[0]) if len(ends) else N
    return eigvals(reduced[1 : reached + 1, 1 : reached + 1]) if reached else np.zeros(0, dtype=complex)


class LinearMemoryFunctionMeasure(Measure):
    """The exact memory function of the network linearised where it comes to rest, all layers, the full state.

    The signal enters through one channel of the task's inputs, the others are zero: small signals around no input at
    all. Exact for linear networks at any scale. See `linearisation` for when a network has none, and then no rows.

    Source: Jaeger 2001, GMD report 152; White, Lee and Sompolinsky 2004.
    """

    max_lag: Annotated[int, Field(ge=0, le=100_000)] = 100
    channel: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows r2 for each lag; total (lags 0 to max_lag) and features belong to none.

        No rows where the network does not come to rest, or rests where it would not forget.
        """
        return [self._rows(network.replica(index)) for index in range(len(seeds))]

    def _rows(self, network: Network) -> list[Row]:
        found = linearisation(network, self.channel)
        if found is None:
            return []
        try:
            memory = linear_memory_function(*found, self.max_lag)
        except ValueError:  # it rests there, but at the edge of stability
            return []
        rows = [Row(int(lag), "r2", float(value)) for lag, value in zip(memory.lag, memory.r2, strict=True)]
        return [*rows, Row(-1, "total", memory.total()), Row(-1, "features", float(memory.features))]

    def check(self, task: Task) -> None:
        """The channel must be one of the task's inputs."""
        check_channel(self.channel, task)
