"""The minimal gated unit."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State, product, sigmoid


class MGU(GatedCell):
    """The minimal gated unit: a GRU whose one gate both resets and updates.

    f = sigmoid(W_if x_t + b_if + W_hf h_{t-1} + b_hf)
    n = tanh(W_in x_t + b_in + W_hn (f * h_{t-1}) + b_hn)
    h_t = (1 - f) * h_{t-1} + f * n

    Its authors call f the forget gate, but it is the gate that *writes*: the state is kept where f is 0. Gate order
    f, n.

    Source: Zhou, Wu, Zhang and Zhou 2016 (1603.09420). Deviation: two biases per gate, as torch.nn's cells
    have; only their sum matters.
    """

    known_as: ClassVar[str] = "MGU"
    gates: ClassVar[tuple[str, ...]] = ("f", "n")
    write: ClassVar[str | None] = "f"

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        (h_RBH,) = state
        x_f, x_n = gates_RBG.chunk(2, -1)
        weight_f, weight_n = p["weight_hh"].chunk(2, 1)
        bias_f, bias_n = p["bias_hh"].chunk(2, 1) if "bias_hh" in p else (None, None)
        f = sigmoid(x_f + product(h_RBH, weight_f, bias_f))
        n = torch.tanh(x_n + product(f * h_RBH, weight_n, bias_n))
        return (h_RBH + f * (n - h_RBH),)
