"""The real-gated linear recurrent unit of Hawk and Griffin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from farback.cells.base import Array, DiagonalCell, Parameters, State, linear, log_sigmoid, sigmoid

SHARPNESS = 8.0  # the constant c of the paper
SMALLEST = 1e-12  # of 1 - a^2, so that the slope of its square root is finite


class RGLRU(DiagonalCell):
    """The real-gated linear recurrent unit: a real diagonal recurrence whose decay depends on the input.

    v = W_ih x_t + b_ih
    r, i = sigmoid(W_g v + b_g), each with its own rows of W_g and b_g
    a = exp(-8 r softplus(lambda))
    h_t = a * h_{t-1} + sqrt(1 - a^2) * (i * v)

    Gate order r, i. Whatever the initialisation, lambda is drawn as published: exp(-softplus(lambda)), the decay of
    one step at r = 1/8, squared, is uniform between 0.9^2 and 0.999^2.

    Source: De et al. 2024 (2402.19427), and google-deepmind/recurrentgemma, torch/layers.py. Deviations: the gates have
    full matrices, theirs are block-diagonal; the initialisation draws the weights and biases; the square root is taken
    at the first step of a sequence too, where theirs writes i * v; the published block (norm, convolution, gate, MLP)
    is not part of the cell. Its linear layer before the unit is: v.
    """

    known_as: ClassVar[str] = "RG-LRU"
    gates: ClassVar[tuple[str, ...]] = ("v",)
    published_block: ClassVar[Mapping[str, object]] = {
        "norm": "rms", "residual": True, "conv": 4, "gate": "silu", "mlp": 2,
    }  # fmt: skip

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Weights and biases of v and of both gates, and `decay` for lambda."""
        gates: dict[str, tuple[int, ...]] = {"weight_gates": (2 * hidden, hidden), "bias_gates": (2 * hidden,)}
        return super().parameters(inputs, hidden) | gates | {"decay": (hidden,)}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """The lambda of random decays between 0.9 and 0.999."""
        square = rng.uniform(0.9**2, 0.999**2, size=hidden)
        return {"decay": np.log(np.expm1(-0.5 * np.log(square)))}

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds two for lambda of each unit."""
        return super().flops(inputs, hidden) + 2 * hidden

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """v and the gates before their sigmoid."""
        v_RTBH = super().project(p, x_RTBI)
        return torch.cat([v_RTBH, linear(v_RTBH, p["weight_gates"], p.get("bias_gates"))], -1)

    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        """a and sqrt(1 - a^2) i v."""
        v, _, i = gates_RTBG.chunk(3, -1)
        log_a = self._log_decay(p["decay"][:, None, None], gates_RTBG)
        scale = torch.sqrt(torch.clamp(-torch.expm1(2 * log_a), min=SMALLEST))
        return torch.exp(log_a), scale * (sigmoid(i) * v)

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln a."""
        return self._log_decay(p["decay"][:, None], gates_RBG)

    @staticmethod
    def _log_decay(decay: Tensor, gates: Tensor) -> Tensor:
        return SHARPNESS * sigmoid(gates.chunk(3, -1)[1]) * log_sigmoid(-decay)  # -softplus(x) = ln sigmoid(-x)
