"""An encoder turns one step's input into what the first cell sees, step by step, without memory."""

from __future__ import annotations

import math
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

    def flops(self, inputs: int) -> int:
        """Multiplications and additions of one step of one sequence: two for each weight that is no bias.

        An encoder that uses a weight more than once a step, as a convolution does, says its own.
        """
        shapes = self.parameters(inputs)
        return sum(2 * math.prod(shape) for name, shape in shapes.items() if not name.startswith("bias"))

    @abstractmethod
    def encode(self, p: Mapping[str, Tensor], x_RTBI: Tensor) -> Tensor:
        """(R, T, B, width)."""


FAMILY = Family("farback.encoders", Encoder, "encoder")
