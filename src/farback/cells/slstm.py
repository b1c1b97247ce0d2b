"""The scalar LSTM of xLSTM."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State, log_sigmoid, recurrent, sigmoid

EMPTY = 1e-35  # a smaller normaliser n counts as 0: the CPU may flush it to 0, and the slope of c / n overflows


class SLSTM(GatedCell):
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

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        h_RBH, c_RBH, n_RBH, m_RBH = state
        i, f, z, o = (gates_RBG + recurrent(h_RBH, p)).chunk(4, -1)
        past = log_sigmoid(f) + m_RBH
        m_RBH = torch.maximum(i, past)
        keep, write = torch.exp(past - m_RBH), torch.exp(i - m_RBH)
        c_RBH = keep * c_RBH + write * torch.tanh(z)
        n_RBH = keep * n_RBH + write
        h_RBH = sigmoid(o) * (c_RBH / torch.where(n_RBH.abs() < EMPTY, 1.0, n_RBH))
        return h_RBH, c_RBH, n_RBH, m_RBH
