# mypy: allow-untyped-defs, allow-untyped-calls
"""tanh, the logistic sigmoid, exp and others as code without branches, which compiles to vector instructions.

tanh, sigmoid and exp use one reduction (Cody and Waite 1980): e^u = 2^n (1 + p) with n = round(u / ln 2) and
p = e^r - 1 for |r| <= ln(2) / 2, by Taylor's series.

The error, tested over the whole range, is at most 3 units in the last place (log_sigmoid: 4), in float32 and float64.
NaN gives NaN, infinities give the limits, and tanh is odd to the last bit. One deviation: results of the other
functions below the smallest normal number (a sigmoid at x < -87.3 in float32, x < -708.3 in float64) may be 0.
"""

import numpy as np
from numba import types
from numba.extending import overload

from farback.kernels.jit import inlined
from farback.kernels.llvm import power_of_two

f4, f8 = np.float32, np.float64


@inlined
def like(x, constant):
    """`constant` in the dtype of x: a plain number would promote float32 code to float64."""
    return type(x)(constant)


def exponential(u):
    """(2^n, p) with e^u = 2^n (1 + p), u in [-87, 89] (float32) or [-708, 710] (float64); at the top 2^n is inf."""
    raise NotImplementedError("compiled code only")


def _exponential_float32(u):
    magic = f4(1.5 * 2**23 + 127)  # adding it rounds, and leaves integer + exponent bias in the low bits
    shifted = u * f4(1.4426950408889634) + magic
    n = shifted - magic
    # ln 2 in two parts, the first with few enough bits for an exact product
    r = (u - n * f4(0.693359375)) - n * f4(-2.12194440e-4)
    q = f4(1 / 5040)
    q = q * r + f4(1 / 720)
    q = q * r + f4(1 / 120)
    q = q * r + f4(1 / 24)
    q = q * r + f4(1 / 6)
    q = q * r + f4(1 / 2)
    return power_of_two(shifted), r + (r * r) * q  # the remainder, r^8 / 8!, is below a quarter ulp of r


def _exponential_float64(u):
    magic = f8(1.5 * 2**52 + 1023)
    shifted = u * f8(1.4426950408889634) + magic
    n = shifted - magic
    r = (u - n * f8(6.93145751953125e-1)) - n * f8(1.42860682030941723212e-6)
    q = f8(1 / 6227020800)
    q = q * r + f8(1 / 479001600)
    q = q * r + f8(1 / 39916800)
    q = q * r + f8(1 / 3628800)
    q = q * r + f8(1 / 362880)
    q = q * r + f8(1 / 40320)
    q = q * r + f8(1 / 5040)
    q = q * r + f8(1 / 720)
    q = q * r + f8(1 / 120)
    q = q * r + f8(1 / 24)
    q = q * r + f8(1 / 6)
    q = q * r + f8(1 / 2)
    return power_of_two(shifted), r + (r * r) * q


@overload(exponential)
def _exponential(u):
    return {types.float32: _exponential_float32, types.float64: _exponential_float64}.get(u)


@inlined
def tanh(x):
    """Hyperbolic tangent: E / (E + 2) with E = e^(2|x|) - 1."""
    limit = like(x, 20)  # tanh rounds to 1 from 9.1 (float32) or 19.1 (float64) on
    y = abs(x)
    y = limit if y > limit else y  # in this order NaN is kept
    scale, p = exponential(y + y)
    e = scale * p + (scale - like(x, 1))
    return np.copysign(e / (e + like(x, 2)), x)


def _exponent_range(x):
    """The range of arguments of `exponential`, in the dtype of x."""
    raise NotImplementedError("compiled code only")


@overload(_exponent_range)
def _exponent_range_typed(x):
    low, high = (f4(-87), f4(89)) if x is types.float32 else (f8(-708), f8(710))
    return lambda x: (low, high)


@inlined
def sigmoid(x):
    """Logistic sigmoid 1 / (1 + e^-x), accurate relative to itself in both tails."""
    low, high = _exponent_range(x)
    u = -x
    u = high if u > high else u
    u = low if u < low else u
    scale, p = exponential(u)
    one = like(x, 1)
    return one / (one + scale * (one + p))


@inlined
def exp(x):
    """e^x; 0 below the smallest normal number, inf from 2^127.5 (float32) or 2^1023.5 (float64) on."""
    low, high = _exponent_range(x)
    u = high if x > high else x
    u = low if u < low else u
    scale, p = exponential(u)
    return like(x, 0) if x < low else scale * (like(x, 1) + p)


def _log1p(y):
    raise NotImplementedError("compiled code only")


def _log1p_of(terms):
    constants = tuple(1 / (2 * k + 1) for k in range(terms))

    def log1p(y):
        s = y / (like(y, 2) + y)
        square, q = s * s, like(y, constants[terms - 1])
        for k in range(terms - 1):
            q = q * square + like(y, constants[terms - 2 - k])
        return (s + s) * q

    return log1p


@overload(_log1p)
def _log1p_typed(y):
    return _log1p_of(8 if y is types.float32 else 17)  # the first omitted term is below a quarter ulp


@inlined
def log_sigmoid(x):
    """ln of the logistic sigmoid, min(x, 0) - ln(1 + e^-|x|), with the series of ln(1 + y) = 2 artanh(y / (2 + y))."""
    zero = like(x, 0)
    rest = _log1p(exp(-abs(x)))
    return (zero if x > zero else x) - rest


@inlined
def tanh_slope(y):
    """The slope of y = tanh(x)."""
    return like(y, 1) - y * y


@inlined
def sigmoid_slope(y):
    """The slope of y = sigmoid(x)."""
    return y * (like(y, 1) - y)


@inlined
def where(condition, x, y):
    """x if the condition holds, else y."""
    return x if condition else y


@inlined
def maximum(x, y):
    """The larger number; NaN if one is NaN."""
    larger = x if x > y else y
    return x if x != x else larger


@inlined
def sign(x):
    """-1, 0 or 1."""
    one, zero = like(x, 1), like(x, 0)
    positive = one if x > zero else zero
    return -one if x < zero else positive


@inlined
def relu(x):
    """x where it is positive, 0 elsewhere; in this order NaN is kept."""
    zero = like(x, 0)
    return zero if x < zero else x
