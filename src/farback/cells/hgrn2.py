"""HGRN2."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from farback.cells.base import Parameters, State, sigmoid, silu
from farback.cells.support.matrix_state import MatrixStateCell, Terms


class HGRN2(MatrixStateCell):
    """Linear attention in which one minus the decay of a row is the key that writes to it.

    q, i = silu(W_q x_t), W_i x_t;  f = lower_bound + (1 - lower_bound) sigmoid(W_f x_t)
    S_t = diag(f) S_{t-1} + (1 - f) i'
    y_t = S_t' q / sqrt(K)

    for each of N heads, where K = V = H / N. S has H^2 / N numbers, initially zero; the layer above sees the heads'
    outputs side by side. The rows of `weight_ih` are W_q, W_f and W_i.

    Source: Qin et al. 2024 (2404.07904); equations checked in flash-linear-attention, fla/layers/hgrn2.py, whose
    recurrence divides q by sqrt(K). Deviations: the initialisation draws all weights; published networks learn a lower
    bound for each unit of each layer, which is 0 in the first layer and rises from layer to layer, while here it is a
    constant; the norm of the outputs and the output projection are not part of the cell; one head by default, because
    published heads have 128 units.
    """

    known_as: ClassVar[str] = "HGRN2"
    published_block: ClassVar[Mapping[str, object]] = {"norm": "rms", "residual": True, "mlp": 2}
    gates: ClassVar[tuple[str, ...]] = ("q", "f", "i")

    lower_bound: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih` for q, f and i."""
        return {"weight_ih": (3 * hidden, inputs)}

    def terms(self, p: Parameters, gates_RTBG: Tensor, state: State, rest: State) -> Terms:
        """f, and (1 - f) i'."""
        _, f, i = gates_RTBG.chunk(3, -1)
        write = self.split(sigmoid(-f)) * (1 - self.lower_bound)  # not 1 - f, which rounds a small one to 0
        return Terms(1 - write, write, self.split(i))

    def queries(self, p: Parameters, gates_RTBG: Tensor, rest: State) -> Tensor:
        """q / sqrt(K)."""
        q = self.split(silu(gates_RTBG.chunk(3, -1)[0]))
        return q / math.sqrt(q.shape[-1])
