"""The neuromodulated bistable recurrent cell."""

from __future__ import annotations

from typing import ClassVar

from farback.cells.base import GatedCell
from farback.cells.brc import bistable, bistable_backward
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import Pointwise


class NBRC(PointwiseCell, GatedCell):
    """The bistable recurrent cell with gates that depend on all units, so that other units decide if one can latch.

    c = sigmoid(W_ic x_t + b_ic + W_hc h_{t-1})
    a = 1 + tanh(W_ia x_t + b_ia + W_ha h_{t-1})
    h_t = c * h_{t-1} + (1 - c) * tanh(W_ih x_t + b_ih + a * h_{t-1})

    c is the gate that *keeps*. Gate order c, a, h; h has no recurrent matrix.

    Source: Vecoven, Ernst and Drion 2021 (2006.05252).
    Deviation: c, a and h have biases; the paper has no biases, and the authors' code has two of the three.
    """

    known_as: ClassVar[str] = "nBRC"
    gates: ClassVar[tuple[str, ...]] = ("c", "a", "h")
    keep: ClassVar[str | None] = "c"
    pointwise: ClassVar[Pointwise] = Pointwise(bistable, bistable_backward)

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Input weights, the gates' recurrent weights, and one bias."""
        rows = 3 * hidden
        return {"weight_ih": (rows, inputs), "weight_hh": (2 * hidden, hidden), "bias_ih": (rows,)}
