"""PyTorch's default."""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from farback.inits.base import Array, Init, Layer, uniform


class Torch(Init):
    """Draws every parameter uniformly from +-1 / sqrt(H), as `torch.nn.RNN`, `LSTM` and `GRU` do.

    The recurrent matrix then has a spectral radius near 1 / sqrt(3), and gates start near one half.

    Source: torch.nn.RNNBase.reset_parameters.
    """

    @override
    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        return uniform(layer, rng)
