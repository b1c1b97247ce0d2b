"""No encoder."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from typing_extensions import override

from farback.encoders.base import Encoder


class IdentityEncoder(Encoder):
    """The cell gets the unchanged input."""

    @override
    def parameters(self, inputs: int) -> dict[str, tuple[int, ...]]:
        return {}

    @override
    def width(self, inputs: int) -> int:
        return inputs

    @override
    def encode(self, p: Mapping[str, Tensor], x_RTBI: Tensor) -> Tensor:
        return x_RTBI
