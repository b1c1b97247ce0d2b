"""The bistable recurrent cell."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from farback.cells.base import Array, Parameters, State, log_sigmoid
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import Pointwise, like, sigmoid, sigmoid_slope, tanh, tanh_slope


def bistable(c: Tensor, a: Tensor, x: Tensor, h: Tensor) -> State:
    """The next state, given c and a before their nonlinearities and the contribution x of the input."""
    candidate = tanh(x + (like(h, 1) + tanh(a)) * h)
    return (candidate + sigmoid(c) * (h - candidate),)


def bistable_backward(c: Tensor, a: Tensor, x: Tensor, h: Tensor, dh: Tensor) -> State:
    """The gradients of c, a, x and h."""
    keep, squashed = sigmoid(c), tanh(a)
    feedback = like(h, 1) + squashed
    candidate = tanh(x + feedback * h)
    kept = dh * keep
    dx = (dh - kept) * tanh_slope(candidate)
    return dh * (h - candidate) * sigmoid_slope(keep), dx * h * tanh_slope(squashed), dx, kept + dx * feedback


def forward(c: Tensor, a: Tensor, x: Tensor, h: Tensor, w_c: Tensor, w_a: Tensor) -> State:
    """The next state."""
    return bistable(c + w_c * h, a + w_a * h, x, h)


def backward(c: Tensor, a: Tensor, x: Tensor, h: Tensor, w_c: Tensor, w_a: Tensor, dh: Tensor) -> State:
    """The gradients of c, a, x, h, w_c and w_a."""
    dc, da, dx, dh = bistable_backward(c + w_c * h, a + w_a * h, x, h, dh)
    return dc, da, dx, dh + dc * w_c + da * w_a, dc * h, da * h


class BRC(PointwiseCell):
    """A GRU without a recurrent matrix, whose units can latch: where a > 1, a unit has two stable states.

    c = sigmoid(W_ic x_t + b_ic + w_c * h_{t-1})
    a = 1 + tanh(W_ia x_t + b_ia + w_a * h_{t-1})
    h_t = c * h_{t-1} + (1 - c) * tanh(W_ih x_t + b_ih + a * h_{t-1})

    c is the gate that *keeps*. Gate order c, a, h. w_c and w_a have one number for each unit. They start at 1,
    whatever the initialisation.

    Source: Vecoven, Ernst and Drion 2021 (2006.05252); w_c and w_a start at 1 in their code.
    Deviation: c, a and h have biases; the paper has no biases, and the authors' code has two of the three.
    """

    known_as: ClassVar[str] = "BRC"
    gates: ClassVar[tuple[str, ...]] = ("c", "a", "h")
    keep: ClassVar[str | None] = "c"
    pointwise: ClassVar[Pointwise] = Pointwise(forward, backward, units=("w_c", "w_a"))

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Input weights and biases, and two recurrent weights per unit."""
        return super().parameters(inputs, hidden) | {"w_c": (hidden,), "w_a": (hidden,)}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Ones for w_c and w_a."""
        return {"w_c": np.ones(hidden), "w_a": np.ones(hidden)}

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds four operations per unit for w_c and w_a."""
        return super().flops(inputs, hidden) + 4 * hidden

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln c."""
        return log_sigmoid(gates_RBG.chunk(3, -1)[0] + p["w_c"].unsqueeze(1) * state[0])
