"""A control that forgets exponentially at a known rate."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from farback.cells.base import Parameters, State
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import Pointwise, like


def forward(x: Tensor, h: Tensor, decay: Tensor) -> State:
    """The next state."""
    return (x + decay * (h - x),)


def backward(x: Tensor, h: Tensor, decay: Tensor, dh: Tensor) -> State:
    """The gradients of x and h."""
    return (like(h, 1) - decay) * dh, decay * dh


class LeakyIntegrator(PointwiseCell):
    """A running average of the projected input, with a fixed rate of forgetting.

    h_t = a h_{t-1} + (1 - a) (W_ih x_t + b_ih)

    A control with known memory: the influence of an input decays as a^k, with a time constant of -1 / ln a steps.

    Source: the leaky integrator model of a neuron.
    """

    pointwise: ClassVar[Pointwise] = Pointwise(forward, backward, constants=("decay",))

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.9

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln a at every step."""
        return torch.full_like(state[0], self.decay).log()

    def label(self) -> str:
        """The name and the decay."""
        return f"leaky {self.decay:g}"
