"""The antisymmetric network."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from farback.cells.base import Array, State
from farback.cells.support.skew import SkewCell
from farback.kernels.pointwise import Pointwise, tanh, tanh_slope


def forward(drive: Tensor, h: Tensor, epsilon: float) -> State:
    """The next state."""
    return (h + epsilon * tanh(drive),)


def backward(drive: Tensor, h: Tensor, epsilon: float, dh: Tensor) -> State:
    """The gradients of the drive and of h."""
    return epsilon * dh * tanh_slope(tanh(drive)), dh


class Antisymmetric(SkewCell):
    """A residual network: its steps are Euler steps of a differential equation whose states neither explode nor vanish.

    h_t = h_{t-1} + epsilon tanh((W - W' - gamma I) h_{t-1} + W_ih x_t + b_ih)

    W' is the transpose of W, which is strictly upper triangular. Its H (H - 1) / 2 entries are the parameter `skew`;
    they are drawn from N(0, 1 / H), whatever the initialisation.

    Source: Chang, Chen, Haber and Chi 2019 (1902.09689), who choose epsilon from 0.01, 0.1 and 1, and draw W with a
    standard deviation of 1 / sqrt(H) times 0, 1, 2, 4, 8 or 16. No deviation; their gated form is not included.
    """

    pointwise: ClassVar[Pointwise] = Pointwise(forward, backward, constants=("epsilon",))

    epsilon: Annotated[float, Field(gt=0, le=10)] = 0.1
    gamma: Annotated[float, Field(ge=0, le=10)] = 0.01

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """The entries of W, drawn from a normal distribution of variance 1 / H."""
        return {"skew": rng.standard_normal(hidden * (hidden - 1) // 2) * hidden**-0.5}

    def matrix(self, skew_RHH: Tensor) -> Tensor:
        """W - W' - gamma I."""
        return skew_RHH - self.gamma * torch.eye(skew_RHH.shape[-1], dtype=skew_RHH.dtype, device=skew_RHH.device)
