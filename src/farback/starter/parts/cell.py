"""A cell of this project: `cell: starter` in a config; `farback show cell starter` prints it."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from farback.cells.base import GatedCell, Parameters, State, recurrent


class Starter(GatedCell):
    """A tanh network whose units move only part of the way to their new value.

    h_t = h_{t-1} + rate (tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) - h_{t-1})

    Source: leaky units, Jaeger 2007.
    """

    # A parameter for configs: `cell: {name: starter, rate: 0.05}`. 0.1 keeps the share 0.9 of the state at each step.
    rate: Annotated[float, Field(gt=0, le=1)] = 0.1

    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """The state after one step.

        R networks (replicas) train together, each with B sequences and H units: every tensor has R as its first axis,
        and no operation may mix two replicas. `gates_RBG` is W_ih x_t + b_ih; `recurrent` is W_hh h_{t-1} + b_hh.
        """
        (h_RBH,) = state
        candidate = torch.tanh(gates_RBG + recurrent(h_RBH, p))
        return (h_RBH + self.rate * (candidate - h_RBH),)

    # More parameters, or other weights: define `parameters`. More than one state: set `state_parts`. Gates: name them
    # in `gates`. `SteppedCell` has no recurrent matrix of its own. A `PointwiseCell` is several times as fast. All of
    # this is in docs/extend.md of farback.
