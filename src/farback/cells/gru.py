"""The gated recurrent unit."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State, recurrent, sigmoid
from farback.kernels.unroll import GatedKernel, Kernel


class GRU(GatedCell):
    """The gated recurrent unit, in the form of `torch.nn.GRU`.

    r, z = sigmoid(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), each with its own rows of W and b
    n = tanh(W_in x_t + b_in + r * (W_hn h_{t-1} + b_hn))
    h_t = (1 - z) * n + z * h_{t-1}

    So z is the gate that *keeps*. Gate order r, z, n.

    Source: Cho et al. 2014 (1406.1078). Deviation, as in PyTorch: the reset gate multiplies W_hn h + b_hn instead of h.
    """

    known_as: ClassVar[str] = "GRU"
    torch_class: ClassVar[type[nn.RNNBase]] = nn.GRU
    kernel: ClassVar[Kernel] = GatedKernel("gru")
    gates: ClassVar[tuple[str, ...]] = ("r", "z", "n")
    keep: ClassVar[str | None] = "z"

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        (h_RBH,) = state
        x_r, x_z, x_n = gates_RBG.chunk(3, -1)
        h_r, h_z, h_n = recurrent(h_RBH, p).chunk(3, -1)
        z = sigmoid(x_z + h_z)
        n = torch.tanh(x_n + sigmoid(x_r + h_r) * h_n)
        return (n + z * (h_RBH - n),)
