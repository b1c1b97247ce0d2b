"""Xavier initialisation, which keeps the variance from a layer's input to its output."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from typing_extensions import override

from farback.inits.base import Array, Init, Layer, xavier


class Xavier(Init):
    """Draws weights uniformly from +-sqrt(6 / (fan in + fan out)), separately for each gate; biases zero.

    Source: Glorot and Bengio 2010.
    """

    sets: ClassVar[Literal["weights"]] = "weights"

    @override
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        return xavier(layer, rng)
