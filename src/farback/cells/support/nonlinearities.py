"""Nonlinearities of cells computed step by step. They round in the same way at every position of a tensor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from farback.cells.base import Array, State, sigmoid
from farback.kernels.pointwise import Pointwise, like, relu, sign, where


def _leaky_relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, x * 0.01)


def _gelu(x: Tensor) -> Tensor:
    """x Phi(x). Unlike `torch.nn.functional.gelu`, it rounds the last elements of a tensor like the others."""
    return x * 0.5 * torch.erfc(x * -(0.5**0.5))


def _softsign(x: Tensor) -> Tensor:
    return x / (x.abs() + 1)


NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": sigmoid,
    "identity": Tensor.clone,
    "leaky_relu": _leaky_relu,
    "gelu": _gelu,
    "softsign": _softsign,
    "sin": torch.sin,
}


def modrelu(x: Tensor, h: Tensor, offset: Tensor) -> State:
    """The next state sign(x) max(|x| + b, 0), with an offset b for each unit."""
    return (sign(x) * relu(abs(x) + offset),)


def modrelu_backward(x: Tensor, h: Tensor, offset: Tensor, dh: Tensor) -> State:
    """The gradients of x, h and the offset."""
    side, zero = sign(x), like(x, 0)
    doffset = where(abs(x) + offset > zero, dh * side, zero)
    return doffset * side, zero, doffset


MODRELU = Pointwise(modrelu, modrelu_backward, units=("offset",))


def small_offsets(hidden: int, rng: np.random.Generator) -> Array:
    """Offsets of modrelu as the code of Lezcano-Casado and Martinez-Rubio 2019 draws them: uniform on +-0.01."""
    return rng.uniform(-0.01, 0.01, size=hidden)
