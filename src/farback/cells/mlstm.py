"""The matrix LSTM of xLSTM."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Array, Parameters, State, linear, log_sigmoid, sigmoid
from farback.cells.support.matrix_state import MatrixStateCell, Terms


class MLSTM(MatrixStateCell):
    """The LSTM with a matrix state, an exponential input gate, a normaliser and a stabiliser.

    q, k, v, o = W x_t + b, each with its own rows of W and b;  k divided by sqrt(K)
    i, f = w_i x_t + b_i, w_f x_t + b_f, one number for each head
    m_t = max(i, ln sigmoid(f) + m_{t-1})
    i' = exp(i - m_t),  f' = exp(ln sigmoid(f) + m_{t-1} - m_t)
    C_t = f' C_{t-1} + i' k v'
    n_t = f' n_{t-1} + i' k
    h_t = sigmoid(o) * C_t' q / max(|n_t' q|, exp(-m_t))

    for each of N heads, where K = V = H / N. m keeps the exponentials in range and cancels. The state is C and n, as a
    matrix of one more column, and m: H^2 / N + H + N numbers, initially zero; the layer above sees h. The rows of
    `weight_ih` and `bias_ih` are those of q, k, v and o; `weight_if` has a row for i and one for f of each head, i
    first. Whatever the initialisation, the biases of i and f are drawn as published: b_i normally with a deviation of
    0.1, b_f from 3 to 6 in equal steps over the heads.

    Source: Beck et al. 2024 (2405.04517), with a sigmoid as forget gate, as in their code; the stabilised equations are
    those of NX-AI/mlstm_kernels, mlstm_kernels/torch/recurrent/native_step.py. Deviations: the initialisation draws all
    weights, also those of i and f, which are published as zero; their code divides q, not k, by sqrt(K), which is the
    same, and adds 1e-6 to the denominator; the norm of the outputs, the convolution and the gate
    of the block are not part of the cell; one head by default, because published heads have 256 units and more.
    """

    known_as: ClassVar[str] = "mLSTM"
    published_block: ClassVar[Mapping[str, object]] = {"norm": "layer", "residual": True, "conv": 4, "gate": "silu"}
    gates: ClassVar[tuple[str, ...]] = ("q", "k", "v", "o")
    state_parts: ClassVar[int] = 2  # C and n, and m

    def matrix(self, hidden: int) -> tuple[int, int]:
        """H / N rows, and one column more for n."""
        return hidden // self.heads, hidden // self.heads + 1

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih` and `bias_ih` for q, k, v and o; `weight_if`, `b_i` and `b_f` for the gates i and f."""
        heads = (self.heads,)
        gates = {"weight_if": (2 * self.heads, inputs), "b_i": heads, "b_f": heads}
        return {"weight_ih": (4 * hidden, inputs), "bias_ih": (4 * hidden,), **gates}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """b_i and b_f."""
        return {"b_i": 0.1 * rng.standard_normal(self.heads), "b_f": np.linspace(3, 6, self.heads)}

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """All gates before their nonlinearities."""
        inner = linear(x_RTBI, p["weight_ih"], p.get("bias_ih"))
        return torch.cat([inner, linear(x_RTBI, p["weight_if"], torch.cat([p["b_i"], p["b_f"]], 1))], -1)

    def zero(self, like_RBH: Tensor) -> State:
        """C, n and m are 0."""
        return (*super().zero(like_RBH), like_RBH.new_zeros(*like_RBH.shape[:2], self.heads))

    @override
    @torch.no_grad()
    def rest(self, p: Parameters, gates_RTBG: Tensor, state: State) -> State:
        """m, without a gradient: it cancels in the outputs, so that their derivative by it is 0.

        With F the sum of ln sigmoid(f), m_t = F_t + max(m_0, max over s up to t of i_s - F_s).
        """
        i, f = gates_RTBG[..., p["weight_ih"].shape[1] :].chunk(2, -1)
        F = log_sigmoid(f).cumsum(1)
        return (F + torch.maximum((i - F).cummax(1).values, state[1].unsqueeze(1)),)

    def terms(self, p: Parameters, gates_RTBG: Tensor, state: State, rest: State) -> Terms:
        """f', and i' k (v, 1)'."""
        H = p["weight_ih"].shape[1] // 4
        _, k, v, _, i, f = torch.split(gates_RTBG, [H, H, H, H, self.heads, self.heads], -1)
        m, k, v = rest[0], self.split(k), self.split(v)
        before = torch.cat([state[1].unsqueeze(1), m[:, :-1]], 1)
        keep, write = torch.exp(log_sigmoid(f) + before - m), torch.exp(i - m)
        v = torch.cat([v, torch.ones_like(v[..., :1])], -1)
        return Terms(keep.unsqueeze(-1), write.unsqueeze(-1) * k / math.sqrt(k.shape[-1]), v)

    def queries(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """q."""
        return self.split(gates_RTBG[..., : p["weight_ih"].shape[1] // 4])

    def outputs(self, p: Parameters, gates_RTBG: Tensor, read_RTBNV: Tensor, rest: State) -> Tensor:
        """sigmoid(o) * C' q / max(|n' q|, exp(-m))."""
        H = p["weight_ih"].shape[1] // 4
        value, norm = read_RTBNV[..., :-1], read_RTBNV[..., -1]
        norm = torch.maximum(norm.abs(), torch.exp(-rest[0]))
        return sigmoid(gates_RTBG[..., 3 * H : 4 * H]) * (value / norm.unsqueeze(-1)).flatten(3)
