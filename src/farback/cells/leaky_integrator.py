"""A control that forgets exponentially at a known rate."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import DiagonalCell, Parameters, State, linear


class LeakyIntegrator(DiagonalCell):
    """A running average of the projected input, with a fixed rate of forgetting.

    h_t = a h_{t-1} + (1 - a) (W_ih x_t + b_ih)

    A control with known memory: the influence of an input decays as a^k, with a time constant of -1 / ln a steps.

    Source: the leaky integrator model of a neuron.
    """

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.9

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """(1 - a) (W_ih x + b_ih)."""
        return linear(x_RTBI, p["weight_ih"], p.get("bias_ih")) * (1 - self.decay)

    @override
    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(gates_RTBG, self.decay), gates_RTBG

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln a at every step."""
        return torch.full_like(state[0], self.decay).log()

    def label(self) -> str:
        """The name and the decay."""
        return f"leaky {self.decay:g}"
