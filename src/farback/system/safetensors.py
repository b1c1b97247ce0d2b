"""Converts named arrays and a text to bytes (safetensors) and back; reading checks a digest and runs no code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

Arrays = dict[str, npt.NDArray[np.generic]]

TEXT, DIGEST = "__text__", "__sha256__"


def packed(arrays: Mapping[str, npt.NDArray[np.generic]], text: str) -> bytes:
    """Arrays and a text as bytes, with a digest of both."""
    tensors = {**{name: np.ascontiguousarray(array) for name, array in arrays.items()}, TEXT: _bytes(text.encode())}
    return bytes(save({**tensors, DIGEST: _digest(tensors)}))


def unpacked(data: bytes) -> tuple[Arrays, str]:
    """The arrays and the text in bytes that `packed` returned.

    Raises:
        ValueError: the bytes are truncated or changed, or `packed` did not write them.
    """
    try:
        tensors: Arrays = load(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the data is truncated, or not in the format of safetensors ({error})") from None
    digest = tensors.pop(DIGEST, None)
    if digest is None or TEXT not in tensors:
        raise ValueError("the data is in the format of safetensors, but farback did not write it")
    if not np.array_equal(digest, _digest(tensors)):
        raise ValueError("the data was changed: its digest does not match")
    return {name: array.copy() for name, array in tensors.items() if name != TEXT}, tensors[TEXT].tobytes().decode()


def _digest(tensors: Arrays) -> npt.NDArray[np.uint8]:
    return _bytes(hashlib.sha256(save(tensors)).digest())


def _bytes(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)
