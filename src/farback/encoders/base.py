"""The interface of encoders, which transform the input of each step for the first cell, without memory.

Shapes: R replicas, T steps, B sequences, I inputs, S sites.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from farback.records.component import Component, Family


class Encoder(Component):
    """The base class of encoders.

    An encoder may compute separate features for each of S sites of an input, such as the pixels of a map. The cells and
    the readout then run at each site separately, with the same parameters, as if it were a sequence. The outputs of a
    step are those of its sites, concatenated.
    """

    @abstractmethod
    def parameters(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes, without the replica axis."""

    @abstractmethod
    def width(self, inputs: int) -> int:
        """The number of features of a site at a step."""

    def sites(self, inputs: int) -> int:
        """The number of sites, S."""
        return 1

    def flops(self, inputs: int) -> int:
        """Multiplications and additions of one step of one sequence; by default two for each weight."""
        return sum(2 * math.prod(shape) for name, shape in self.parameters(inputs).items() if name.startswith("weight"))

    @abstractmethod
    def encode(self, p: Mapping[str, Tensor], x_RTBI: Tensor) -> Tensor:
        """The features (R, T, B * S, width), with the sites of a sequence next to each other."""

    def check(self, inputs: int, outputs: int) -> None:
        """Raise ValueError if the encoder does not fit this number of inputs of the task, or of outputs."""


FAMILY = Family("farback.encoders", Encoder, "encoder")
