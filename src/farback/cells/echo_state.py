"""Control: a random network that is not trained."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import GatedCell, State
from farback.cells.support.pointwise_cell import PointwiseCell
from farback.kernels.pointwise import Pointwise, tanh, tanh_slope
from farback.kernels.unroll import GatedKernel, Kernel


def forward(drive: Tensor, h: Tensor, leak: float) -> State:
    """The next state."""
    return (h + leak * (tanh(drive) - h),)


def backward(drive: Tensor, h: Tensor, leak: float, dh: Tensor) -> State:
    """The gradients of the drive and of h."""
    written = leak * dh
    return written * tanh_slope(tanh(drive)), dh - written


class EchoState(PointwiseCell, GatedCell):
    """The echo state network: a fixed random tanh network with a trained readout.

    h_t = (1 - leak) h_{t-1} + leak tanh(W_ih x_t + b_ih + W_hh h_{t-1})

    A control that shows the benefit of training the recurrence. The spectral radius of W_hh sets its time scale: use
    `init: {name: scaled, radius: 0.95}`. PyTorch's default has a radius near 0.58: the network forgets in a few steps.

    Source: Jaeger 2001, GMD report 148; the leak as in Lukosevicius 2012. Deviation: the readout is trained by gradient
    descent, as for all cells, not by linear regression.
    """

    known_as: ClassVar[str] = "echo state"
    frozen: ClassVar[tuple[str, ...]] = ("weight_ih", "weight_hh", "bias_ih")

    pointwise: ClassVar[Pointwise] = Pointwise(forward, backward, constants=("leak",))

    leak: Annotated[float, Field(gt=0, le=1)] = 1.0

    @property
    @override
    def kernel(self) -> Kernel | None:
        return GatedKernel("elman", "tanh") if self.leak == 1 else super().kernel

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """One weight matrix for the input, one for the state, and one bias."""
        return {"weight_ih": (hidden, inputs), "weight_hh": (hidden, hidden), "bias_ih": (hidden,)}
