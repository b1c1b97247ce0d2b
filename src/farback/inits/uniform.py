"""Draws every parameter uniformly from one interval; gate biases can be set."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from farback.inits.base import Array, Init, Layer, set_bias, set_keep_bias, uniform

Bias = Annotated[float, Field(ge=-50, le=50)]


class UniformInit(Init):
    """Draws every weight and bias uniformly from [-`bound`, `bound`], except the gate biases that are given.

    `keep` is the total bias of the gate that keeps the state, `write` the total bias of the gate that lets input in.

    Source: Hochreiter and Schmidhuber 1997: small weights, and input gates that start closed (a negative bias), so that
    the state does not fill before it is needed. Their cells have no forget gates: use `keep` = 50.
    """

    sets: ClassVar[Literal["weights"]] = "weights"
    bound: Annotated[float, Field(gt=0, le=10)] = 0.1
    keep: Bias | None = None
    write: Bias | None = None

    @override
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        values = uniform(layer, rng, self.bound)
        if self.keep is not None:
            set_keep_bias(layer, values, self.keep)
        if self.write is not None:
            assert layer.write is not None  # ensured by `check`
            set_bias(layer, values, layer.write, self.write)
        return values

    def check(self, layer: Layer) -> None:
        """Also raise ValueError if a gate with a given bias is missing, or if one gate would get both biases."""
        super().check(layer)
        if self.keep is not None:
            layer.require("keep gate", self.name)
        if self.write is not None:
            layer.require("write gate", self.name)
        if self.keep is not None and self.write is not None and layer.keep is None:
            raise ValueError(f"init {self.name} sets keep and write, but in this cell one gate does both: set only one")
