"""Fisher memory: how precisely the state of a noisy linear system determines each past input."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigvals, solve_discrete_lyapunov

from farback.measures.base import Floats, MeasureRow, SingleInput, curve_rows, summary_rows
from farback.measures.linear_memory_function import RADIUS_TOLERANCE, linear_system
from farback.measures.support.linearisation import linearisation
from farback.networks.network import Network
from farback.tasks.base import Task


def fisher_memory(W: Any, w: Any, max_lag: int, noise: float = 1.0) -> Floats:
    """The Fisher information in the state about the input k steps ago, (max_lag + 1,), exact.

    J(k) = v_k' C_n^-1 v_k with v_k = W^k w. C_n is the stationary covariance when every unit receives independent noise
    of variance `noise` at every step. `linear_memory_function` is what a readout of infinite precision could recover;
    this is what remains under noise. The sum over lags is |w|^2 / noise for every normal W, and at most N times that.

    Raises:
        ValueError: as `linear_memory_function`, but for any eigenvalue of W; or `noise` is not above 0.

    Source: Ganguli, Huh and Sompolinsky 2008, PNAS 105.
    """
    W_NN, w_N = linear_system(W, w, max_lag)
    radius = np.abs(eigvals(W_NN)).max(initial=0.0)
    if radius > 1 - RADIUS_TOLERANCE or not noise > 0:
        raise ValueError(f"the spectral radius must be below 1 and the noise above 0, got {radius:.6g} and {noise}")
    factor = cho_factor(solve_discrete_lyapunov(W_NN, noise * np.eye(len(w_N))))
    information = np.zeros(max_lag + 1)
    for lag in range(max_lag + 1):
        information[lag] = w_N @ cho_solve(factor, w_N)
        w_N = W_NN @ w_N
    return information


class FisherMemoryMeasure(SingleInput):
    """The Fisher memory, at noise 1, of the network linearised at its resting state (all layers, the full state).

    The input enters through one channel, with its weights scaled to length 1; the other channels are zero.

    Source: Ganguli, Huh and Sompolinsky 2008, PNAS 105.
    """

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """Rows information for each lag; total (lags 0 to max_lag) and states (size of the state) without a lag.

        No rows if the network has no linearisation, is not stable there, or ignores the channel.
        """
        system = linearisation(network, self.channel)
        if system is None:
            return []
        W_NN, w_N = system
        length = float(np.linalg.norm(w_N))
        if length == 0:
            return []
        try:
            information = fisher_memory(W_NN, w_N / length, self.max_lag)
        except ValueError:  # the resting state is not stable
            return []
        rows = curve_rows(range(self.max_lag + 1), {"information": information})
        return rows + summary_rows(total=information.sum(), states=len(w_N))
