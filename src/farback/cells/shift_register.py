"""A control that stores the last inputs."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Cell, Parameters, State


class ShiftRegister(Cell):
    """The state holds the last H / I inputs exactly, and nothing older. Only the readout has parameters to train.

    h_t = [x_t, x_{t-1}, ..., x_{t-H/I+1}]

    A control with known memory: perfect up to lag H / I - 1, and no memory beyond.

    Source: the delay line of Jaeger 2001, GMD report 152.
    """

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """No parameters."""
        return {}

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """The inputs themselves."""
        return x_RTBI

    @override
    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        (h_RBH,), T, width = state, gates_RTBG.shape[1], gates_RTBG.shape[-1]
        before = [slot.unsqueeze(1) for slot in torch.split(h_RBH, width, -1)][::-1]  # the oldest first
        inputs = torch.cat([*before, gates_RTBG], 1)
        outputs = torch.cat([inputs[:, age : age + T] for age in range(len(before), 0, -1)], -1)
        return outputs, (outputs[:, -1],)

    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """Shift by one input."""
        (h_RBH,) = state
        return (torch.cat([gates_RBG, h_RBH], -1)[..., : h_RBH.shape[-1]],)

    def check(self, hidden: int, inputs: int) -> None:
        """H must be a multiple of I."""
        if hidden % inputs:
            below, above = hidden // inputs * inputs, (hidden // inputs + 1) * inputs
            near = f"{below} or {above}" if below else str(above)
            needs = f"a shift register of {inputs} inputs needs hidden to be a multiple of {inputs}: {near}"
            raise ValueError(f"hidden is {hidden}, and {needs}")
