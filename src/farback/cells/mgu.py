"""The minimal gated unit."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import Between, Pointwise, sigmoid, sigmoid_slope, tanh, tanh_slope


def reset(f: Tensor, h: Tensor) -> State:
    """The state that the candidate sees."""
    return (sigmoid(f) * h,)


def reset_backward(f: Tensor, h: Tensor, d: Tensor) -> State:
    """The gradients of f and h."""
    gate = sigmoid(f)
    return d * h * sigmoid_slope(gate), d * gate


def forward(f: Tensor, n: Tensor, h: Tensor) -> State:
    """The next state."""
    return (h + sigmoid(f) * (tanh(n) - h),)


def backward(f: Tensor, n: Tensor, h: Tensor, dh: Tensor) -> State:
    """The gradients of f, n and h, without those through `reset`."""
    gate, candidate = sigmoid(f), tanh(n)
    written = dh * gate
    return dh * (candidate - h) * sigmoid_slope(gate), written * tanh_slope(candidate), dh - written


class MGU(PointwiseCell, GatedCell):
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
    pointwise: ClassVar[Pointwise] = Pointwise(forward, backward, between=Between(1, reset, reset_backward))

    @override
    def matrices(self, p: Parameters) -> tuple[Tensor, ...]:
        return p["weight_hh"].chunk(2, 1)
