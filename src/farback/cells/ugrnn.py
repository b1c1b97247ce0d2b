"""The update-gate recurrent network."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State, recurrent, sigmoid


class UGRNN(GatedCell):
    """The update-gate RNN: a tanh network with one gate, simpler than a GRU.

    g = sigmoid(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
    c = tanh(W_ic x_t + b_ic + W_hc h_{t-1} + b_hc)
    h_t = g * h_{t-1} + (1 - g) * c

    So g is the gate that *keeps*. Gate order g, c.

    Source: Collins, Sohl-Dickstein and Sussillo 2017 (1611.09913). Deviation: two biases per gate, as
    torch.nn's cells have; only their sum matters.
    """

    known_as: ClassVar[str] = "UGRNN"
    gates: ClassVar[tuple[str, ...]] = ("g", "c")
    keep: ClassVar[str | None] = "g"

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        (h_RBH,) = state
        g, c = (gates_RBG + recurrent(h_RBH, p)).chunk(2, -1)
        candidate = torch.tanh(c)
        return (candidate + sigmoid(g) * (h_RBH - candidate),)
