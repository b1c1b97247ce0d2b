"""The minimal LSTM."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from farback.cells.base import DiagonalCell, Parameters, State, log_sigmoid, sigmoid
from farback.cells.mingru import positive


class MinLSTM(DiagonalCell):
    """An LSTM whose gates and candidate depend only on the input, so that all steps can be computed at once.

    f, i = sigmoid(W_ih x_t + b_ih), each with its own rows of W and b
    c = g(W_ic x_t + b_ic), g(v) = v + 1/2 where v >= 0, sigmoid(v) elsewhere
    h_t = f / (f + i) * h_{t-1} + i / (f + i) * c

    f keeps and i writes. Gate order f, i, c.

    Source: Feng et al. 2024 (2410.01201), with the positive g of its numerically stable version. No deviation;
    f / (f + i) is computed as sigmoid(ln f - ln i), which is finite when both gates are closed. Splitting a sequence
    and carrying h over the split changes no output; in a popular implementation it does.
    """

    known_as: ClassVar[str] = "minLSTM"
    gates: ClassVar[tuple[str, ...]] = ("f", "i", "c")
    keep: ClassVar[str | None] = "f"
    write: ClassVar[str | None] = "i"

    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        """f / (f + i) and i / (f + i) g(c)."""
        f, i, c = gates_RTBG.chunk(3, -1)
        keep = sigmoid(log_sigmoid(f) - log_sigmoid(i))
        return keep, (1 - keep) * positive(c)

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln f / (f + i)."""
        f, i, _ = gates_RBG.chunk(3, -1)
        return log_sigmoid(log_sigmoid(f) - log_sigmoid(i))
