"""Fisher memory: how well a noisy linear system tells its past inputs apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve, eigvals, solve_discrete_lyapunov

from farback.measures.base import Measure, Row, Untrained
from farback.measures.linear_memory_function import ON_THE_EDGE, linear_system
from farback.measures.support.driven_signal import check_channel
from farback.measures.support.linearisation import linearisation
from farback.measures.support.regression import Floats
from farback.networks.network import Network
from farback.tasks.base import Task


def fisher_memory(W: Any, w: Any, max_lag: int, noise: float = 1.0) -> Floats:
    """How well the state of a noisy linear system tells its past inputs apart, (max_lag + 1,): exact.

    J(k) = v_k' C_n^-1 v_k, with v_k = W^k w and C_n the covariance that noise of variance `noise` in every unit at
    every step builds up: the Fisher information of the input of k steps ago. Where `linear_memory_function` says what
    a readout of infinite precision could recover, this says what noise leaves of it. The sum is |w|^2 / noise for every
    normal W, and at most N times that.

    Raises:
        ValueError: as `linear_memory_function`, here for any eigenvalue of W; noise not above 0.

    Source: Ganguli, Huh and Sompolinsky 2008, PNAS 105.
    """
    W_NN, w_N = linear_system(W, w, max_lag)
    radius = np.abs(eigvals(W_NN)).max(initial=0.0)
    if radius > 1 - ON_THE_EDGE or not noise > 0:
        raise ValueError(f"the spectral radius must be below 1 and the noise above 0, got {radius:.6g} and {noise}")
    factor = cho_factor(solve_discrete_lyapunov(W_NN, noise * np.eye(len(w_N))))
    information = np.zeros(max_lag + 1)
    for lag in range(max_lag + 1):
        information[lag] = w_N @ cho_solve(factor, w_N)
        w_N = W_NN @ w_N
    return information


class FisherMemoryMeasure(Measure):
    """The Fisher memory of the network linearised where it comes to rest, all layers, the full state; noise 1.

    The signal enters through one channel of the task's inputs, whose weights are scaled to length 1, the others are
    zero. See `linearisation` for when a network has none, and then no rows.

    Source: Ganguli, Huh and Sompolinsky 2008, PNAS 105.
    """

    max_lag: Annotated[int, Field(ge=0, le=100_000)] = 100
    channel: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows information for each lag; total (lags 0 to max_lag) and states (how many numbers) belong to none.

        No rows where the network does not come to rest, rests where it would not forget, or where the channel does not
        reach the state.
        """
        return [self._rows(network.replica(index)) for index in range(len(seeds))]

    def _rows(self, network: Network) -> list[Row]:
        found = linearisation(network, self.channel)
        if found is None:
            return []
        W_NN, w_N = found
        length = float(np.linalg.norm(w_N))
        if length == 0:
            return []
        try:
            information = fisher_memory(W_NN, w_N / length, self.max_lag)
        except ValueError:  # it rests there, but at the edge of stability
            return []
        rows = [Row(lag, "information", float(value)) for lag, value in enumerate(information)]
        return [*rows, Row(-1, "total", float(information.sum())), Row(-1, "states", float(len(w_N)))]

    def check(self, task: Task) -> None:
        """The channel must be one of the task's inputs."""
        check_channel(self.channel, task)
