"""Variance kept between input and output."""

from __future__ import annotations

import numpy as np

from farback.inits.base import Array, Init, Layer, needs_weights, xavier


class Xavier(Init):
    """Weights uniform on +-sqrt(6 / (fan in + fan out)), each gate by itself; biases zero.

    Source: Glorot and Bengio 2010.
    """

    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Xavier uniform."""
        return xavier(layer, rng)

    def check(self, layer: Layer) -> None:
        """Needs something to draw."""
        needs_weights(self, layer)
