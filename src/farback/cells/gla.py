"""Gated linear attention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from farback.cells.base import Parameters, State, linear, log_sigmoid
from farback.cells.support.matrix_state import MatrixStateCell, Terms

RANK = 16  # of the matrix that computes the decays, as published
TEMPERATURE = 16  # the decay is a sigmoid to the power of 1/16, so that heads forget slowly at the start


class GLA(MatrixStateCell):
    """Linear attention with a decay for each row of the state, which depends on the input.

    q, k, v = W_q x_t, W_k x_t, W_v x_t;  alpha = sigmoid(W_2 W_1 x_t + b)^(1/16)
    S_t = diag(alpha) S_{t-1} + k v'
    y_t = S_t' q / sqrt(K)

    for each of N heads, where K = V = H / N. S has H^2 / N numbers, initially zero; the layer above sees the heads'
    outputs side by side. The rows of `weight_ih` are W_q, W_k and W_v; `weight_low` is W_1, with 16 rows,
    `weight_decay` W_2 and `bias_decay` b.

    Source: Yang et al. 2023 (2312.06635); equations checked in flash-linear-attention, fla/ops/gla/naive.py and
    fla/layers/gla.py. Deviations: the initialisation draws all weights; the gate and the norm of the outputs and the
    output projection are not part of the cell; one head by default, because published heads have 256 columns; K is V,
    where published heads have K = V / 2.
    """

    known_as: ClassVar[str] = "GLA"
    published_block: ClassVar[Mapping[str, object]] = {"norm": "rms", "residual": True, "gate": "silu", "mlp": 2}
    gates: ClassVar[tuple[str, ...]] = ("q", "k", "v")
    projections: ClassVar[tuple[str, ...]] = ("weight_ih", "weight_low")

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih` for q, k and v; `weight_low`, `weight_decay` and `bias_decay` for the decays."""
        decay = {"weight_low": (RANK, inputs), "weight_decay": (hidden, RANK), "bias_decay": (hidden,)}
        return {"weight_ih": (3 * hidden, inputs), **decay}

    def terms(self, p: Parameters, gates_RTBG: Tensor, state: State, rest: State) -> Terms:
        """alpha, and k v'."""
        H = p["weight_ih"].shape[1] // 3
        _, k, v, low = torch.split(gates_RTBG, [H, H, H, RANK], -1)
        decay = linear(low, p["weight_decay"], p.get("bias_decay"))
        alpha = torch.exp(log_sigmoid(decay) * (1 / TEMPERATURE))
        return Terms(self.split(alpha), self.split(k), self.split(v))

    def queries(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """q / sqrt(K)."""
        q = self.split(gates_RTBG[..., : p["weight_ih"].shape[1] // 3])
        return q / math.sqrt(q.shape[-1])
