"""Gates that start by keeping."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from farback.inits.base import Array, Init, Layer, hold, needs_keep_gate, uniform


class ForgetBias(Init):
    """PyTorch's default, with the bias of the gate that keeps the state set to `value` in all.

    Where the gate writes instead of keeping (minGRU's z, MGU's f), it gets minus `value`: the same state is kept.

    Source: Gers et al. 2000; Jozefowicz, Zaremba and Sutskever 2015.
    """

    value: Annotated[float, Field(ge=-50, le=50)] = 1.0

    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Set the keep gate's bias."""
        values = uniform(layer, rng)
        hold(layer, values, self.value)
        return values

    def check(self, layer: Layer) -> None:
        """Needs a keep gate."""
        needs_keep_gate(self, layer)
