"""The coupled oscillatory network."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import Pointwise, tanh, tanh_slope


def forward(drive: Tensor, y: Tensor, z: Tensor, dt: float, gamma: float, epsilon: float) -> State:
    """The next positions and velocities."""
    z = z + dt * (tanh(drive) - gamma * y - epsilon * z)
    return y + dt * z, z


def backward(
    drive: Tensor, y: Tensor, z: Tensor, dt: float, gamma: float, epsilon: float, dy: Tensor, dz: Tensor
) -> State:
    """The gradients of the drive, the positions and the velocities."""
    dz = dz + dt * dy
    force = dt * dz
    return force * tanh_slope(tanh(drive)), dy - gamma * force, dz - epsilon * force


class CoRNN(PointwiseCell, GatedCell):
    """A network of coupled, damped and driven oscillators: y are their positions, z their velocities.

    z_t = z_{t-1} + dt (tanh(W_hh y_{t-1} + W_zh z_{t-1} + W_ih x_t + b_ih) - gamma y_{t-1} - epsilon z_{t-1})
    y_t = y_{t-1} + dt z_t

    The state is (y, z), 2H numbers; the layer above sees y.

    Source: Rusch and Mishra 2021 (2010.00951), with the explicit damping of their code (z_{t-1}, where the paper also
    allows z_t). dt, gamma and epsilon are not trained; their defaults were published for permuted sequential MNIST.
    """

    known_as: ClassVar[str] = "coRNN"
    state_parts: ClassVar[int] = 2  # y and z
    pointwise: ClassVar[Pointwise] = Pointwise(forward, backward, constants=("dt", "gamma", "epsilon"))

    dt: Annotated[float, Field(gt=0, le=1)] = 0.042
    gamma: Annotated[float, Field(ge=0, le=1000)] = 2.7
    epsilon: Annotated[float, Field(ge=0, le=1000)] = 4.7

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """One weight matrix for the input, one for the positions, one for the velocities, and one bias."""
        square = (hidden, hidden)
        return {"weight_ih": (hidden, inputs), "weight_hh": square, "weight_zh": square, "bias_ih": (hidden,)}

    @override
    def matrices(self, p: Parameters) -> tuple[Tensor, ...]:
        return (torch.cat([p["weight_hh"], p["weight_zh"]], 2),)
