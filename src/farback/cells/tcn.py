"""Dilated causal convolutions, which see a fixed number of steps."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Cell, Parameters, State, linear
from farback.records.record import Several

Dilation = Annotated[int, Field(ge=1, le=100_000)]


class TCN(Cell):
    """A stack of causal convolutions with growing dilations: a control whose reach is known.

    y_l,t = relu(b_l + sum_j W_l,j y_{l-1, t - j d_l}) + y_{l-1,t},  j = 0 ... taps - 1,  y_0 = x

    `dilations` are d_1, d_2, ...; the level d_1, which has other inputs than outputs, adds no y_0. An answer depends on
    1 + (taps - 1) sum(d) steps and on nothing older, so one layer has a horizon of exactly (taps - 1) sum(d): 14 by
    default. The state is, for each level, the (taps - 1) d_l + 1 last inputs of the level, the newest last; there are
    zeros before the first step.

    Source: Bai et al. 2018 (1803.01271), whose text was not read. Deviations: one convolution for each dilation
    instead of two, so that the receptive field is the sum above; no weight normalisation; no dropout inside the cell;
    no 1 x 1 convolution around the first level. Higher levels compute relu(y + relu(...)) as published, as
    y is never negative.
    """

    known_as: ClassVar[str] = "TCN"

    taps: Annotated[int, Field(ge=2, le=64)] = 3
    dilations: Annotated[Several[Dilation], Field(min_length=1, max_length=16)] = (1, 2, 4)

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih` and `bias_ih` for the first level, `weight_1` and `bias_1` for the next; the oldest tap first."""
        shapes: dict[str, tuple[int, ...]] = {}
        for level, width in enumerate(self._widths(inputs, hidden)):
            name = str(level) if level else "ih"
            shapes |= {f"weight_{name}": (hidden, self.taps * width), f"bias_{name}": (hidden,)}
        return shapes

    def _widths(self, inputs: int, hidden: int) -> list[int]:
        """The number of inputs of each level."""
        return [inputs] + [hidden] * (len(self.dilations) - 1)

    @override
    def initial(self, like_RBH: Tensor, inputs: int) -> State:
        R, B, H = like_RBH.shape
        levels = zip(self.dilations, self._widths(inputs, H), strict=True)
        return tuple(like_RBH.new_zeros(R, B, (self.taps - 1) * dilation + 1, width) for dilation, width in levels)

    @override
    def kept(self, hidden: int, steps: int) -> int:
        return hidden * len(self.dilations) * (self.taps + 3)

    @override
    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        return x_RTBI

    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """The last inputs of every level."""
        return self.unroll(p, gates_RBG.unsqueeze(1), state)[1]

    @override
    def output(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        top = len(self.dilations) - 1
        return self._level(p, top, state[top].transpose(1, 2), 1).squeeze(1)

    def unroll(self, p: Parameters, x_RTBI: Tensor, state: State) -> tuple[Tensor, State]:
        """Level by level, all steps at once."""
        after, T = [], x_RTBI.shape[1]
        for level, buffer_RBSI in enumerate(state):
            x_RTBI = torch.cat([buffer_RBSI.transpose(1, 2), x_RTBI], 1)
            after.append(x_RTBI[:, T:].transpose(1, 2))
            x_RTBI = self._level(p, level, x_RTBI, T)
        return x_RTBI, tuple(after)

    def _level(self, p: Parameters, level: int, x_RSBI: Tensor, steps: int) -> Tensor:
        """The outputs of a level at the last steps of its inputs."""
        name, S = str(level) if level else "ih", x_RSBI.shape[1]
        ages = [(self.taps - 1 - j) * self.dilations[level] for j in range(self.taps)]
        seen = torch.cat([x_RSBI[:, S - steps - age : S - age] for age in ages], -1)
        y_RTBH = torch.relu(linear(seen, p[f"weight_{name}"], p.get(f"bias_{name}")))
        return y_RTBH + x_RSBI[:, S - steps :] if level else y_RTBH
