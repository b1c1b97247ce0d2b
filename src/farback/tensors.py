"""Named arrays and a text as bytes: the format of safetensors, of which a dozen lines are all that is needed.

Eight bytes with the length of a JSON header, the header (each array's type, shape and place; the text under
`__metadata__`), then the numbers. Reading runs nothing and trusts nothing: every length is checked, and a digest.
Source: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[np.generic]]

TYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "I32": "<i4", "BOOL": "|b1"}
NAMES = {np.dtype(code): name for name, code in TYPES.items()}


def packed(arrays: Mapping[str, npt.NDArray[np.generic]], text: str) -> bytes:
    """Arrays and a text in one piece."""
    places, parts, at = {}, [], 0
    for name, array in arrays.items():
        part = np.ascontiguousarray(array).tobytes()
        places[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [at, at + len(part)]}
        parts.append(part)
        at += len(part)
    said = {"text": text, "sha256": _digest(text, places, b"".join(parts))}
    header = json.dumps({"__metadata__": said, **places}).encode()
    header += b" " * (-len(header) % 8)  # the numbers are aligned
    return b"".join([len(header).to_bytes(8, "little"), header, *parts])


def unpacked(data: bytes) -> tuple[Arrays, str]:
    """What `packed` was given.

    Raises:
        ValueError: the bytes are not what `packed` made: cut short, changed, or something else.
    """
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        raise ValueError(f"it is cut short: {len(data)} bytes")
    try:
        places = json.loads(data[8 : 8 + size])
        said = places.pop("__metadata__")
        numbers = data[8 + size :]
        if said["sha256"] != _digest(said["text"], places, numbers):
            raise ValueError("its digest is another: it was changed, or cut short")
        arrays: Arrays = {}
        for name, place in places.items():
            begin, end = place["data_offsets"]
            array = np.frombuffer(numbers[begin:end], dtype=TYPES[place["dtype"]])
            arrays[name] = array.reshape([int(length) for length in place["shape"]]).copy()
        return arrays, str(said["text"])
    except (LookupError, TypeError, AttributeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"it is not in the format of safetensors, or not ours ({type(error).__name__})") from error


def _digest(text: str, places: Mapping[str, object], numbers: bytes) -> str:
    head = json.dumps([text, places], sort_keys=True).encode()
    return hashlib.sha256(head + b"\n" + numbers).hexdigest()
