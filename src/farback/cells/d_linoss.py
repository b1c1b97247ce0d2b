"""The damped linear oscillatory state space."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from farback.cells.base import Array, Parameters, sigmoid
from farback.cells.support.oscillators import OscillatorCell

SMALLEST = 1e-6  # of dt^2 in the limits of A, as in their code


class DLinOSS(OscillatorCell):
    """The damped linear oscillatory state space: H complex oscillators, each with a learned damping.

    z_t = (z_{t-1} - dt A x_{t-1} + dt B u_t) / (1 + dt G), G = max(damping, 0), dt = sigmoid(step)
    x_t = x_{t-1} + dt z_t
    y_t = Re(C x_t) + D u_t

    A is `stiffness`, limited to (2 + dt G +- 2 sqrt(1 + dt G)) / dt^2: between these the two eigenvalues of an
    oscillator are a complex pair of modulus 1 / sqrt(1 + dt G), so that no value of the parameters is unstable. z and x
    are complex, so the state has 4H numbers; the layer above sees y, H real numbers. The rows of `weight_ih` are Re B,
    Im B and D; C is `weight_re` + i `weight_im`. Whatever the initialisation, damping and stiffness are drawn such that
    the eigenvalues are uniform over the ring between the radii `inner` and `outer`, and step is normal with standard
    deviation 1/2.

    Source: Boyer, Rusch and Rus 2025 (2505.12171), with the ring of radii 0.9 to 1 of its code, DampedIMEX1Layer of
    jaredbmit/damped-linoss; only copies of that code were read. Deviations: the initialisation draws B, C and D; D is a
    full matrix, since inputs and units may differ in number; the published block (norm, GELU, gated linear unit, skip
    connection) is not part of the cell, so that a stack of them is linear.
    """

    known_as: ClassVar[str] = "D-LinOSS"

    inner: Annotated[float, Field(gt=0, le=1)] = 0.9
    outer: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _ring_is_not_empty(self) -> DLinOSS:
        if self.inner >= self.outer:
            raise ValueError(f"inner is {self.inner:g}, and must be less than outer, {self.outer:g}")
        return self

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Those of all oscillators, and stiffness, damping and step of each."""
        own: dict[str, tuple[int, ...]] = dict.fromkeys(("stiffness", "damping", "step"), (hidden,))
        return super().parameters(inputs, hidden) | own

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Stiffness and damping of random eigenvalues on the ring, and random steps."""
        square, angle = rng.uniform(self.inner**2, self.outer**2, hidden), rng.uniform(0, math.pi, hidden)
        step = 0.5 * rng.standard_normal(hidden)
        dt = 1 / (1 + np.exp(-step))
        # The eigenvalues' product is 1 / (1 + dt G), and their sum is 1 + (1 - dt^2 A) / (1 + dt G)
        stiffness = (1 + square - 2 * np.sqrt(square) * np.cos(angle)) / (dt**2 * square)
        return {"stiffness": stiffness, "damping": (1 / square - 1) / dt, "step": step}

    def constants(self, p: Parameters) -> tuple[Tensor, Tensor, Tensor]:
        """A within its limits, G and dt."""
        dt, G = sigmoid(p["step"]), torch.relu(p["damping"])
        square, middle, width = torch.clamp(dt * dt, min=SMALLEST), 2 + dt * G, 2 * torch.sqrt(1 + dt * G)
        low, high = (middle - width) / square, (middle + width) / square
        A = low + torch.relu(p["stiffness"] - low) - torch.relu(p["stiffness"] - high)
        return A, G, dt
