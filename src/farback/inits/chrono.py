"""Gates with time constants spread over the lengths of the task's dependencies."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from farback.inits.base import Array, Init, Layer, set_bias, set_keep_bias, uniform


class Chrono(Init):
    """Keep biases ln U[1, T - 1], write biases their negative, all other biases zero; weights as PyTorch's default.

    A gate with bias b forgets with a time constant of 1 + e^b steps, so the units' constants are spread evenly up to T,
    the longest dependency: `longest`, or by default the largest lag that the trial trains on (3 at least, so that the
    interval is not empty). In `torch.nn.GRU` the gate that keeps is z, and there is no separate write gate. In minGRU
    and MGU the only gate writes, and gets the negative.

    Source: Tallec and Ollivier 2018 (1804.11188), section 3.
    """

    sets: ClassVar[Literal["keep gate"]] = "keep gate"
    longest: Annotated[int, Field(ge=3, le=10_000_000)] | None = None

    @override
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        values = uniform(layer, rng)
        longest = self.longest or max(layer.lag, 3)
        keep_H = np.log(rng.uniform(1, longest - 1, size=layer.hidden))
        for name in ("bias_ih", "bias_hh"):
            if name in values:
                values[name][:] = 0.0
        set_keep_bias(layer, values, keep_H)
        if layer.keep is not None and layer.write is not None:
            set_bias(layer, values, layer.write, -keep_H)
        return values
