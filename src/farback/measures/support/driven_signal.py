"""What the measures share that drive a network with a signal of independent numbers."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from farback.measures.base import Measure
from farback.measures.support.regression import Floats
from farback.measures.support.system import System, as_system
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Task


class Driven(Measure):
    """The base of those measures.

    The drive is one number a step, uniform on [-scale, scale] and independent from step to step. It enters through one
    `channel` of the task's inputs, by default the first; the other channels are zero. `length` steps are measured,
    after a wash-out of `washout` steps and as many as there are lags. The states are those of the top layer that its
    readout sees (`features: h`), or all that is carried from step to step, in all layers: [h, c] of an LSTM (`full`).
    Everything in float64.
    """

    length: Annotated[int, Field(ge=10, le=10_000_000)] = 5000
    max_lag: Annotated[int, Field(ge=0, le=100_000)] = 100
    scale: Annotated[float, Field(gt=0)] = 1.0
    channel: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    washout: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    features: Literal["h", "full"] = "h"

    def driven(self, network: Network, seed: int) -> tuple[Floats, Floats] | None:
        """The drive, (T,), and one replica's states, (T, N); None where they do not stay finite or cannot be had.

        A bidirectional network carries no state from step to step, so that it has no `full` one.
        """
        if self.features == "full" and network.architecture.bidirectional:
            return None
        steps = self.washout + self.max_lag + self.length
        drive_T = stream(seed, "measure", "drive").uniform(-1.0, 1.0, size=steps)
        x_BTI = torch.zeros(1, steps, network.architecture.inputs, dtype=torch.float64)
        x_BTI[0, :, self.channel] = torch.from_numpy(drive_T * self.scale)
        state_TN = self._states(as_system(network).double(), x_BTI)[0].numpy()
        return (drive_T, state_TN) if np.isfinite(state_TN).all() else None

    def _states(self, system: System, x_BTI: Tensor) -> Tensor:
        with torch.no_grad():
            return system.trajectory(x_BTI) if self.features == "full" else system(x_BTI)[1]

    def check(self, task: Task) -> None:
        """The channel must be one of the task's inputs."""
        check_channel(self.channel, task)


def check_channel(channel: int, task: Task) -> None:
    """Raise ValueError unless the task has that input."""
    if channel >= task.inputs:
        raise ValueError(f"channel is {channel}, and {task.name} has inputs 0 to {task.inputs - 1}")
