"""The bistable memory recurrent unit."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from farback.cells.base import Array, DiagonalCell, Parameters, State


class BMRU(DiagonalCell):
    """The bistable memory recurrent unit: each unit holds one of two values until an input exceeds a threshold.

    c = W_ih x_t + b_ih
    z = 1 where |c| > |beta|, else 0
    h_t = (1 - z) * h_{t-1} + z * alpha sign(c)

    Between two writes h does not change by a single bit. alpha and beta are one number for each unit. alpha starts at
    1, and beta at 1 / (2 sqrt(H)), which c exceeds about every second time with the initialisation `torch` and inputs
    of size 1: a unit that is never written learns little. The steps of z and sign have no useful derivative: training
    takes the derivative of z with respect to u = |c| - |beta| as 1 / (1 + (pi u)^2), and that of the step in sign(c),
    from -1 to 1, as 2 / (1 + (pi c)^2).

    Source: De Geeter, Lambrechts, Ernst and Drion 2026 (2601.09495). Only its abstract could be read, with the
    recurrence as others state it; so these are ours, and may differ from theirs: alpha and beta that do not depend on
    the input, their initial values, and the derivatives that training uses (after Fang et al. 2021, 2007.05785).
    """

    known_as: ClassVar[str] = "BMRU"
    gates: ClassVar[tuple[str, ...]] = ("c",)
    surrogate_gradient: ClassVar[bool] = True

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """A weight and a bias for c, and the values and thresholds of the units."""
        return super().parameters(inputs, hidden) | {"alpha": (hidden,), "beta": (hidden,)}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Values of 1, and thresholds of half of the bound of PyTorch's default."""
        return {"alpha": np.ones(hidden), "beta": np.full(hidden, 0.5 * hidden**-0.5)}

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds two for alpha of each unit."""
        return super().flops(inputs, hidden) + 2 * hidden

    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        """1 - z and z alpha sign(c)."""
        over = gates_RTBG.abs() - p["beta"].abs()[:, None, None]
        write = _step(over)
        value = 2 * _step(gates_RTBG) - 1
        return 1 - write, write * (p["alpha"][:, None, None] * value)

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln (1 - z): 0 where a unit holds its value, minus infinity where it is written."""
        over = gates_RBG.abs() - p["beta"].abs()[:, None]
        return torch.where(over > 0, -torch.inf, 0.0).to(over.dtype)


def _step(x: Tensor) -> Tensor:
    stepped: Tensor = _Step.apply(x)  # type: ignore[no-untyped-call]
    return stepped


class _Step(torch.autograd.Function):
    """1 where x > 0, else 0, with a derivative for training."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        slope: Tensor = 1 / (1 + (torch.pi * x) ** 2)
        return grad * slope
