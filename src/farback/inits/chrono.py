"""Gates with time constants spread over the lengths of the task's dependencies."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from farback.inits.base import Array, Init, Layer, set_bias, set_keep_bias, uniform


class Chrono(Init):
    """Draws gate biases so that the units' time constants are spread evenly up to the longest dependency, T.

    The biases of the gate that keeps the state are ln U[1, T - 1], of the gate that lets input in their negatives, all
    others zero; weights as PyTorch's default. A gate with bias b forgets with a time constant of 1 + e^b steps. In
    `torch.nn.GRU` z keeps the state, and there is no separate write gate. In minGRU and MGU the only gate writes, and
    gets the negative biases.

    T is `longest`. The start knows this number and no other: it does not depend on the lag that the trial trains on, so
    give all lags of a sweep the same `longest`, at least the largest lag. With a shorter one, units forget before the
    answer is due.

    Source: Tallec and Ollivier 2018 (1804.11188), section 3.
    """

    sets: ClassVar[Literal["keep gate"]] = "keep gate"
    longest: Annotated[int, Field(ge=3, le=10_000_000)] = 320

    @override
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        values = uniform(layer, rng)
        keep_H = np.log(rng.uniform(1, self.longest - 1, size=layer.hidden))
        for name in ("bias_ih", "bias_hh"):
            if name in values:
                values[name][:] = 0.0
        set_keep_bias(layer, values, keep_H)
        if layer.keep is not None and layer.write is not None:
            set_bias(layer, values, layer.write, -keep_H)
        return values
