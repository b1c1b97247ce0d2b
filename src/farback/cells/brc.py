"""The bistable recurrent cell."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Array, Parameters, State, SteppedCell, log_sigmoid, sigmoid


class BRC(SteppedCell):
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

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Input weights and biases, and two recurrent weights per unit."""
        return super().parameters(inputs, hidden) | {"w_c": (hidden,), "w_a": (hidden,)}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Ones for w_c and w_a."""
        return {"w_c": np.ones(hidden), "w_a": np.ones(hidden)}

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds four operations per unit for w_c and w_a."""
        return super().flops(inputs, hidden) + 4 * hidden

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        (h_RBH,) = state
        x_c, x_a, x_h = gates_RBG.chunk(3, -1)
        c = x_c + p["w_c"].unsqueeze(1) * h_RBH
        a = x_a + p["w_a"].unsqueeze(1) * h_RBH
        return (bistable_state(c, a, x_h, h_RBH),)

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln c."""
        return log_sigmoid(gates_RBG.chunk(3, -1)[0] + p["w_c"].unsqueeze(1) * state[0])


def bistable_state(c_RBH: Tensor, a_RBH: Tensor, x_RBH: Tensor, h_RBH: Tensor) -> Tensor:
    """The next state of a bistable cell, given the preactivations of c and a and the contribution x of the input."""
    candidate = torch.tanh(x_RBH + (1 + torch.tanh(a_RBH)) * h_RBH)
    return candidate + sigmoid(c_RBH) * (h_RBH - candidate)
