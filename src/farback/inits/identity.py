"""The IRNN."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from farback.inits.base import Array, Init, Layer, needs_recurrent_matrix


class IdentityInit(Init):
    """The recurrent matrix is `gain` times the identity, biases are zero, input weights small and Gaussian.

    With relu this is the IRNN: at the start the state is carried on unchanged.

    Source: Le, Jaitly and Hinton 2015 (1504.00941), with their standard deviation of 0.001 for the input weights.
    """

    gain: Annotated[float, Field(gt=0, le=10)] = 1.0
    input_std: Annotated[float, Field(gt=0, le=10)] = 0.001

    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Identity blocks."""
        values = {name: np.zeros(shape) for name, shape in layer.shapes.items()}
        values["weight_ih"] = self.input_std * rng.standard_normal(layer.shapes["weight_ih"])
        for gate in layer.recurrent:
            values["weight_hh"][layer.rows(gate)] = self.gain * np.eye(layer.hidden)
        return values

    def check(self, layer: Layer) -> None:
        """Needs a recurrent matrix, and only one: gates of a gated cell are not meant to start as the identity."""
        needs_recurrent_matrix(self, layer)
        if len(layer.recurrent) > 1:
            raise ValueError(
                f"init identity is for cells with one recurrent matrix; this one has {len(layer.recurrent)} gates"
            )
