"""Control: a random network that is not trained."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import GatedCell, Parameters, State, recurrent
from farback.kernels.unroll import GatedKernel, Kernel


class EchoState(GatedCell):
    """The echo state network: a fixed random tanh network with a trained readout.

    h_t = (1 - leak) h_{t-1} + leak tanh(W_ih x_t + b_ih + W_hh h_{t-1})

    A control that shows the benefit of training the recurrence. The spectral radius of W_hh sets its time scale: use
    `init: {name: scaled, radius: 0.95}`. PyTorch's default has a radius near 0.58: the network forgets in a few steps.

    Source: Jaeger 2001, GMD report 148; the leak as in Lukosevicius 2012. Deviation: the readout is trained by gradient
    descent, as for all cells, not by linear regression.
    """

    known_as: ClassVar[str] = "echo state"
    frozen: ClassVar[tuple[str, ...]] = ("weight_ih", "weight_hh", "bias_ih")

    leak: Annotated[float, Field(gt=0, le=1)] = 1.0

    @property
    def kernel(self) -> Kernel | None:
        """The kernel of `elman` if leak is 1, otherwise None."""
        return GatedKernel("elman", "tanh") if self.leak == 1 else None

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """One weight matrix for the input, one for the state, and one bias."""
        return {"weight_ih": (hidden, inputs), "weight_hh": (hidden, hidden), "bias_ih": (hidden,)}

    @override
    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        (h_RBH,) = state
        new_RBH = torch.tanh(gates_RBG + recurrent(h_RBH, p))
        return (new_RBH if self.leak == 1 else h_RBH + self.leak * (new_RBH - h_RBH),)
