"""States of a network driven by random numbers, for measures of linear and nonlinear memory."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from farback.measures.base import Floats, SingleInput
from farback.measures.support.system import as_system
from farback.networks.network import Network
from farback.system.random_streams import stream


class Driven(SingleInput):
    """The base class of measures that drive a network with independent random numbers, in float64.

    The input is one number per step, uniform on [-scale, scale] and independent between steps. It enters through one
    `channel` of the task's inputs, by default the first; the other channels are zero. The first `washout` + `max_lag`
    steps are dropped and the next `length` are measured. With `features: h` the states are those of the top layer, from
    which the readout is computed; with `full` they are everything carried between steps in all layers, such as [h, c]
    of an LSTM.
    """

    needs_cell: ClassVar[bool] = True

    length: Annotated[int, Field(ge=10, le=10_000_000)] = 5000
    scale: Annotated[float, Field(gt=0)] = 1.0
    washout: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    features: Literal["h", "full"] = "h"

    def driven(self, network: Network, seed: int) -> tuple[Floats, Floats] | None:
        """The input, (T,), and the states of one replica, (T, N); None if the states do not exist or are not finite."""
        if self.features == "full" and network.architecture.no_full_state:  # has no full state
            return None
        steps = self.washout + self.max_lag + self.length
        input_T = stream(seed, "measure", "drive").uniform(-1.0, 1.0, size=steps)
        x_BTI = torch.zeros(1, steps, network.architecture.inputs, dtype=torch.float64)
        x_BTI[0, :, self.channel] = torch.from_numpy(input_T * self.scale)
        system = as_system(network).double()
        with torch.no_grad():
            state_BTN = system.trajectory(x_BTI) if self.features == "full" else system(x_BTI)[1]
        state_TN = state_BTN[0].numpy()
        return (input_T, state_TN) if np.isfinite(state_TN).all() else None
