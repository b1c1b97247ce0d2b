"""JANET: the LSTM with only its forget gate."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from farback.cells.base import GatedCell, State
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import Pointwise, sigmoid, sigmoid_slope, tanh, tanh_slope


def forward(f: Tensor, c: Tensor, h: Tensor, beta: float) -> State:
    """The next state."""
    return (sigmoid(f) * h + sigmoid(beta - f) * tanh(c),)


def backward(f: Tensor, c: Tensor, h: Tensor, beta: float, dh: Tensor) -> State:
    """The gradients of f, c and h."""
    keep, write, candidate = sigmoid(f), sigmoid(beta - f), tanh(c)
    df = dh * (h * sigmoid_slope(keep) - candidate * sigmoid_slope(write))
    return df, dh * write * tanh_slope(candidate), dh * keep


class JANET(PointwiseCell, GatedCell):
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
    pointwise: ClassVar[Pointwise] = Pointwise(forward, backward, constants=("beta",))

    beta: Annotated[float, Field(ge=0, le=10)] = 1.0
