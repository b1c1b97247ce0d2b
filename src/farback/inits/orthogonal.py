"""A recurrent matrix that keeps lengths."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from farback.inits.base import Array, Init, Layer, needs_recurrent_matrix, xavier


class Orthogonal(Init):
    """Each gate's recurrent matrix is `gain` times a random orthogonal one; input weights Xavier, biases zero.

    Source: Saxe, McClelland and Ganguli 2014 (1312.6120); drawn as Mezzadri 2007, QR with the signs of R's diagonal.
    """

    gain: Annotated[float, Field(gt=0, le=10)] = 1.0

    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Orthogonal blocks."""
        values = xavier(layer, rng)
        for gate in layer.recurrent:
            q, r = np.linalg.qr(rng.standard_normal((layer.hidden, layer.hidden)))
            values["weight_hh"][layer.rows(gate)] = self.gain * q * np.sign(np.diag(r))
        return values

    def check(self, layer: Layer) -> None:
        """Needs a recurrent matrix."""
        needs_recurrent_matrix(self, layer)
