"""DeltaNet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from farback.cells.base import Parameters, State, sigmoid, silu
from farback.cells.support.matrix_state import MatrixStateCell, Terms, unit


class DeltaNet(MatrixStateCell):
    """Linear attention that replaces the value stored under a key, rather than adding to it.

    q, k = silu(W_q x_t), silu(W_k x_t), each divided by its length; v = silu(W_v x_t); beta = sigmoid(W_beta x_t)
    S_t = S_{t-1} + beta k (v - S_{t-1}' k)'
    y_t = S_t' q / sqrt(K)

    for each of N heads, where K = V = H / N. S has H^2 / N numbers, initially zero; the layer above sees the heads'
    outputs side by side. The rows of `weight_ih` are W_q, W_k and W_v; `weight_beta` has a row for each head. The
    transition I - beta k k' has an eigenvalue 1 - beta, between 0 and 1; with `negative_eigenvalues` beta is twice as
    large, and the eigenvalue between -1 and 1, as parity needs (Grazzi et al. 2024, 2411.12537).

    Source: Yang et al. 2024 (2406.06484); equations checked in flash-linear-attention, fla/ops/delta_rule/naive.py and
    fla/layers/delta_net.py. Deviations: the initialisation draws all weights; the convolutions of q, k and v, the norm
    of the outputs and the output projection are not part of the cell; one head by default, because published heads
    have 64 units and more.
    """

    known_as: ClassVar[str] = "DeltaNet"
    published_block: ClassVar[Mapping[str, object]] = {"norm": "rms", "residual": True, "conv": 4, "mlp": 2}
    gates: ClassVar[tuple[str, ...]] = ("q", "k", "v")
    projections: ClassVar[tuple[str, ...]] = ("weight_ih", "weight_beta")
    rank_one: ClassVar[bool] = True
    decays: ClassVar[bool] = False

    negative_eigenvalues: bool = False

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih` for q, k and v, and `weight_beta`."""
        return {"weight_ih": (3 * hidden, inputs), "weight_beta": (self.heads, inputs)}

    def terms(self, p: Parameters, gates_RTBG: Tensor, state: State, rest: State) -> Terms:
        """w = 1, a = k, b = -beta k, and beta k v'."""
        H = p["weight_ih"].shape[1] // 3
        _, k, v, beta = torch.split(gates_RTBG, [H, H, H, self.heads], -1)
        k, beta = unit(silu(self.split(k))), sigmoid(beta).unsqueeze(-1) * (2 if self.negative_eigenvalues else 1)
        write = beta * k
        return Terms(torch.ones_like(beta), write, silu(self.split(v)), k, -write)

    def queries(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """q / sqrt(K)."""
        q = unit(silu(self.split(gates_RTBG[..., : p["weight_ih"].shape[1] // 3])))
        return q / math.sqrt(q.shape[-1])
