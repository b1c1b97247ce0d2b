"""The update-gate recurrent network."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from farback.cells.base import GatedCell, State
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import Pointwise, sigmoid, sigmoid_slope, tanh, tanh_slope


def forward(g: Tensor, c: Tensor, h: Tensor) -> State:
    """The next state."""
    candidate = tanh(c)
    return (candidate + sigmoid(g) * (h - candidate),)


def backward(g: Tensor, c: Tensor, h: Tensor, dh: Tensor) -> State:
    """The gradients of g, c and h."""
    keep, candidate = sigmoid(g), tanh(c)
    kept = dh * keep
    return dh * (h - candidate) * sigmoid_slope(keep), (dh - kept) * tanh_slope(candidate), kept


class UGRNN(PointwiseCell, GatedCell):
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
    pointwise: ClassVar[Pointwise] = Pointwise(forward, backward)
