"""Gated DeltaNet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from farback.cells.base import Array, Parameters, State, sigmoid, silu, softplus
from farback.cells.support.matrix_state import MatrixStateCell, Terms, drawn_decays, unit


class GatedDeltaNet(MatrixStateCell):
    """DeltaNet with a decay that depends on the input.

    q, k = silu(W_q x_t), silu(W_k x_t), each divided by its length; v = silu(W_v x_t); beta = sigmoid(W_beta x_t)
    alpha = exp(-exp(A_log) softplus(W_alpha x_t + dt_bias))
    S_t = alpha S_{t-1} + beta k (v - alpha S_{t-1}' k)'
    y_t = S_t' q / sqrt(K)

    for each of N heads, where K = V = H / N. S has H^2 / N numbers, initially zero; the layer above sees the heads'
    outputs side by side. The rows of `weight_ih` are W_q, W_k and W_v; `weight_beta` and `weight_alpha` have a row for
    each head. The transition alpha (I - beta k k') has eigenvalues alpha and alpha (1 - beta), between 0 and 1; with
    `negative_eigenvalues` beta is twice as large, and the second one between -1 and 1, as parity needs (Grazzi et al.
    2024, 2411.12537). Whatever the initialisation, A_log and dt_bias are drawn as published: exp(A_log) uniformly up to
    16, softplus(dt_bias) log-uniformly from 0.001 to 0.1.

    Source: Yang et al. 2024 (2412.06464); equations checked in flash-linear-attention,
    fla/ops/gated_delta_rule/naive.py and fla/layers/gated_deltanet.py. Deviations: the initialisation draws all
    weights; the convolutions of q, k and v, the gate and the norm of the outputs and the output projection are not part
    of the cell; one head by default, because published heads have 256 units; V is K, where published heads have
    V = 2 K.
    """

    known_as: ClassVar[str] = "Gated DeltaNet"
    published_block: ClassVar[Mapping[str, object]] = {
        "norm": "rms", "residual": True, "conv": 4, "gate": "silu", "mlp": 2,
    }  # fmt: skip
    gates: ClassVar[tuple[str, ...]] = ("q", "k", "v")
    projections: ClassVar[tuple[str, ...]] = ("weight_ih", "weight_beta", "weight_alpha")
    rank_one: ClassVar[bool] = True

    negative_eigenvalues: bool = False

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih` for q, k and v; `weight_beta`, `weight_alpha`, `A_log` and `dt_bias` for each head."""
        heads = (self.heads, inputs)
        weights = {"weight_ih": (3 * hidden, inputs), "weight_beta": heads, "weight_alpha": heads}
        return {**weights, "A_log": (self.heads,), "dt_bias": (self.heads,)}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """A_log and dt_bias."""
        return drawn_decays(self.heads, rng, lowest=0)

    def terms(self, p: Parameters, gates_RTBG: Tensor, state: State, rest: State) -> Terms:
        """w = alpha, a = alpha k, b = -beta k, and beta k v'."""
        H = p["weight_ih"].shape[1] // 3
        _, k, v, beta, alpha = torch.split(gates_RTBG, [H, H, H, self.heads, self.heads], -1)
        rate_R11N, shift_R11N = torch.exp(p["A_log"])[:, None, None], p["dt_bias"][:, None, None]
        alpha = torch.exp(-rate_R11N * softplus(alpha + shift_R11N)).unsqueeze(-1)
        k, beta = unit(silu(self.split(k))), sigmoid(beta).unsqueeze(-1) * (2 if self.negative_eigenvalues else 1)
        write = beta * k
        return Terms(alpha, write, silu(self.split(v)), alpha * k, -write)

    def queries(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """q / sqrt(K)."""
        q = unit(silu(self.split(gates_RTBG[..., : p["weight_ih"].shape[1] // 3])))
        return q / math.sqrt(q.shape[-1])
