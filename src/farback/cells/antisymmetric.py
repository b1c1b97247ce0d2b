"""The antisymmetric network."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Array, Parameters
from farback.cells.support.skew import SkewCell


class Antisymmetric(SkewCell):
    """A residual network whose linear part neither grows nor shrinks: Euler steps of a stable differential equation.

    h_t = h_{t-1} + epsilon tanh((W - W' - gamma I) h_{t-1} + W_ih x_t + b_ih)

    W is strictly upper triangular, its H (H - 1) / 2 entries the parameter `skew`; they are drawn from N(0, 1 / H), and
    no initialisation changes them.

    Source: Chang, Chen, Haber and Chi 2019 (1902.09689); W and its draw as there, where epsilon is one of 0.01, 0.1 and
    1, and the standard deviation 1 / sqrt(H) times one of 0, 1, 2, 4, 8 and 16. No deviation; their gated form is not
    included.
    """

    epsilon: Annotated[float, Field(gt=0, le=10)] = 0.1
    gamma: Annotated[float, Field(ge=0, le=10)] = 0.01

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Normal with variance 1 / H."""
        return {"skew": rng.standard_normal(hidden * (hidden - 1) // 2) * hidden**-0.5}

    def matrix(self, skew_RHH: Tensor) -> Tensor:
        """W - W' - gamma I."""
        return skew_RHH - self.gamma * torch.eye(skew_RHH.shape[-1], dtype=skew_RHH.dtype, device=skew_RHH.device)

    @override
    def next_state(self, p: Parameters, h_RBH: Tensor, drive_RBH: Tensor) -> Tensor:
        return h_RBH + self.epsilon * torch.tanh(drive_RBH)
