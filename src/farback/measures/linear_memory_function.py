"""The exact memory function of a linear system, and of a network linearised at its resting state."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from typing_extensions import override

from farback.measures.base import Floats, MeasureRow, curve_rows, summary_rows
from farback.measures.memory_function import MemoryFunction
from farback.measures.support.linearisation import Linearised
from farback.measures.support.regression import EPS, floats

RADIUS_TOLERANCE = 1e-12  # a spectral radius this close to 1 counts as 1: eigenvalues are not known more precisely


def linear_memory_function(W: Any, w: Any, max_lag: int) -> MemoryFunction:
    """The exact memory function MC_k of `h_t = W h_{t-1} + w u_t` for independent u; W is (N, N) and w is (N,).

    With v_k = W^k w and C = sum_k v_k v_k', MC_k = v_k' C^+ v_k: the squared length of the projection of the k-th unit
    vector onto the impulse responses that readouts of h can produce. C is too ill-conditioned to invert (with 50 random
    units, about 10 of their 50 steps would be lost). The projection therefore uses an orthonormal basis of the same
    responses, a chain of first-order all-pass filters, which depends on the eigenvalues of W alone. Directions that w
    does not excite are removed first, by an orthogonal reduction of (w, W) to Hessenberg form. The sum over all lags is
    the number of the other directions (in general N) up to rounding, for any N.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or an unstable system: an eigenvalue that w
            excites has size 1 or more, so the variance of h grows without bound.

    Source: Jaeger 2001, GMD report 152; White, Lee and Sompolinsky 2004; the basis of Takenaka and Malmquist.
    """
    from scipy.signal import lfilter  # slow to import, so only when needed

    W_NN, w_N = linear_system(W, w, max_lag)
    poles = _excited_eigenvalues(W_NN, w_N)
    radius = np.abs(poles).max(initial=0.0)
    if radius > 1 - RADIUS_TOLERANCE:
        raise ValueError(f"the largest eigenvalue that w excites has size {radius:.6g}; it must be below 1")
    signal_K = np.zeros(max_lag + 1, dtype=complex)
    signal_K[0] = 1.0
    r2 = np.zeros(max_lag + 1)
    for pole in poles:
        passed_K = lfilter([1.0], [1.0, -pole], signal_K)
        r2 += (1 - abs(pole) ** 2) * np.abs(passed_K) ** 2
        signal_K = lfilter([-np.conj(pole), 1.0], [1.0, -pole], signal_K)
    zeros = np.zeros(max_lag + 1)
    return MemoryFunction(np.arange(max_lag + 1), r2, zeros, zeros, len(poles), 0)


def linear_system(W: Any, w: Any, max_lag: int) -> tuple[Floats, Floats]:
    """W and w in double precision.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or a negative max_lag.
    """
    W_NN, w_N = floats("W", W, 2), floats("w", w, 1)
    if W_NN.shape != (len(w_N), len(w_N)) or max_lag < 0:
        raise ValueError(f"W must be (N, N), w (N,) and max_lag 0 or more, got {W_NN.shape}, {w_N.shape} and {max_lag}")
    return W_NN, w_N


def _excited_eigenvalues(W_NN: Floats, w_N: Floats) -> Any:
    """The eigenvalues of W on the space spanned by w, W w, W^2 w, ..."""
    N = len(w_N)
    joined = np.zeros((N + 1, N + 1))
    joined[1:, 0], joined[1:, 1:] = w_N, W_NN
    reduced = scipy.linalg.hessenberg(joined)
    step_N = np.abs(np.diag(reduced, -1))  # length of the new direction that each further power of W adds to the space
    rounding_N = np.full(N, N * EPS * np.linalg.norm(W_NN))
    rounding_N[:1] = 0.0
    ends = np.flatnonzero(step_N <= rounding_N)
    size = int(ends[0]) if len(ends) else N
    return scipy.linalg.eigvals(reduced[1 : size + 1, 1 : size + 1]) if size else np.zeros(0, dtype=complex)


class LinearMemoryFunctionMeasure(Linearised):
    """The exact memory function of the network linearised at its resting state (all layers, the full state).

    The input enters through one channel; the other channels are zero. The result is exact for small inputs around zero,
    and for linear networks with inputs of any size.

    Source: Jaeger 2001, GMD report 152; White, Lee and Sompolinsky 2004.
    """

    @override
    def linear_rows(self, W_SS: Floats, w_S: Floats) -> list[MeasureRow]:
        """The rows are `r2` for each lag, and `total` (lags 0 to max_lag) and `features` without a lag."""
        memory = linear_memory_function(W_SS, w_S, self.max_lag)
        return curve_rows(memory.lag, {"r2": memory.r2}) + summary_rows(total=memory.total(), features=memory.features)
