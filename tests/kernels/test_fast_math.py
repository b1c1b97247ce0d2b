"""tanh, sigmoid, exp and log_sigmoid against extended precision, over the whole range of their formats."""

import numpy as np
import pytest
from numba import njit

from farback.kernels import fast_math

MOST_ULP = {"tanh": 3, "sigmoid": 3, "exp": 3, "log_sigmoid": 4}


def mapped(function):
    @njit(fastmath={"contract"}, error_model="numpy")
    def over(x, y):
        for n in range(x.size):
            y[n] = function(x[n])

    return over


NAMES = ["tanh", "sigmoid", "exp", "log_sigmoid"]
LOOPS = {name: mapped(getattr(fast_math, name)) for name in NAMES}


def values(name, x):
    y = np.empty_like(x)
    LOOPS[name](x, y)
    return y


def points(dtype):
    """Numbers dense around 0, over the range where the functions change, and of every magnitude down to denormals."""
    information = np.finfo(dtype)
    magnitudes = np.logspace(
        np.log10(float(information.smallest_subnormal)), np.log10(float(information.max)) - 1, 100_001
    )
    span = 720 if dtype is np.float64 else 95
    with np.errstate(over="ignore"):
        return np.concatenate(
            [np.linspace(-1, 1, 200_001), np.linspace(-span, span, 200_001), magnitudes, -magnitudes]
        ).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_the_error_is_a_few_ulp(name, dtype):
    x = points(dtype)
    wide = x.astype(np.longdouble)
    functions = {
        "tanh": np.tanh,
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "exp": np.exp,
        "log_sigmoid": lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    }
    with np.errstate(over="ignore", under="ignore"):
        truth = functions[name](wide)
    tiny, largest = np.finfo(dtype).tiny, np.finfo(dtype).max * (0.7 if name == "exp" else 1)  # 2^127.5 of 2^128
    x, truth = x[np.abs(truth) < largest], truth[np.abs(truth) < largest]
    ulp = np.spacing(np.maximum(np.abs(truth), tiny).astype(dtype)).astype(np.longdouble)
    error = np.abs(values(name, x).astype(np.longdouble) - truth)
    if name != "tanh":  # the stated deviation: results below the smallest normal number may be 0
        small = np.abs(truth) < 1.5 * tiny
        assert (error[small] <= 1.5 * tiny).all()
        error[small] = 0
    assert (error / ulp).max() <= MOST_ULP[name]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limits_and_nan(dtype):
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0], dtype)
    np.testing.assert_array_equal(values("tanh", x), np.array([1, -1, np.nan, 0, 0], dtype))
    np.testing.assert_array_equal(values("sigmoid", x), np.array([1, 0, np.nan, 0.5, 0.5], dtype))
    np.testing.assert_array_equal(values("exp", x), np.array([np.inf, 0, np.nan, 1, 1], dtype))
    np.testing.assert_array_equal(values("log_sigmoid", x[:3]), np.array([0, -np.inf, np.nan], dtype))
    assert np.signbit(values("tanh", x)).tolist()[3:] == [False, True]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_is_odd(dtype):
    x = points(dtype)
    np.testing.assert_array_equal(values("tanh", -x), -values("tanh", x))


@pytest.mark.parametrize("name", NAMES)
def test_a_value_does_not_depend_on_its_place(name):
    """Whole vectors and the rest of an array give the same numbers, so no result depends on the batch size."""
    x = np.random.default_rng(0).normal(0, 3, 257).astype(np.float32)
    whole = values(name, x)
    for start in (1, 7, 100, 250):
        np.testing.assert_array_equal(values(name, x[start:].copy()), whole[start:])
