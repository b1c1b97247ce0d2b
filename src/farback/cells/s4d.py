"""The diagonal structured state space."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from farback.cells.base import Array, DiagonalCell, Parameters, State
from farback.cells.support.time_steps import log_uniform, zero_order_hold
from farback.kernels.unroll import Kernel, ScanKernel

PER_MODE = 16  # multiplications by a (4), b (2) and c (2), each with an addition


class S4D(DiagonalCell):
    """The diagonal structured state space: every unit filters its own input with a bank of complex modes.

    v = W_ih x_t + b_ih
    h_t = exp(dt lambda) * h_{t-1} + (exp(dt lambda) - 1) / lambda * v, N modes h for each unit
    y_t = 2 Re sum_n C_n h_n,t + D v, lambda = -exp(decay) + i frequency

    The state has 2 N H numbers; the layer above sees y. Whatever the initialisation, the other parameters are drawn as
    published: lambda_n = -1/2 + i pi n for n = 0 ... N - 1 (S4D-Lin), dt log-uniform from 0.001 to 0.1, C complex
    normal of variance 1, D normal.

    Source: Gu, Gupta, Goel and Re 2022 (2206.11893), and the minimal version state-spaces/s4, models/s4/s4d.py, whose
    `d_state` is 2 N. The paper was not read, only the code. Deviations: W_ih, which makes H units of the inputs; one
    learning rate for all parameters; the published block around the unit (norm, GELU, gated linear unit, skip
    connection) is not part of the cell, so that a stack of them is linear.
    """

    known_as: ClassVar[str] = "S4D"
    kernel: ClassVar[Kernel] = ScanKernel("modes")
    state_parts: ClassVar[int] = 2  # real and imaginary part
    gates: ClassVar[tuple[str, ...]] = ("v",)
    published_block: ClassVar[Mapping[str, object]] = {"norm": "layer", "residual": True, "mlp": 2}

    modes: Annotated[int, Field(ge=1, le=1024)] = 32

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Weights and biases of v; time step and D of each unit; decay, frequency and C of each mode."""
        bank: dict[str, tuple[int, ...]] = dict.fromkeys(("decay", "frequency", "c_re", "c_im"), (self.modes, hidden))
        return super().parameters(inputs, hidden) | {"log_step": (hidden,), "skip": (hidden,)} | bank

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """The modes of S4D-Lin, and random time steps, C and D."""
        size = (self.modes, hidden)
        return {
            "log_step": log_uniform(hidden, rng),
            "skip": rng.standard_normal(hidden),
            "decay": np.full(size, math.log(0.5)),
            "frequency": np.repeat(math.pi * np.arange(self.modes), hidden).reshape(size),
            "c_re": rng.standard_normal(size) * math.sqrt(0.5),
            "c_im": rng.standard_normal(size) * math.sqrt(0.5),
        }

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds 16 for each mode and 2 for D of each unit."""
        return super().flops(inputs, hidden) + (PER_MODE * self.modes + 2) * hidden

    def state_width(self, hidden: int) -> int:
        """Real and imaginary parts of all modes, (R, B, N * H) each."""
        return self.modes * hidden

    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        """exp(dt lambda) and the write of v, of all modes, (R, T, B, N * H)."""
        a_re, a_im, b_re, b_im = self._discrete(p)
        v_RTB1H, size = gates_RTBG.unsqueeze(-2), (*gates_RTBG.shape[:3], -1)
        b_RTBNH = torch.complex(b_re[:, None, None] * v_RTB1H, b_im[:, None, None] * v_RTB1H)
        return torch.complex(a_re, a_im).flatten(1)[:, None, None].expand(size), b_RTBNH.flatten(-2)

    def outputs(self, p: Parameters, gates_RTBG: Tensor, h_RTBH: Tensor) -> Tensor:
        """y, from all modes."""
        h_RTBNH = h_RTBH.reshape(*h_RTBH.shape[:-1], self.modes, -1)
        y_RTBNH = p["c_re"][:, None, None] * h_RTBNH.real - p["c_im"][:, None, None] * h_RTBNH.imag
        y_RTBH: Tensor = 2 * y_RTBNH.sum(-2)
        return y_RTBH + p["skip"][:, None, None] * gates_RTBG

    def fused(self, p: Parameters, gates_RTBG: Tensor, state: State, scan: Callable[..., Any]) -> tuple[Tensor, State]:
        """Outputs and last state from the kernel."""
        modes = [part.reshape(*part.shape[:-1], self.modes, -1) for part in state]
        y_RTBH, *last = scan(gates_RTBG, *self._discrete(p), p["c_re"], p["c_im"], *modes)
        return y_RTBH + p["skip"][:, None, None] * gates_RTBG, tuple(part.flatten(-2) for part in last)

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln |exp(dt lambda)| of every mode, at every step."""
        log_RNH = -torch.exp(p["decay"] + p["log_step"].unsqueeze(1))
        return log_RNH.flatten(1).unsqueeze(1).expand_as(state[0])

    @staticmethod
    def _discrete(p: Parameters) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Real and imaginary parts of exp(dt lambda) and of (exp(dt lambda) - 1) / lambda, (R, N, H) each."""
        return zero_order_hold(-torch.exp(p["decay"]), p["frequency"], torch.exp(p["log_step"]).unsqueeze(1))
