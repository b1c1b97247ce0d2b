"""A chosen spectral radius."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from farback.inits.base import Array, Init, Layer, needs_recurrent_matrix, uniform


class Scaled(Init):
    """PyTorch's default, with each gate's recurrent matrix scaled to the spectral radius `radius`.

    Source: echo state networks (Jaeger 2001), where the radius sets the time scale.
    """

    radius: Annotated[float, Field(gt=0, le=10)] = 1.0

    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Rescaled blocks."""
        values = uniform(layer, rng)
        for gate in layer.recurrent:
            block = values["weight_hh"][layer.rows(gate)]
            largest = np.abs(np.linalg.eigvals(block)).max()
            values["weight_hh"][layer.rows(gate)] = block * (self.radius / largest if largest > 0 else 1.0)
        return values

    def check(self, layer: Layer) -> None:
        """Needs a recurrent matrix."""
        needs_recurrent_matrix(self, layer)
