"""A recurrent matrix that preserves the length of the state."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from farback.inits.base import Array, Init, Layer, xavier


class Orthogonal(Init):
    """Each gate's recurrent matrix is `gain` times a random orthogonal matrix; input weights as `xavier`, biases zero.

    Source: Saxe, McClelland and Ganguli 2014 (1312.6120); drawn as in Mezzadri 2007: Q times the signs of R's diagonal.
    """

    sets: ClassVar[Literal["recurrent matrix"]] = "recurrent matrix"
    gain: Annotated[float, Field(gt=0, le=10)] = 1.0

    @override
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        values = xavier(layer, rng)
        for gate in layer.recurrent:
            q, r = np.linalg.qr(rng.standard_normal((layer.hidden, layer.hidden)))
            values["weight_hh"][layer.rows(gate)] = self.gain * q * np.sign(np.diag(r))
        return values
