"""Long expressive memory."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State, recurrent
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import Between, Pointwise, like, log_sigmoid, sigmoid, sigmoid_slope, tanh, tanh_slope


def memory(d: Tensor, e: Tensor, c: Tensor, y: Tensor, z: Tensor, dt: float) -> State:
    """The next z, from the gates d, e and z."""
    return (z + dt * sigmoid(d) * (tanh(c) - z),)


def memory_backward(d: Tensor, e: Tensor, c: Tensor, y: Tensor, z: Tensor, dt: float, dz: Tensor) -> State:
    """The gradients of the gates d, e, z and of y and z."""
    gate, candidate, zero = sigmoid(d), tanh(c), like(z, 0)
    step = dt * dz
    written = step * gate
    return step * (candidate - z) * sigmoid_slope(gate), zero, written * tanh_slope(candidate), zero, dz - written


def forward(d: Tensor, e: Tensor, c: Tensor, v: Tensor, y: Tensor, z: Tensor, dt: float) -> State:
    """The next y and z, from the gates d, e, z and y."""
    (z,) = memory(d, e, c, y, z, dt)
    return y + dt * sigmoid(e) * (tanh(v) - y), z


def backward(
    d: Tensor, e: Tensor, c: Tensor, v: Tensor, y: Tensor, z: Tensor, dt: float, dy: Tensor, dz: Tensor
) -> State:
    """The gradients of the gates d, e, z, y and of y and z, without those through the second product."""
    gate, candidate = sigmoid(e), tanh(v)
    step = dt * dy
    written = step * gate
    dd, _, dc, _, dz = memory_backward(d, e, c, y, z, dt, dz)
    de, dv = step * (candidate - y) * sigmoid_slope(gate), written * tanh_slope(candidate)
    return dd, de, dc, dv, dy - written, dz


class LEM(PointwiseCell, GatedCell):
    """Long expressive memory: two coupled states, each with a learned time step.

    d = dt sigmoid(W_id x_t + b_id + W_hd y_{t-1})
    e = dt sigmoid(W_ie x_t + b_ie + W_he y_{t-1})
    z_t = (1 - d) * z_{t-1} + d * tanh(W_iz x_t + b_iz + W_hz y_{t-1})
    y_t = (1 - e) * y_{t-1} + e * tanh(W_iy x_t + b_iy + W_zy z_t)

    d is the gate that *writes* the memory z; `forget_bias` and `chrono` set its bias. Gate order d, e, z, y. The state
    is (y, z), 2H numbers; the layer above sees y.

    Source: Rusch, Mishra, Erichson and Mahoney 2022 (2110.04744). No deviation; dt, the longest time step,
    is not trained.
    """

    known_as: ClassVar[str] = "LEM"
    state_parts: ClassVar[int] = 2  # y and z
    gates: ClassVar[tuple[str, ...]] = ("d", "e", "z", "y")
    write: ClassVar[str | None] = "d"
    pointwise: ClassVar[Pointwise] = Pointwise(
        forward, backward, constants=("dt",), between=Between(3, memory, memory_backward)
    )

    dt: Annotated[float, Field(gt=0, le=1)] = 1.0

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Weights from the input to all rows, from y to the rows d, e and z, and from z to the row y; one bias."""
        return {
            "weight_ih": (4 * hidden, inputs),
            "weight_hh": (3 * hidden, hidden),
            "weight_zy": (hidden, hidden),
            "bias_ih": (4 * hidden,),
        }

    @override
    def matrices(self, p: Parameters) -> tuple[Tensor, ...]:
        return p["weight_hh"], p["weight_zy"]

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln (1 - d), where 1 - d is the factor of the memory z."""
        pre_RBH = gates_RBG.chunk(4, -1)[0] + recurrent(state[0], p).chunk(3, -1)[0]
        rest = torch.log(torch.tensor(1 - self.dt, dtype=pre_RBH.dtype, device=pre_RBH.device))
        return torch.logaddexp(log_sigmoid(-pre_RBH), rest + log_sigmoid(pre_RBH))
