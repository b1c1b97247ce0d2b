"""An initialisation of this project: `init: starter` in a config; `farback show init starter` prints it."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from farback.inits.base import Array, Init, Layer, uniform


class Starter(Init):
    """PyTorch's default, with most recurrent weights set to zero.

    Source: sparse recurrent weights of echo state networks, Jaeger 2001.
    """

    # The part of a cell that it sets: a cell without this part is refused. Leave it out for any cell.
    sets: ClassVar[Literal["recurrent matrix"]] = "recurrent matrix"
    # A parameter for configs: `init: {name: starter, share: 0.5}`
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2

    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """All weights and biases of a layer, by name. Random numbers come from `rng` alone.

        `layer.shapes` has the shapes; `layer.rows(gate)` are the rows of a gate in `weight_ih`, `weight_hh` and biases.
        """
        values = uniform(layer, rng)
        values["weight_hh"] *= rng.random(values["weight_hh"].shape) < self.share
        return values
