# mypy: allow-untyped-defs, allow-untyped-calls
"""The nonlinearities of the elman kernel; each is compiled into its own kernel."""

import math
from typing import Any, NamedTuple

from farback.kernels.fast_math import like, sigmoid, tanh
from farback.kernels.jit import inlined


class Nonlinearity(NamedTuple):
    """A nonlinearity y = value(x), with slope(x, y) = dy/dx.

    Attributes:
        value: compiled function of x.
        slope: compiled function of x and y.
        of_output: whether the slope needs only y, so that the forward pass need not keep x.
    """

    value: Any
    slope: Any
    of_output: bool


@inlined
def _normal_cdf(x):
    return like(x, 0.5) * math.erfc(-x * like(x, math.sqrt(0.5)))


def _gelu_slope(x, y):
    density = like(x, 1 / math.sqrt(2 * math.pi)) * math.exp(like(x, -0.5) * x * x)
    return _normal_cdf(x) + x * density


def _softsign_slope(x, y):
    rest = like(y, 1) - abs(y)  # = 1 / (1 + |x|)
    return rest * rest


def _nonlinearity(value: Any, slope: Any, of_output: bool = True) -> Nonlinearity:
    return Nonlinearity(inlined(value), inlined(slope), of_output)


NONLINEARITIES = {
    "tanh": Nonlinearity(tanh, inlined(lambda x, y: like(y, 1) - y * y), of_output=True),
    "relu": _nonlinearity(
        lambda x: like(x, 0) if x < like(x, 0) else x,  # in this order NaN is kept
        lambda x, y: like(y, 1) if y > like(y, 0) else like(y, 0),
    ),
    "sigmoid": Nonlinearity(sigmoid, inlined(lambda x, y: y * (like(y, 1) - y)), of_output=True),
    "identity": _nonlinearity(lambda x: x, lambda x, y: like(y, 1)),
    "leaky_relu": _nonlinearity(
        lambda x: x if x > like(x, 0) else x * like(x, 0.01),
        lambda x, y: like(y, 1) if y > like(y, 0) else like(y, 0.01),
    ),
    "softsign": _nonlinearity(lambda x: x / (like(x, 1) + abs(x)), _softsign_slope),
    "gelu": _nonlinearity(lambda x: x * _normal_cdf(x), _gelu_slope, of_output=False),
    "sin": _nonlinearity(lambda x: math.sin(x), lambda x, y: math.cos(x), of_output=False),
}
