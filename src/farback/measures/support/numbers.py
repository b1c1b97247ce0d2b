"""Numbers as callers have them: lists, NumPy arrays and scalars, data frames, tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farback.measures.base import Floats


def array(values: Any) -> NDArray[Any]:
    """An array of the values. Raises ValueError: they have no common shape."""
    if isinstance(values, list | tuple) and any(isinstance(value, Tensor) for value in values):
        values = [array(value) for value in values]
    if isinstance(values, Tensor):
        values = values.detach().cpu().resolve_conj().resolve_neg()
        return np.asarray((values.float() if values.dtype == torch.bfloat16 else values).numpy())
    return np.asarray(values)


def real(name: str, values: Any) -> Floats:
    """A new float64 array of the values. Raises ValueError: complex values, or something other than numbers."""
    try:
        own = array(values)
        if own.dtype.kind in "biufO":
            return np.array(own, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers; got {type(values).__name__}: {error}") from error
    if own.dtype.kind == "c":
        raise ValueError(f"{name} must be real, got {own.dtype}: pass real and imaginary parts as separate numbers")
    raise ValueError(f"{name} must be numbers; got {own.dtype}")


def require_finite(name: str, values: Floats) -> None:
    """Raise ValueError if a value is not finite; the message says where the first is."""
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        index = tuple(wrong[0].tolist())
        raise ValueError(f"{name} must be finite; {len(wrong)} values are not, the first is {values[index]} at {index}")


def sequences(inputs: Any) -> Tensor:
    """Inputs (T, I) or (B, T, I), such as a tensor, array or data frame, as a new double-precision (B, T, I).

    Raises:
        ValueError: another shape, an empty one, or values that are not finite real numbers.
    """
    x = real("inputs", inputs)
    if x.ndim not in (2, 3) or 0 in x.shape:
        raise ValueError(f"inputs must be (T, I) or (B, T, I), steps by inputs, not empty; got {tuple(x.shape)}")
    require_finite("inputs", x)
    return torch.from_numpy(x if x.ndim == 3 else x[None])


def whole(name: str, value: Any) -> int:
    """A whole number as an int. Raises ValueError: it is something else."""
    numbers = whole_numbers(name, value)
    if len(numbers) != 1:
        raise ValueError(f"{name} must be one whole number, got {value!r}")
    return numbers[0]


def whole_numbers(name: str, values: Any) -> list[int]:
    """Whole numbers as a list of ints: a single number, or a list, range, array, series or tensor of numbers.

    Raises:
        ValueError: numbers that are not whole, or something other than a list of numbers.
    """
    iterates = hasattr(values, "__iter__") and not hasattr(values, "__getitem__")  # a set, or a generator
    own = real(name, list(values) if iterates else values)
    if own.ndim > 1 or not np.array_equal(own, np.floor(own)) or np.isinf(own).any():
        raise ValueError(f"{name} must be whole numbers, got {values!r}")
    return [int(value) for value in own.ravel()]


def scaled(values: Floats) -> Floats:
    """The values times a power of two, so that the largest lies between 1/2 and 1: squares neither overflow nor vanish.

    All digits are kept. Values that are not all finite stay unchanged.
    """
    largest = float(np.abs(values).max(initial=0.0))
    return np.ldexp(values, -math.frexp(largest)[1]) if math.isfinite(largest) else values
