"""The closed-form continuous-time cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Parameters, State, SteppedCell, product, sigmoid
from farback.kernels.unroll import Kernel, ScanKernel


class CfC(SteppedCell):
    """The closed-form continuous-time cell, read at steps of equal length.

    b = 1.7159 tanh(0.666 (W_ih x_t + b_ih + W_s h_{t-1}))
    f, g, r, o = W_b b + b_b, each with its own rows
    h_t = (1 - s) * tanh(f) + s * tanh(g), s = sigmoid(r elapsed + o)

    b has `units` numbers. s chooses between two new states; no gate keeps the old one.

    Source: Hasani et al. 2022 (2106.13898), read as its code, mlech26l/ncps, torch/cfc_cell.py, in its mode "default"
    with one layer of backbone. No deviation; the initialisation draws all weights and biases, theirs is `xavier`.
    """

    known_as: ClassVar[str] = "CfC"
    kernel: ClassVar[Kernel] = ScanKernel("closed_form")
    gates: ClassVar[tuple[str, ...]] = ("b",)

    units: Annotated[int, Field(ge=1, le=4096)] = 128
    elapsed: Annotated[float, Field(gt=0, le=1000)] = 1.0

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Weights from input and state to b, with one bias, and from b to f, g, r and o."""
        return {
            "weight_ih": (self.units, inputs),
            "weight_state": (self.units, hidden),
            "weight_heads": (4 * hidden, self.units),
            "bias_ih": (self.units,),
            "bias_heads": (4 * hidden,),
        }

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        b_RBU = 1.7159 * torch.tanh(0.666 * (gates_RBG + product(state[0], p["weight_state"], None)))
        f, g, rate, offset = product(b_RBU, p["weight_heads"], p.get("bias_heads")).chunk(4, -1)
        mix = sigmoid(rate * self.elapsed + offset)
        return ((1 - mix) * torch.tanh(f) + mix * torch.tanh(g),)

    @override
    def kept(self, hidden: int, steps: int) -> int:
        return 5 * hidden + 2 * self.units

    def fused(self, p: Parameters, gates_RTBG: Tensor, state: State, scan: Callable[..., Any]) -> tuple[Tensor, State]:
        """Outputs of all steps and last state; `scan` is that of `farback.kernels.closed_form`.

        r elapsed + o is one product, with the weights elapsed W_r + W_o.
        """
        weight = p["weight_heads"]
        bias = p["bias_heads"] if "bias_heads" in p else weight.new_zeros(weight.shape[:2])
        heads, offsets = (self._joined(rows) for rows in (weight, bias))
        outputs, last = scan(gates_RTBG, p["weight_state"], heads, offsets, state[0])
        return outputs, (last,)

    def _joined(self, rows: Tensor) -> Tensor:
        f, g, rate, offset = rows.chunk(4, 1)
        return torch.cat([f, g, rate * self.elapsed + offset], 1)
