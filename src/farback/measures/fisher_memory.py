"""Fisher memory: how precisely the state of a noisy linear system determines each past input."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from typing_extensions import override

from farback.measures.base import Floats, MeasureRow, curve_rows, summary_rows
from farback.measures.linear_memory_function import RADIUS_TOLERANCE, linear_system
from farback.measures.support.linearisation import Linearised


def fisher_memory(W: Any, w: Any, max_lag: int, noise: float = 1.0) -> Floats:
    """The Fisher information in the state about the input k steps ago, (max_lag + 1,), exact.

    J(k) = v_k' C_n^-1 v_k with v_k = W^k w. C_n is the stationary covariance when every unit receives independent noise
    of variance `noise` at every step. `linear_memory_function` gives what a readout without noise could recover, and
    J what remains with noise. J summed over lags is |w|^2 / noise for every normal W, and at most N |w|^2 / noise.

    Raises:
        ValueError: W, w and max_lag do not fit, an eigenvalue of W has size 1 or more, or `noise` is not above 0.

    Source: Ganguli, Huh and Sompolinsky 2008, PNAS 105.
    """
    W_NN, w_N = linear_system(W, w, max_lag)
    radius = np.abs(scipy.linalg.eigvals(W_NN)).max(initial=0.0)
    if radius > 1 - RADIUS_TOLERANCE or not noise > 0:
        raise ValueError(f"the spectral radius must be below 1 and the noise above 0, got {radius:.6g} and {noise}")
    factor = scipy.linalg.cho_factor(scipy.linalg.solve_discrete_lyapunov(W_NN, noise * np.eye(len(w_N))))
    information = np.zeros(max_lag + 1)
    for lag in range(max_lag + 1):
        information[lag] = w_N @ scipy.linalg.cho_solve(factor, w_N)
        w_N = W_NN @ w_N
    return information


class FisherMemoryMeasure(Linearised):
    """The Fisher memory, at noise 1, of the network linearised at its resting state (all layers, the full state).

    The input enters through one channel, whose input weights are scaled to length 1; the other channels are zero.

    Source: Ganguli, Huh and Sompolinsky 2008, PNAS 105.
    """

    @override
    def linear_rows(self, W_SS: Floats, w_S: Floats) -> list[MeasureRow]:
        """The rows are information by lag, and without a lag total (over the lags) and states (size of the state)."""
        length = float(np.linalg.norm(w_S))
        if length == 0:  # the network ignores the channel
            return []
        information = fisher_memory(W_SS, w_S / length, self.max_lag)
        rows = curve_rows(range(self.max_lag + 1), {"information": information})
        return rows + summary_rows(total=information.sum(), states=len(w_S))
