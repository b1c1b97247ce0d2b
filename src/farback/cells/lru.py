"""The linear recurrent unit."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from farback.cells.base import Array, DiagonalCell, Parameters, State, linear
from farback.kernels.unroll import DiagonalKernel, Kernel

Fraction = Annotated[float, Field(ge=0, le=1)]


class LRU(DiagonalCell):
    """The linear recurrent unit: a complex diagonal recurrence that is stable for all values of its parameters.

    h_t = lambda * h_{t-1} + exp(gamma) * (B x_t), lambda = exp(-exp(nu) + i exp(theta))
    y_t = Re(C h_t) + D x_t

    h has H complex entries, so the state has 2H numbers; the layer above sees y, H real numbers. The rows of
    `weight_ih` are Re B, Im B and D; C is `weight_re` + i `weight_im`. Whatever the initialisation, lambda is drawn as
    published: uniformly from the ring between the radii `inner` and `outer`, with angles up to `angle`. Then gamma is
    ln sqrt(1 - |lambda|^2), so that for white noise inputs the state has the variance of B x_t.

    Source: Orvieto et al. 2023 (2303.06349), and the code in its appendix. Deviations: the initialisation draws B, C
    and D; D is a full matrix, since inputs and units may differ in number; the published block around the unit
    (normalisation, gated linear unit, skip connection) is not part of the cell, so that a stack of LRUs is linear.
    """

    known_as: ClassVar[str] = "LRU"
    kernel: ClassVar[Kernel] = DiagonalKernel(is_complex=True)
    state_parts: ClassVar[int] = 2  # real and imaginary part
    gates: ClassVar[tuple[str, ...]] = ("re", "im", "skip")

    inner: Fraction = 0.0
    outer: Fraction = 1.0
    angle: Annotated[float, Field(gt=0, le=2 * math.pi)] = 2 * math.pi

    @model_validator(mode="after")
    def _ring_is_not_empty(self) -> LRU:
        if self.inner >= self.outer:
            raise ValueError(f"inner is {self.inner:g}, and must be less than outer, {self.outer:g}")
        return self

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih` for B and D, two weights for C; `nu`, `theta` and `gamma` for the recurrence."""
        square = (hidden, hidden)
        diagonal: dict[str, tuple[int, ...]] = dict.fromkeys(("nu", "theta", "gamma"), (hidden,))
        return {"weight_ih": (3 * hidden, inputs), "weight_re": square, "weight_im": square, **diagonal}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Random eigenvalues lambda on the ring, and the gamma that normalises each."""
        square = rng.uniform(self.inner**2, self.outer**2, size=hidden)  # |lambda|^2: uniform over the area
        return {
            "nu": np.log(-0.5 * np.log(square)),
            "theta": np.log(self.angle * rng.random(hidden)),
            "gamma": 0.5 * np.log1p(-square),
        }

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds twelve operations per unit for exp(gamma) and lambda."""
        return super().flops(inputs, hidden) + 12 * hidden

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """Re B x, Im B x and D x."""
        return linear(x_RTBI, p["weight_ih"], None)

    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        """lambda and exp(gamma) B x."""
        radius, angle, scale = torch.exp(-torch.exp(p["nu"])), torch.exp(p["theta"]), torch.exp(p["gamma"])
        lambda_R11H = torch.complex(radius * torch.cos(angle), radius * torch.sin(angle))[:, None, None]
        re, im, _ = gates_RTBG.chunk(3, -1)
        b_RTBH = torch.complex(re * scale[:, None, None], im * scale[:, None, None])
        return lambda_R11H.expand_as(b_RTBH), b_RTBH

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln |lambda| at every step."""
        return -torch.exp(p["nu"]).unsqueeze(1).expand_as(state[0])

    def outputs(self, p: Parameters, gates_RTBG: Tensor, h_RTBH: Tensor) -> Tensor:
        """Re(C h) + D x."""
        skip = gates_RTBG.chunk(3, -1)[2]
        return linear(h_RTBH.real, p["weight_re"], None) - linear(h_RTBH.imag, p["weight_im"], None) + skip
