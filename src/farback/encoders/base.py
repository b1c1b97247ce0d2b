"""An encoder turns one step's input into what the first cell sees, step by step, without memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from farback.component import Component, Family


class Encoder(Component):
    """The base of the encoders."""

    @abstractmethod
    def parameters(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes, without the replica axis."""

    @abstractmethod
    def width(self, inputs: int) -> int:
        """Numbers that it puts out at a step."""

    @abstractmethod
    def encode(self, p: Mapping[str, Tensor], x_RTBI: Tensor) -> Tensor:
        """(R, T, B, width)."""


FAMILY = Family("farback.encoders", Encoder, "encoder")
