"""Named arrays and a text as bytes in safetensors' format: reading runs nothing and trusts nothing."""

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
    """Arrays and a text in one piece, with a digest of both."""
    told = {**{name: np.ascontiguousarray(array) for name, array in arrays.items()}, TEXT: _bytes(text.encode())}
    return bytes(save({**told, DIGEST: _digest(told)}))


def unpacked(data: bytes) -> tuple[Arrays, str]:
    """What `packed` was given.

    Raises:
        ValueError: the bytes are not what `packed` made: cut short, changed, or something else.
    """
    try:
        told: Arrays = load(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is cut short, or not in the format of safetensors ({error})") from None
    digest = told.pop(DIGEST, None)
    if digest is None or TEXT not in told:
        raise ValueError("it is in the format of safetensors, but not ours")
    if not np.array_equal(digest, _digest(told)):
        raise ValueError("its digest is another: it was changed")
    return {name: array.copy() for name, array in told.items() if name != TEXT}, told[TEXT].tobytes().decode()


def _digest(told: Arrays) -> npt.NDArray[np.uint8]:
    return _bytes(hashlib.sha256(save(told)).digest())


def _bytes(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)
