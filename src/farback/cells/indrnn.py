"""The independently recurrent network."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Array, State
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import Pointwise, like, relu, tanh, tanh_slope, where


def relu_forward(x: Tensor, h: Tensor, u: Tensor) -> State:
    """The next state."""
    return (relu(x + u * h),)


def relu_backward(x: Tensor, h: Tensor, u: Tensor, dh: Tensor) -> State:
    """The gradients of x, h and u."""
    dx = where(x + u * h > like(x, 0), dh, like(x, 0))
    return dx, dx * u, dx * h


def tanh_forward(x: Tensor, h: Tensor, u: Tensor) -> State:
    """The next state."""
    return (tanh(x + u * h),)


def tanh_backward(x: Tensor, h: Tensor, u: Tensor, dh: Tensor) -> State:
    """The gradients of x, h and u."""
    dx = dh * tanh_slope(tanh(x + u * h))
    return dx, dx * u, dx * h


RELU = Pointwise(relu_forward, relu_backward, units=("u",))
TANH = Pointwise(tanh_forward, tanh_backward, units=("u",))


class IndRNN(PointwiseCell):
    """An RNN whose units depend only on their own past: the recurrent matrix is diagonal.

    h_t = f(W_ih x_t + b_ih + u * h_{t-1}), f = relu or tanh

    Whatever the initialisation, u is drawn uniformly from [0, 2^(1 / T)], where T = lag + 1 is the number of steps from
    cue to answer, so that over these steps u at most doubles a unit's state.

    Source: Li, Li, Cook, Zhu and Gao 2018 (1803.04831); the range is from their code. Deviations: u is bounded only
    when it is drawn, not after every update; the last layer is drawn like the others; there is no batch normalisation
    between layers.
    """

    known_as: ClassVar[str] = "IndRNN"

    nonlinearity: Literal["relu", "tanh"] = "relu"

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Input weights and biases, and one recurrent weight per unit."""
        return super().parameters(inputs, hidden) | {"u": (hidden,)}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Uniform recurrent weights."""
        return {"u": rng.uniform(0.0, 2.0 ** (1.0 / (lag + 1)), size=hidden)}

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds two operations per unit for u."""
        return super().flops(inputs, hidden) + 2 * hidden

    @property
    @override
    def pointwise(self) -> Pointwise:
        return RELU if self.nonlinearity == "relu" else TANH
