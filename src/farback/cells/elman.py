"""The simple recurrent network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from farback.cells.base import GatedCell, Parameters, State, recurrent, sigmoid

NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": sigmoid,
    "identity": Tensor.clone,
}


class Elman(GatedCell):
    """The simple (vanilla) RNN.

    h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

    Parameters and names are those of `torch.nn.RNN`, which has f = tanh and relu.

    Source: Elman 1990, Cognitive Science 14.
    """

    nonlinearity: Literal["tanh", "relu", "sigmoid", "identity"] = "tanh"

    @property
    def kernel(self) -> str | None:
        """Fused."""
        return f"elman {self.nonlinearity}"

    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """One step."""
        return (NONLINEARITIES[self.nonlinearity](gates_RBG + recurrent(state[0], p)),)

    def label(self) -> str:
        """The name people use."""
        return f"RNN {self.nonlinearity}"

    def to_torch(self, inputs: int, hidden: int, depth: int, bias: bool, bidirectional: bool) -> nn.RNNBase:
        """`torch.nn.RNN`."""
        if self.nonlinearity not in ("tanh", "relu"):
            return super().to_torch(inputs, hidden, depth, bias, bidirectional)
        return nn.RNN(inputs, hidden, depth, self.nonlinearity, bias, True, 0.0, bidirectional)
