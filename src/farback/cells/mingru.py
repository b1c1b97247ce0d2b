"""The minimal GRU."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from farback.cells.base import DiagonalCell, Parameters, sigmoid


class MinGRU(DiagonalCell):
    """A GRU whose gate and candidate depend only on the input, so that all steps can be computed at once.

    z = sigmoid(W_iz x_t + b_iz)
    c = g(W_ic x_t + b_ic), g(v) = v + 1/2 where v >= 0, sigmoid(v) elsewhere
    h_t = (1 - z) * h_{t-1} + z * c

    z is the gate that *writes*; in `torch.nn.GRU` z is the gate that keeps. Gate order z, c.

    Source: Feng et al. 2024 (2410.01201), with the positive g of its numerically stable version. No deviation; h_0 is
    zero, and the recurrence is computed directly rather than in logarithms.
    """

    known_as: ClassVar[str] = "minGRU"
    gates: ClassVar[tuple[str, ...]] = ("z", "c")
    write: ClassVar[str | None] = "z"

    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        """1 - z and z g(c)."""
        z, c = gates_RTBG.chunk(2, -1)
        write = sigmoid(z)
        return 1 - write, write * positive(c)


def positive(x: Tensor) -> Tensor:
    """The function g of the candidate: positive, continuous, and growing like x."""
    return torch.where(x >= 0, x + 0.5, sigmoid(x))
