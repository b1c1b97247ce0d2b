"""Gates whose time constants cover the task's."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from farback.inits.base import Array, Init, Layer, hold, needs_keep_gate, uniform


class Chrono(Init):
    """Keep biases ln U[1, T - 1], write biases their negative, all other biases zero; weights as PyTorch's default.

    A gate with bias b forgets with a time constant of 1 + e^b steps, so the units' constants are spread evenly up to T,
    the longest dependency: `longest`, or without it the largest lag that the trial trains at (3 at least, so that the
    interval is not empty). In `torch.nn.GRU` the gate that keeps is z, and it is tied: there is no write gate. In
    minGRU and MGU it is the gate that writes, and gets the negative.

    Source: Tallec and Ollivier 2018 (1804.11188), section 3.
    """

    longest: Annotated[int, Field(ge=3, le=10_000_000)] | None = None

    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Set the biases."""
        values = uniform(layer, rng)
        longest = self.longest or max(layer.lag, 3)
        keep_H = np.log(rng.uniform(1, longest - 1, size=layer.hidden))
        for name in ("bias_ih", "bias_hh"):
            if name in values:
                values[name][:] = 0.0
        hold(layer, values, keep_H)
        if layer.keep is not None and layer.write is not None:
            values["bias_ih"][layer.rows(layer.write)] = -keep_H
        return values

    def check(self, layer: Layer) -> None:
        """Needs a keep gate."""
        needs_keep_gate(self, layer)
