"""The state-space layer of Mamba-2 (SSD)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from farback.cells.base import Array, Parameters, State, silu, softplus
from farback.cells.support.matrix_state import MatrixStateCell, Terms, drawn_decays


class Mamba2(MatrixStateCell):
    """The state-space layer of Mamba-2: one decay for each head, whose size depends on the input.

    u, B, C = silu(W_u x_t), silu(W_B x_t), silu(W_C x_t); dt = softplus(W_dt x_t + dt_bias)
    S_t = exp(-exp(A_log) dt) S_{t-1} + B (dt u)'
    y_t = S_t' C + D u

    for each of N heads with P = H / N entries of u; all heads share B and C, which have `state` entries. S has `state`
    * H numbers, initially zero; the layer above sees the heads' outputs side by side. `weight_ih` is W_u, `weight_bc`
    has the rows of W_B and W_C, `weight_dt` a row for each head; A_log, dt_bias and D have a number for each head.
    Whatever the initialisation, these are drawn as published: exp(A_log) uniformly from 1 to 16, softplus(dt_bias)
    log-uniformly from 0.001 to 0.1, D = 1.

    Source: Dao and Gu 2024 (2405.21060); equations checked in state-spaces/mamba, mamba_ssm/modules/mamba2_simple.py,
    and flash-linear-attention, fla/layers/mamba2.py. Deviations: the initialisation draws all weights; the convolution
    of u, B and C (of which silu remains), the gate and the norm of the outputs and the output projection are not part
    of the cell; one head and a `state` of 16 by default, because published heads have 64 units and a `state` of 128.
    """

    known_as: ClassVar[str] = "Mamba-2"
    published_block: ClassVar[Mapping[str, object]] = {"norm": "rms", "residual": True, "conv": 4, "gate": "silu"}
    gates: ClassVar[tuple[str, ...]] = ("u",)
    projections: ClassVar[tuple[str, ...]] = ("weight_ih", "weight_bc", "weight_dt")

    state: Annotated[int, Field(ge=1, le=1024)] = 16

    def matrix(self, hidden: int) -> tuple[int, int]:
        """`state` and H / N."""
        return self.state, hidden // self.heads

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih`, `weight_bc` and `weight_dt`; A_log, dt_bias and D for each head."""
        weights = {"weight_bc": (2 * self.state, inputs), "weight_dt": (self.heads, inputs)}
        return {"weight_ih": (hidden, inputs), **weights, **dict.fromkeys(("A_log", "dt_bias", "D"), (self.heads,))}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """A_log, dt_bias and D."""
        return {**drawn_decays(self.heads, rng, lowest=1), "D": np.ones(self.heads)}

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds D u."""
        return super().flops(inputs, hidden) + 2 * hidden

    def terms(self, p: Parameters, gates_RTBG: Tensor, state: State, rest: State) -> Terms:
        """exp(-exp(A_log) dt), and B (dt u)'."""
        u, B, _, dt = torch.split(gates_RTBG, [p["weight_ih"].shape[1], self.state, self.state, self.heads], -1)
        dt = softplus(dt + p["dt_bias"][:, None, None])
        w = torch.exp(-torch.exp(p["A_log"])[:, None, None] * dt)
        B = silu(B).unsqueeze(-2).expand(*B.shape[:-1], self.heads, -1)
        return Terms(w.unsqueeze(-1), B, dt.unsqueeze(-1) * silu(self.split(u)))

    def queries(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """C, for every head."""
        first = p["weight_ih"].shape[1] + self.state
        C = silu(gates_RTBG[..., first : first + self.state])
        return C.unsqueeze(-2).expand(*C.shape[:-1], self.heads, -1)

    def outputs(self, p: Parameters, gates_RTBG: Tensor, read_RTBNV: Tensor, rest: State) -> Tensor:
        """S' C + D u."""
        u = silu(self.split(gates_RTBG[..., : p["weight_ih"].shape[1]]))
        return (read_RTBNV + p["D"][:, None, None, :, None] * u).flatten(3)
