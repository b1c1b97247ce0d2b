"""A control without memory."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Cell, Parameters, State


class Memoryless(Cell):
    """A layer that sees only the present input, to measure the score that a task gives without memory.

    h_t = tanh(W_ih x_t + b_ih)

    Source: a negative control; its score must be the task's chance level.
    """

    @override
    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        outputs_RTBH = torch.tanh(gates_RTBG)
        return outputs_RTBH, (outputs_RTBH[:, -1],)

    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """The new state, which does not depend on the old one."""
        return (torch.tanh(gates_RBG),)
