"""The simple recurrent network."""

from __future__ import annotations

from typing import Literal

import numpy as np
from torch import Tensor, nn
from typing_extensions import override

from farback.cells.base import Array, GatedCell, Parameters, State, recurrent
from farback.cells.support.nonlinearities import MODRELU, NONLINEARITIES, small_offsets
from farback.kernels.unroll import GatedKernel, Kernel, PointwiseKernel


class Elman(GatedCell):
    """The simple (vanilla) RNN.

    h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

    f is tanh, relu, sigmoid, identity, leaky_relu (slope 0.01), gelu (exact, x Phi(x)), softsign, sin or modrelu:
    sign(v) max(|v| + b, 0), where b, the parameter `offset`, is trained for each unit. The other parameters have the
    names and shapes of `torch.nn.RNN`, which supports only f = tanh and relu.

    Source: Elman 1990, Cognitive Science 14; modrelu: Arjovsky, Shah and Bengio 2016 (1511.06464).
    """

    nonlinearity: Literal["tanh", "relu", "sigmoid", "identity", "leaky_relu", "gelu", "softsign", "modrelu", "sin"] = (
        "tanh"
    )

    @property
    def kernel(self) -> Kernel | None:
        """The kernel of this nonlinearity."""
        if self.nonlinearity == "modrelu":
            return PointwiseKernel("elman modrelu", MODRELU, 1, 1)
        return GatedKernel("elman", self.nonlinearity)

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """The parameters of torch.nn.RNN, and the offsets of modrelu."""
        return super().parameters(inputs, hidden) | ({"offset": (hidden,)} if self.nonlinearity == "modrelu" else {})

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Small random offsets for modrelu."""
        return {"offset": small_offsets(hidden, rng)} if self.nonlinearity == "modrelu" else {}

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        v_RBH = gates_RBG + recurrent(state[0], p)
        if self.nonlinearity == "modrelu":
            return MODRELU.forward(v_RBH, state[0], p["offset"].unsqueeze(1))
        return (NONLINEARITIES[self.nonlinearity](v_RBH),)

    def label(self) -> str:
        """The usual name."""
        return f"RNN {self.nonlinearity}"

    @override
    def to_torch(self, inputs: int, hidden: int, depth: int, bias: bool, bidirectional: bool) -> nn.RNNBase:
        if self.nonlinearity not in ("tanh", "relu"):
            return super().to_torch(inputs, hidden, depth, bias, bidirectional)
        return nn.RNN(inputs, hidden, depth, self.nonlinearity, bias, True, 0.0, bidirectional)
