"""The linear oscillatory state space."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor

from farback.cells.base import Array, Parameters, sigmoid
from farback.cells.support.oscillators import OscillatorCell
from farback.records.record import Since


class LinOSS(OscillatorCell):
    """The linear oscillatory state space: H complex oscillators without damping.

    z_t = z_{t-1} - dt A x_{t-1} + dt B u_t, A = max(stiffness, 0), dt = sigmoid(step)
    x_t = x_{t-1} + dt z_t
    y_t = Re(C x_t) + D u_t

    While dt^2 A < 4, all eigenvalues of the recurrence have modulus 1: nothing decays. Beyond that it grows without
    bound, and nothing prevents that training goes there; it starts far below. With `implicit` the first equation has
    x_t in place of x_{t-1} (LinOSS-IM); all eigenvalues then have the modulus 1 / sqrt(1 + dt^2 A). z and x are
    complex, so the state has 4H numbers; the layer above sees y, H real numbers. The rows of `weight_ih` are Re B, Im B
    and D; C is `weight_re` + i `weight_im`. Whatever the initialisation, stiffness and step are drawn as published,
    uniformly from [0, 1].

    Source: Rusch and Rus 2025 (2410.03943), LinOSS-IMEX and LinOSS-IM, read as its code, tk-rusch/linoss,
    models/LinOSS.py. Deviations: the initialisation draws B, C and D; D is a full matrix, since inputs and units may
    differ in number; the published block (norm, GELU, gated linear unit, skip connection) is not part of the cell, so
    that a stack of them is linear.
    """

    known_as: ClassVar[str] = "LinOSS"

    implicit: Annotated[bool, Since("0.2")] = False

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Those of all oscillators, and stiffness and step of each."""
        return super().parameters(inputs, hidden) | {"stiffness": (hidden,), "step": (hidden,)}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Uniform stiffness and step."""
        return {"stiffness": rng.random(hidden), "step": rng.random(hidden)}

    def constants(self, p: Parameters) -> tuple[Tensor, Tensor, Tensor]:
        """A, the damping, and dt. The implicit step, solved for z, is the other one with a damping of dt A."""
        A_RH, dt_RH = torch.relu(p["stiffness"]), sigmoid(p["step"])
        return A_RH, dt_RH * A_RH if self.implicit else torch.zeros_like(A_RH), dt_RH
