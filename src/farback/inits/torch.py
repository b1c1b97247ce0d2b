"""PyTorch's default."""

from __future__ import annotations

import numpy as np

from farback.inits.base import Array, Init, Layer, uniform


class Torch(Init):
    """Every parameter uniform on +-1 / sqrt(H), as `torch.nn.RNN`, `LSTM` and `GRU` draw theirs.

    The recurrent matrix then has a spectral radius near 1 / sqrt(3), and gates stand near one half.

    Source: torch.nn.RNNBase.reset_parameters.
    """

    def draw(self, layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
        """Uniform."""
        return uniform(layer, rng)
