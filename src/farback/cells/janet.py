"""JANET: the LSTM with only its forget gate."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State, recurrent, sigmoid


class JANET(GatedCell):
    """The LSTM with only its forget gate.

    s = W_if x_t + b_if + W_hf h_{t-1} + b_hf
    c = tanh(W_ic x_t + b_ic + W_hc h_{t-1} + b_hc)
    h_t = sigmoid(s) * h_{t-1} + (1 - sigmoid(s - beta)) * c

    f = sigmoid(s) is the gate that *keeps*. Gate order f, c. With beta > 0 more is written than is forgotten.

    Source: van der Westhuizen and Lasenby 2018 (1804.04849), with beta = 1. Deviation: two biases per gate, as
    torch.nn's cells have; only their sum matters.
    """

    known_as: ClassVar[str] = "JANET"
    gates: ClassVar[tuple[str, ...]] = ("f", "c")
    keep: ClassVar[str | None] = "f"

    beta: Annotated[float, Field(ge=0, le=10)] = 1.0

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        (h_RBH,) = state
        s, c = (gates_RBG + recurrent(h_RBH, p)).chunk(2, -1)
        return (sigmoid(s) * h_RBH + sigmoid(self.beta - s) * torch.tanh(c),)
