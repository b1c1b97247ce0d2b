"""Named random streams: weights, training data, validation data and test data share no random numbers.

A stream depends only on the seed and its name. So all cells see the same data for the same seed, and an additional draw
from one stream changes no other stream. Global generators are never used.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """The random generator for a seed and a name, such as `stream(0, "test", "retention")`."""
    words = [zlib.crc32(str(part).encode()) for part in name]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, len(words), *words])))
