"""A measure of this project: `measures: [retention, starter]`; `farback show measure starter` prints it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from farback.measures.base import MeasureRow, Sampled, curve_rows
from farback.measures.support.system import measured
from farback.networks.network import Network
from farback.tasks.base import Task


def fading(system: Any, inputs: Any) -> NDArray[np.float64]:
    """How far apart the states are k steps after the first input was another one, divided by the distance at k = 0.

    For a leaky integrator, h_t = a h_{t-1} + x_t, this is a^k.

    Args:
        system: a torch.nn.RNN, LSTM or GRU, a farback network, or a callable.
        inputs: (B, T, I), at least two sequences.

    Returns:
        An array (T,): a mean over the sequences for each k.
    """
    face, x_BTI = measured(system, inputs)
    other_BTI = x_BTI.clone()
    other_BTI[:, 0] = x_BTI.roll(1, 0)[:, 0]
    with torch.no_grad():
        apart_BT = (face.trajectory(x_BTI) - face.trajectory(other_BTI)).norm(dim=-1)
    distance_T: NDArray[np.float64] = apart_BT.mean(0).numpy()
    return distance_T / distance_T[0] if distance_T[0] else np.zeros_like(distance_T)


class Starter(Sampled):
    """How fast a difference of the first input fades from the state, on sequences of the trial's task.

    Source: the echo state property, Jaeger 2001.
    """

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """Rows (lag, statistic, value) of one network, which farback records and `farback.frame` returns.

        A bidirectional network carries no state from step to step, so it has no rows.
        """
        if network.architecture.bidirectional:
            return []
        ratio_T = fading(network, self.sample(task, seed).input_BTI)
        return curve_rows(range(len(ratio_T)), {"ratio": ratio_T})
