"""All parameters from one interval, as before rules of fan-in."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from farback.inits.base import Array, Init, Layer, hold, needs_keep_gate, needs_weights, set_bias, uniform

Bias = Annotated[float, Field(ge=-50, le=50)]


class UniformInit(Init):
    """Every weight and bias uniform on [-`bound`, `bound`], but for the gates' biases that are given.

    The bias of the gate that keeps the state is `keep` in all, that of the gate that lets input in is `write`.

    Source: Hochreiter and Schmidhuber 1997: small weights, and input gates that start closed (a negative bias), so that
    a cell does not fill before it is needed. Their cells have no forget gates: `keep` = 50.
    """

    bound: Annotated[float, Field(gt=0, le=10)] = 0.1
    keep: Bias | None = None
    write: Bias | None = None

    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Draw, then set the biases."""
        values = uniform(layer, rng, self.bound)
        if self.keep is not None:
            hold(layer, values, self.keep)
        if self.write is not None:
            assert layer.write is not None  # by `check`
            set_bias(layer, values, layer.write, self.write)
        return values

    def check(self, layer: Layer) -> None:
        """Needs something to draw, the gates whose biases it sets, and two of them where it sets both."""
        needs_weights(self, layer)
        if self.keep is not None:
            needs_keep_gate(self, layer)
        if self.write is not None and (layer.write is None or "bias_ih" not in layer.shapes):
            raise ValueError(f"init {self.name} sets the bias of the gate that lets input in, and this cell has none")
        if self.keep is not None and self.write is not None and layer.keep is None:
            raise ValueError(f"init {self.name} sets keep and write, and in this cell one gate is both")
