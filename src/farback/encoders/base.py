"""An encoder turns one step's input into what the first cell sees, step by step, without memory.

Shapes: R replicas, T steps, B sequences, I inputs, S sites.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from farback.records.component import Component, Family


class Encoder(Component):
    """The base of the encoders.

    An encoder may give each of S sites of an input, such as the pixels of a map, features of its own. The cells then
    run at every site by itself, with the same parameters, as if it were a sequence; so does the readout, and the
    outputs of a step are those of its sites, one after the other.
    """

    @abstractmethod
    def parameters(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes, without the replica axis."""

    @abstractmethod
    def width(self, inputs: int) -> int:
        """Numbers that it puts out at a step."""

    def sites(self, inputs: int) -> int:
        """How many sites of an input have cells of their own, S."""
        return 1

    def flops(self, inputs: int) -> int:
        """Multiplications and additions of one step of one sequence: two for each weight.

        An encoder that uses a weight more than once a step, as a convolution does, says its own.
        """
        shapes = self.parameters(inputs)
        return sum(2 * math.prod(shape) for name, shape in shapes.items() if name.startswith("weight"))

    @abstractmethod
    def encode(self, p: Mapping[str, Tensor], x_RTBI: Tensor) -> Tensor:
        """(R, T, B * S, width), the sites of a sequence side by side."""

    def check(self, inputs: int, outputs: int) -> None:
        """Raise ValueError where the encoder cannot have that many inputs, or the network that many outputs."""


FAMILY = Family("farback.encoders", Encoder, "encoder")
