# mypy: allow-untyped-defs, allow-untyped-calls
"""The nonlinearities of the elman kernel: each a value and a slope, compiled into a kernel of its own."""

import math
from typing import Any, NamedTuple

from farback.kernels.fast_math import like, sigmoid, tanh
from farback.kernels.jit import inlined


class Nonlinearity(NamedTuple):
    """One nonlinearity y = value(x), with slope(x, y) = dy/dx."""

    value: Any
    slope: Any
    of_output: bool
    """The slope needs y alone, so that the forward pass need not keep x (then `slope` is called with y twice)."""


@inlined
def _one_minus_square(x, y):
    return like(y, 1) - y * y


@inlined
def _logistic_slope(x, y):
    return y * (like(y, 1) - y)


@inlined
def _relu(x):
    return like(x, 0) if x < like(x, 0) else x  # in this order NaN passes


@inlined
def _relu_slope(x, y):
    return like(y, 1) if y > like(y, 0) else like(y, 0)


@inlined
def _identity(x):
    return x


@inlined
def _identity_slope(x, y):
    return like(y, 1)


@inlined
def _leaky_relu(x):
    return x if x > like(x, 0) else x * like(x, 0.01)


@inlined
def _leaky_relu_slope(x, y):
    return like(y, 1) if y > like(y, 0) else like(y, 0.01)


@inlined
def _softsign(x):
    return x / (like(x, 1) + abs(x))


@inlined
def _softsign_slope(x, y):
    rest = like(y, 1) - abs(y)  # = 1 / (1 + |x|)
    return rest * rest


@inlined
def _normal_cdf(x):
    return like(x, 0.5) * math.erfc(-x * like(x, math.sqrt(0.5)))


@inlined
def _gelu(x):
    return x * _normal_cdf(x)


@inlined
def _gelu_slope(x, y):
    density = like(x, 1 / math.sqrt(2 * math.pi)) * math.exp(like(x, -0.5) * x * x)
    return _normal_cdf(x) + x * density


@inlined
def _sin(x):
    return math.sin(x)


@inlined
def _sin_slope(x, y):
    return math.cos(x)


NONLINEARITIES = {
    "tanh": Nonlinearity(tanh, _one_minus_square, of_output=True),
    "relu": Nonlinearity(_relu, _relu_slope, of_output=True),
    "sigmoid": Nonlinearity(sigmoid, _logistic_slope, of_output=True),
    "identity": Nonlinearity(_identity, _identity_slope, of_output=True),
    "leaky_relu": Nonlinearity(_leaky_relu, _leaky_relu_slope, of_output=True),
    "softsign": Nonlinearity(_softsign, _softsign_slope, of_output=True),
    "gelu": Nonlinearity(_gelu, _gelu_slope, of_output=False),
    "sin": Nonlinearity(_sin, _sin_slope, of_output=False),
}
