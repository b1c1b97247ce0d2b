"""The identity as recurrent matrix (IRNN)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from farback.inits.base import Array, Init, Layer


class IdentityInit(Init):
    """The recurrent matrix is `gain` times the identity, biases are zero, input weights small and Gaussian.

    With relu this is the IRNN, which initially carries its state on unchanged.

    Source: Le, Jaitly and Hinton 2015 (1504.00941), with their standard deviation of 0.001 for the input weights.
    """

    sets: ClassVar[Literal["recurrent matrix"]] = "recurrent matrix"
    gain: Annotated[float, Field(gt=0, le=10)] = 1.0
    input_std: Annotated[float, Field(gt=0, le=10)] = 0.001

    @override
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        values = {name: np.zeros(shape) for name, shape in layer.shapes.items()}
        values["weight_ih"] = self.input_std * rng.standard_normal(layer.shapes["weight_ih"])
        values["weight_hh"] = self.gain * np.eye(layer.hidden)
        return values

    def check(self, layer: Layer) -> None:
        """Also raise ValueError for gated cells, whose gates are not meant to start as the identity."""
        super().check(layer)
        if len(layer.recurrent) > 1:
            matrices = f"{len(layer.recurrent)}, one for each gate"
            raise ValueError(f"init identity is for cells with one recurrent matrix; this one has {matrices}")
