"""The time mixing of RWKV-7."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Array, Parameters, State, linear, sigmoid
from farback.cells.support.matrix_state import MatrixStateCell, Terms, unit

RANK = 32  # of the matrices of w and a: as published for up to 368 units
MIXES = {"x_r": 0.2, "x_k": 0.7, "x_v": 0.7, "x_w": 0.9, "x_a": 0.9}  # exponents of their published start


class RWKV7(MatrixStateCell):
    """Linear attention with a decay for each row, and with a key to remove that differs from the key to write.

    x_r = x_t + mu_r (x_{t-1} - x_t), and likewise x_k, x_v, x_w and x_a, with their own vectors mu
    r, k, v = W_r x_r, W_k x_k, W_v x_v
    w = exp(-e^(-1/2) sigmoid(w0 + W_2 tanh(W_1 x_w)));  a = sigmoid(a0 + A_2 A_1 x_a)
    kappa = k_k k, divided by its length;  k~ = k (1 + (a - 1) k_a)
    S_t = (diag(w) - (a kappa) kappa') S_{t-1} + k~ v'
    y_t = S_t' r + (sum of r r_k k~) v

    for each of N heads, where K = V = H / N. The state is S, x_t and x_{t-1} (which only the output needs), H^2 / N +
    2 I numbers, initially zero; the layer above sees the heads' outputs side by side. The rows of `weight_ih` are W_r,
    W_k and W_v; W_1 and A_1 have 32 rows. Whatever the initialisation, mu, w0, a0, k_k, k_a and r_k start as published
    for the first layer.

    Source: Peng et al. 2025 (2503.14456); equations checked in BlinkDL/RWKV-LM, RWKV-v7/rwkv_v7_demo.py, and the start
    in flash-linear-attention, fla/layers/rwkv7.py. Deviations: the initialisation draws all weights; the values of the
    first layer are not added in the others; the norm of S' r, the gate of the outputs (a sigmoid of low rank) and the
    output projection are not part of the cell; one head by default, because published heads have 64 units.
    """

    known_as: ClassVar[str] = "RWKV-7"
    published_block: ClassVar[Mapping[str, object]] = {"norm": "layer", "residual": True, "gate": "silu", "mlp": 2}
    gates: ClassVar[tuple[str, ...]] = ("r", "k", "v")
    state_parts: ClassVar[int] = 3  # S, x_t and x_{t-1}
    rank_one: ClassVar[bool] = True

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """The weights; mu for each input as `x_r` and so on; w0, a0, k_k, k_a and r_k for each unit."""
        low, high = (RANK, inputs), (hidden, RANK)
        weights = {"weight_w1": low, "weight_w2": high, "weight_a1": low, "weight_a2": high}
        units: dict[str, tuple[int, ...]] = dict.fromkeys(("w0", "a0", "k_k", "k_a", "r_k"), (hidden,))
        return {"weight_ih": (3 * hidden, inputs), **weights, **dict.fromkeys(MIXES, (inputs,)), **units}

    def drawn(self, inputs: int, hidden: int, rng: np.random.Generator) -> dict[str, Array]:
        """mu, from 1 at the first input down to near 0 at the last."""
        return {name: 1 - (np.arange(inputs) / inputs) ** power for name, power in MIXES.items()}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """The other vectors: decays from slow to fast over the units, and within each head."""
        K, unit_H = hidden // self.heads, np.arange(hidden)
        share = unit_H / max(1, hidden - 1)
        zigzag = (unit_H % K - (K - 1) / 2) / max(0.5, (K - 1) / 2)
        zigzag *= np.abs(zigzag)
        return {
            "w0": -5.5 + 6 * share + 2.5 * zigzag,
            "a0": -0.19 + 0.3 * zigzag + 0.4 * (share - 0.5),
            "k_k": 0.71 - 0.1 * (share - 0.5),
            "k_a": np.full(hidden, 1.02),
            "r_k": np.full(hidden, -0.04),
        }

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """The inputs themselves: the products need two steps."""
        return x_RTBI

    @override
    def initial(self, like_RBH: Tensor, inputs: int) -> State:
        """S, x_t and x_{t-1} are 0."""
        before = like_RBH.new_zeros(*like_RBH.shape[:2], inputs)
        return (*self.zero(like_RBH), before, before.clone())

    @override
    def rest(self, p: Parameters, gates_RTBG: Tensor, state: State) -> State:
        """x_t and x_{t-1}."""
        return gates_RTBG, torch.cat([state[1].unsqueeze(1), gates_RTBG[:, :-1]], 1)

    @override
    def prepared(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """r, k~, v, w and kappa side by side, and a."""
        x, before = rest
        mixed = {name: x + p[name][:, None, None] * (before - x) for name in MIXES}
        W_r, W_k, W_v = p["weight_ih"].chunk(3, 1)
        r, k, v = (linear(mixed[name], W, None) for name, W in (("x_r", W_r), ("x_k", W_k), ("x_v", W_v)))
        w = linear(torch.tanh(linear(mixed["x_w"], p["weight_w1"], None)), p["weight_w2"], p["w0"])
        a = sigmoid(linear(linear(mixed["x_a"], p["weight_a1"], None), p["weight_a2"], p["a0"]))
        kappa = unit(self.split(k * p["k_k"][:, None, None])).flatten(3)
        k = k * (1 + (a - 1) * p["k_a"][:, None, None])
        return torch.cat([r, k, v, torch.exp(-math.exp(-0.5) * sigmoid(w)), kappa, a], -1)

    def terms(self, p: Parameters, gates_RTBG: Tensor, state: State, rest: State) -> Terms:
        """w, -kappa, a kappa, and k~ v'."""
        _, k, v, w, kappa, a = (self.split(part) for part in gates_RTBG.chunk(6, -1))
        return Terms(w, k, v, -kappa, a * kappa)

    def queries(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """r."""
        return self.split(gates_RTBG.chunk(6, -1)[0])

    def outputs(self, p: Parameters, gates_RTBG: Tensor, read_RTBNV: Tensor, rest: State) -> Tensor:
        """S' r + (sum of r r_k k~) v."""
        r, k, v, *_ = gates_RTBG.chunk(6, -1)
        now = self.split(r * k * p["r_k"][:, None, None]).sum(-1, keepdim=True)
        return (read_RTBNV + now * self.split(v)).flatten(3)
