"""The selective state space of Mamba."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from farback.cells.base import Array, DiagonalCell, Parameters, State, linear, softplus
from farback.cells.support.time_steps import log_uniform, softplus_inverse
from farback.kernels.unroll import Kernel, ScanKernel

PER_MODE = 8  # four multiplications, by A, a, B and C, each with an addition


class Mamba(DiagonalCell):
    """The selective state space (S6): each unit has N real modes, and the input sets how long a step is.

    v = W_ih x_t + b_ih
    s, B, C = W_v v, with rank, N and N rows
    dt = softplus(W_s s + b_s)
    h_n,t = exp(dt A_n) * h_n,t-1 + dt B_n * v, A_n = -exp(log_a_n)
    y_t = sum_n C_n h_n,t + D v

    B and C are those of all units; dt, A and D are each unit's. The state has N H numbers; the layer above sees y. rank
    is H / 32, rounded up, which is one sixteenth of the published model's width. Whatever the initialisation, A, D, W_s
    and b_s are drawn as published: A_n = -n for n = 1 ... N, D = 1, dt at v = 0 log-uniform from 0.001 to 0.1, W_s
    uniform on +-1 / sqrt(rank).

    Source: Gu and Dao 2023 (2312.00752), and state-spaces/mamba, modules/mamba_simple.py with the reference
    selective_scan_ref. Deviations: the initialisation draws W_ih, b_ih and W_v; b_ih, because the published layer has a
    bias in its convolution; the published block (norm, convolution, gate, output layer) is not part of the cell. The
    layer before the unit is: v.
    """

    known_as: ClassVar[str] = "Mamba"
    kernel: ClassVar[Kernel] = ScanKernel("selective")
    gates: ClassVar[tuple[str, ...]] = ("v",)
    published_block: ClassVar[Mapping[str, object]] = {"norm": "rms", "residual": True, "conv": 4, "gate": "silu"}

    modes: Annotated[int, Field(ge=1, le=1024)] = 16

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Weights and biases of v, weights of s, B and C, and the parameters of the time step, of A and of D."""
        rank = -(-hidden // 32)
        return super().parameters(inputs, hidden) | {
            "weight_v": (rank + 2 * self.modes, hidden),
            "step_weight": (hidden, rank),
            "step_bias": (hidden,),
            "log_a": (self.modes, hidden),
            "skip": (hidden,),
        }

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """A from -1 to -N, D = 1, and random time steps."""
        rank = -(-hidden // 32)
        step = np.exp(log_uniform(hidden, rng))
        return {
            "step_weight": rng.uniform(-(rank**-0.5), rank**-0.5, size=(hidden, rank)),
            "step_bias": softplus_inverse(step),
            "log_a": np.repeat(np.log(np.arange(1, self.modes + 1)), hidden).reshape(self.modes, hidden),
            "skip": np.ones(hidden),
        }

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds 2 for each entry of W_s, 8 for each mode, and 2 for D of each unit."""
        return super().flops(inputs, hidden) + (2 * -(-hidden // 32) + PER_MODE * self.modes + 2) * hidden

    def state_width(self, hidden: int) -> int:
        """All modes, (R, B, N * H)."""
        return self.modes * hidden

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """v, dt before its softplus, B and C."""
        v_RTBH = super().project(p, x_RTBI)
        mixed = linear(v_RTBH, p["weight_v"], None)
        rank = p["step_weight"].shape[-1]
        step_RTBH = linear(mixed[..., :rank].contiguous(), p["step_weight"], p["step_bias"])
        return torch.cat([v_RTBH, step_RTBH, mixed[..., rank:]], -1)

    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        """exp(dt A) and dt B v of all modes, (R, T, B, N * H)."""
        v, step, b, _ = self._split(gates_RTBG)
        log_a = self._log_decay(p["log_a"][:, None, None], step)
        return torch.exp(log_a).flatten(-2), ((step * v).unsqueeze(-2) * b.unsqueeze(-1)).flatten(-2)

    def outputs(self, p: Parameters, gates_RTBG: Tensor, h_RTBH: Tensor) -> Tensor:
        """y, from all modes."""
        v, _, _, c = self._split(gates_RTBG)
        y_RTBH: Tensor = (c.unsqueeze(-1) * h_RTBH.reshape(*h_RTBH.shape[:-1], self.modes, -1)).sum(-2)
        return y_RTBH + p["skip"][:, None, None] * v

    def fused(self, p: Parameters, gates_RTBG: Tensor, state: State, scan: Callable[..., Any]) -> tuple[Tensor, State]:
        """Outputs and last state from the kernel."""
        v, step, b, c = self._split(gates_RTBG)
        h_RBNH = state[0].reshape(*state[0].shape[:-1], self.modes, -1)
        y_RTBH, last_RBNH = scan(step, v, b, c, -torch.exp(p["log_a"]), h_RBNH)
        return y_RTBH + p["skip"][:, None, None] * v, (last_RBNH.flatten(-2),)

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """dt A of every mode."""
        return self._log_decay(p["log_a"][:, None], self._split(gates_RBG)[1]).flatten(-2)

    def _split(self, gates: Tensor) -> list[Tensor]:
        """v, dt, B and C."""
        hidden = (gates.shape[-1] - 2 * self.modes) // 2
        v, step, b, c = torch.split(gates, [hidden, hidden, self.modes, self.modes], -1)
        return [v, softplus(step), b, c]

    @staticmethod
    def _log_decay(log_a: Tensor, step: Tensor) -> Tensor:
        return -torch.exp(log_a) * step.unsqueeze(-2)
