"""Gates that keep the state at the start of training."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from farback.inits.base import Array, Init, Layer, set_keep_bias, uniform


class ForgetBias(Init):
    """PyTorch's default, with the total bias of the gate that keeps the state set to `value`.

    A gate that writes instead of keeping (minGRU's z, MGU's f) gets minus `value`, which keeps the same share of the
    state.

    Source: Gers et al. 2000; Jozefowicz, Zaremba and Sutskever 2015.
    """

    sets: ClassVar[Literal["keep gate"]] = "keep gate"
    value: Annotated[float, Field(ge=-50, le=50)] = 1.0

    @override
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        values = uniform(layer, rng)
        set_keep_bias(layer, values, self.value)
        return values
