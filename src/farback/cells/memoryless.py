"""Control: no memory at all."""

from __future__ import annotations

import torch
from torch import Tensor

from farback.cells.base import Parameters, State, SteppedCell, linear


class Memoryless(SteppedCell):
    """A layer that sees the present input only: whatever it scores is what a task gives away.

    h_t = tanh(W_ih x_t + b_ih)

    Source: the negative control; it must score the task's chance level.
    """

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """The input weights."""
        return {"weight_ih": (hidden, inputs), "bias_ih": (hidden,)}

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """W_ih x + b_ih."""
        return linear(x_RTBI, p["weight_ih"], p.get("bias_ih"))

    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """Forget the state."""
        return (torch.tanh(gates_RBG),)
