"""The scalar LSTM of xLSTM."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from farback.cells.base import GatedCell, State
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import (
    Pointwise,
    exp,
    like,
    log_sigmoid,
    maximum,
    sigmoid,
    sigmoid_slope,
    tanh,
    tanh_slope,
    where,
)

EMPTY = 1e-35  # a smaller normaliser n counts as 0: the CPU may flush it to 0, and the slope of c / n overflows


def forward(i: Tensor, f: Tensor, z: Tensor, o: Tensor, h: Tensor, c: Tensor, n: Tensor, m: Tensor) -> State:
    """The next h, c, n and m."""
    past = log_sigmoid(f) + m
    new = maximum(i, past)
    keep, write = exp(past - new), exp(i - new)
    c, n = keep * c + write * tanh(z), keep * n + write
    return sigmoid(o) * (c / where(abs(n) < like(n, EMPTY), like(n, 1), n)), c, n, new


def backward(
    i: Tensor,
    f: Tensor,
    z: Tensor,
    o: Tensor,
    h: Tensor,
    c: Tensor,
    n: Tensor,
    m: Tensor,
    dh: Tensor,
    dc: Tensor,
    dn: Tensor,
    dm: Tensor,
) -> State:
    """The gradients of the gates i, f, z, o and of the state h, c, n, m."""
    zero, one = like(n, 0), like(n, 1)
    past, out, candidate = log_sigmoid(f) + m, sigmoid(o), tanh(z)
    new = maximum(i, past)
    keep, write = exp(past - new), exp(i - new)
    c_new, n_new = keep * c + write * candidate, keep * n + write
    empty = abs(n_new) < like(n, EMPTY)
    ratio = c_new / where(empty, one, n_new)
    slope = dh * out / where(empty, one, n_new)
    dc, dn = dc + slope, dn - where(empty, zero, slope * ratio)
    kept, written = keep * (dc * c + dn * n), write * (dc * candidate + dn)
    dm = dm - kept - written
    larger = where(i > past, one, where(i < past, zero, like(n, 0.5)))
    dpast = kept + dm * (one - larger)
    di, df = written + dm * larger, dpast * (one - sigmoid(f))
    dz, do = dc * write * tanh_slope(candidate), dh * ratio * sigmoid_slope(out)
    return di, df, dz, do, zero * h, dc * keep, dn * keep, dpast


class SLSTM(PointwiseCell, GatedCell):
    """The LSTM with an exponential input gate, a normaliser and a stabiliser.

    i, f, z, o = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh, each with its own rows of W and b
    m_t = max(i, ln sigmoid(f) + m_{t-1})
    i' = exp(i - m_t),  f' = exp(ln sigmoid(f) + m_{t-1} - m_t)
    c_t = f' * c_{t-1} + i' * tanh(z)
    n_t = f' * n_{t-1} + i'
    h_t = sigmoid(o) * c_t / n_t

    f keeps and i writes; m keeps the exponentials in range and cancels in c / n. Gate order i, f, z, o. The state is
    (h, c, n, m), 4H numbers, initially zero; the layer above sees h.

    Source: Beck et al. 2024 (2405.04517), with a sigmoid as forget gate, as in their code. Deviations: one head, so
    that W_hh is full; two biases per gate, as torch.nn's cells have; h is 0 while n is below 1e-35, that is, as long as
    all input gates were below exp(-81); the published block around the cell is not included.
    """

    known_as: ClassVar[str] = "sLSTM"
    state_parts: ClassVar[int] = 4  # h, c, n and m
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "z", "o")
    keep: ClassVar[str | None] = "f"
    write: ClassVar[str | None] = "i"
    pointwise: ClassVar[Pointwise] = Pointwise(forward, backward)
