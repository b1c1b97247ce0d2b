"""A control without memory."""

from __future__ import annotations

import torch
from torch import Tensor

from farback.cells.base import Parameters, State, SteppedCell


class Memoryless(SteppedCell):
    """A layer that sees only the present input, to measure the score that a task gives without memory.

    h_t = tanh(W_ih x_t + b_ih)

    Source: a negative control; its score must be the task's chance level.
    """

    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """The new state, which does not depend on the old one."""
        return (torch.tanh(gates_RBG),)
