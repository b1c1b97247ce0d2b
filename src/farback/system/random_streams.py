"""Named random streams: weights, training data, validation data and test data never share a number.

A stream depends on the seed and its name alone, so equal seeds give every cell the same data, and one more draw in one
stream changes nothing in another. Global generators are never touched.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """The generator of a seed and a name, such as `stream(0, "test", "retention")`."""
    words = [zlib.crc32(str(part).encode()) for part in name]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, len(words), *words])))
