"""Long expressive memory."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State, log_sigmoid, product, recurrent, sigmoid


class LEM(GatedCell):
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
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        y_RBH, z_RBH = state
        x_d, x_e, x_z, x_y = gates_RBG.chunk(4, -1)
        h_d, h_e, h_z = recurrent(y_RBH, p).chunk(3, -1)
        d, e = self.dt * sigmoid(x_d + h_d), self.dt * sigmoid(x_e + h_e)
        z_RBH = z_RBH + d * (torch.tanh(x_z + h_z) - z_RBH)
        y_RBH = y_RBH + e * (torch.tanh(x_y + product(z_RBH, p["weight_zy"], None)) - y_RBH)
        return y_RBH, z_RBH

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln (1 - d), where 1 - d is the factor of the memory z."""
        pre_RBH = gates_RBG.chunk(4, -1)[0] + recurrent(state[0], p).chunk(3, -1)[0]
        rest = torch.log(torch.tensor(1 - self.dt, dtype=pre_RBH.dtype, device=pre_RBH.device))
        return torch.logaddexp(log_sigmoid(-pre_RBH), rest + log_sigmoid(pre_RBH))
