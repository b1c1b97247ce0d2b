"""How state spaces draw the time step of each unit or mode, and what a step of that length computes."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SHORTEST, LONGEST = 1e-3, 1e-1


def log_uniform(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """ln of random time steps between 0.001 and 0.1, uniform in the logarithm (Gu, Goel and Re 2022, 2111.00396)."""
    return rng.uniform(math.log(SHORTEST), math.log(LONGEST), size=size)


def softplus_inverse(step: NDArray[np.float64]) -> NDArray[np.float64]:
    """The number whose softplus is a time step above 0."""
    return step + np.log(-np.expm1(-step))


def zero_order_hold(re: Tensor, im: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Real and imaginary parts of a = exp(step * (re + i im)) and of b = (a - 1) / (re + i im).

    h_t = a h_{t-1} + b x_t is the solution of h' = (re + i im) h + x after one step of constant x. In real numbers,
    because the rounding of torch's complex products depends on the position in the tensor.
    """
    exponent, angle = re * step, im * step
    radius, sine = torch.exp(exponent), torch.sin(angle)
    a_re, a_im = radius * torch.cos(angle), radius * sine
    less = torch.expm1(exponent) * torch.cos(angle) - 2 * torch.sin(angle / 2) ** 2  # a_re - 1 without cancellation
    square = re * re + im * im
    return a_re, a_im, (less * re + a_im * im) / square, (a_im * re - less * im) / square
