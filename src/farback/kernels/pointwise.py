"""One step of a recurrence as functions of the numbers of one unit, which the kernels compile, forward and backward.

A step has the form of FlashRNN (Poeppel, Beck and Hochreiter 2024, 2412.07752; known from its abstract): the gates are
W s + x + b, with the states s before the step and the contributions x of the inputs. The states after the step are
functions of the gates and of the states of the same unit.

The functions of a step are written once, for tensors; kernels compile them for numbers. So they may use arithmetic,
`abs`, the functions of this module, and other functions of the same kind. A constant comes from `like`: a plain number
in float32 code gives the same result, but is computed in float64, which is slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Step = Callable[..., tuple[Any, ...]]


class Between(NamedTuple):
    """A second product in a step: a vector computed from the first gates is multiplied by a second matrix.

    Attributes:
        gates: how many gates, counted from the first, are complete before the second product.
        forward: function of these gates, the states, the units' parameters and the constants; returns the vector that
            the second matrix multiplies, in a tuple.
        backward: function of the same and of the gradient of the vector; returns the gradients of these gates, the
            states and the units' parameters.
    """

    gates: int
    forward: Step
    backward: Step


class Pointwise(NamedTuple):
    """A step without its matrix products. Every function returns a tuple.

    Attributes:
        forward: function of the gates, the states before, the units' parameters and the constants, in this order, one
            argument for each; returns the states after.
        backward: function of the same and of the gradients of the states after; returns the gradients of the gates,
            the states before and the units' parameters.
        units: names of parameters that have one number for each unit.
        constants: names of fields of the cell.
        between: the second product, if there is one.
    """

    forward: Step
    backward: Step
    units: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    between: Between | None = None


def like(x: Tensor, constant: float) -> Any:
    """A constant; a kernel computes it in the precision of x."""
    return constant


def where(condition: Tensor, x: Tensor | float, y: Tensor | float) -> Tensor:
    """x where the condition holds, y elsewhere."""
    return torch.where(condition, x, y)


def maximum(x: Tensor, y: Tensor) -> Tensor:
    """The larger number."""
    return torch.maximum(x, y)


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1."""
    return x.sign()


def relu(x: Tensor) -> Tensor:
    """x where it is positive, 0 elsewhere."""
    return torch.relu(x)


def exp(x: Tensor) -> Tensor:
    """The exponential function. A kernel gives 0 below the smallest normal number, and infinity in the last half octave
    before the largest."""
    return torch.exp(x)


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return torch.tanh(x)


def sigmoid(x: Tensor) -> Tensor:
    """The logistic function, computed with tanh: `torch.sigmoid` rounds the last few elements of a tensor differently,
    so that a replica's numbers would depend on its position among the replicas."""
    return torch.tanh(x * 0.5) * 0.5 + 0.5


def log_sigmoid(x: Tensor) -> Tensor:
    """The logarithm of the logistic function, finite for every finite x.

    Unlike torch's own, it uses functions whose rounding does not depend on the position in the tensor. Its slope at
    exactly 0 is 1/2. A formula with |x| would give 0 or 1, because torch takes the slope of |x| at 0 to be 0.
    """
    negative = x < 0
    return torch.where(negative, x, 0.0) - torch.log1p(torch.exp(torch.where(negative, x, -x)))


def tanh_slope(y: Tensor) -> Tensor:
    """The slope of y = tanh(x)."""
    return 1 - y * y


def sigmoid_slope(y: Tensor) -> Tensor:
    """The slope of y = sigmoid(x)."""
    return y * (1 - y)
