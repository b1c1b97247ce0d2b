"""Xavier's draw, which keeps the variance between input and output."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from typing_extensions import override

from farback.inits.base import Array, Init, Layer, xavier


class Xavier(Init):
    """Weights uniform on +-sqrt(6 / (fan in + fan out)), separately for each gate; biases zero.

    Source: Glorot and Bengio 2010.
    """

    sets: ClassVar[Literal["weights"]] = "weights"

    @override
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        return xavier(layer, rng)
