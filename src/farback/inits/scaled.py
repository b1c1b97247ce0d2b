"""A recurrent matrix with a chosen spectral radius."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from farback.inits.base import Array, Init, Layer, uniform


class Scaled(Init):
    """PyTorch's default, with each gate's recurrent matrix scaled to the spectral radius `radius`.

    Source: echo state networks (Jaeger 2001), where the radius sets the time scale.
    """

    sets: ClassVar[Literal["recurrent matrix"]] = "recurrent matrix"
    radius: Annotated[float, Field(gt=0, le=10)] = 1.0

    @override
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        values = uniform(layer, rng)
        for gate in layer.recurrent:
            block = values["weight_hh"][layer.rows(gate)]
            largest = np.abs(np.linalg.eigvals(block)).max()
            values["weight_hh"][layer.rows(gate)] = block * (self.radius / largest if largest > 0 else 1.0)
        return values
