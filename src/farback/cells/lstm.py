"""Long short-term memory."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State, recurrent, sigmoid
from farback.kernels.unroll import GatedKernel, Kernel


class LSTM(GatedCell):
    """Long short-term memory with forget gates, no peepholes.

    i, f, o = sigmoid(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), each with its own rows of W and b
    g = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), also with its own rows
    c_t = f * c_{t-1} + i * g
    h_t = o * tanh(c_t)

    Parameters, names and gate order (i, f, g, o) are those of `torch.nn.LSTM`, with its two biases per gate. The state
    is (h, c), 2H numbers; the layer above sees h.

    Source: Hochreiter and Schmidhuber 1997; forget gates from Gers, Schmidhuber and Cummins 2000.
    """

    known_as: ClassVar[str] = "LSTM"
    torch_class: ClassVar[type[nn.RNNBase]] = nn.LSTM
    kernel: ClassVar[Kernel] = GatedKernel("lstm")
    state_parts: ClassVar[int] = 2  # h and c
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    keep: ClassVar[str | None] = "f"
    write: ClassVar[str | None] = "i"

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        h_RBH, c_RBH = state
        i, f, g, o = (gates_RBG + recurrent(h_RBH, p)).chunk(4, -1)
        c_RBH = sigmoid(f) * c_RBH + sigmoid(i) * torch.tanh(g)
        return sigmoid(o) * torch.tanh(c_RBH), c_RBH
