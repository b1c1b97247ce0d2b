"""Gates that start by keeping."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from farback.inits.base import Array, Init, Layer, needs_keep_gate, uniform


class ForgetBias(Init):
    """PyTorch's default, with the bias of the gate that keeps the state set to `value` in all.

    torch.nn has two biases a gate: the value goes into the one of the input, the other is zero. (Filling both doubles
    it, a known slip.)

    Source: Gers et al. 2000; Jozefowicz, Zaremba and Sutskever 2015.
    """

    value: Annotated[float, Field(ge=-50, le=50)] = 1.0

    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Set the keep gate's bias."""
        values = uniform(layer, rng)
        assert layer.keep is not None  # by check
        values["bias_ih"][layer.rows(layer.keep)] = self.value
        if "bias_hh" in values:
            values["bias_hh"][layer.rows(layer.keep)] = 0.0
        return values

    def check(self, layer: Layer) -> None:
        """Needs a keep gate."""
        needs_keep_gate(self, layer)
