"""No encoder."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from farback.encoders.base import Encoder


class IdentityEncoder(Encoder):
    """The cell sees the input as it is."""

    def parameters(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """None."""
        return {}

    def width(self, inputs: int) -> int:
        """As it came."""
        return inputs

    def encode(self, p: Mapping[str, Tensor], x_RTBI: Tensor) -> Tensor:
        """As it came."""
        return x_RTBI
