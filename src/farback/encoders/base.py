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
    the readout then run at each site separately, with the same parameters, as if each site were a separate sequence.
    The outputs of a step are the concatenated outputs of its sites.
    """

    @abstractmethod
    def parameters(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters, without the replica axis."""

    @abstractmethod
    def width(self, inputs: int) -> int:
        """The number of features of one site at one step."""

    def sites(self, inputs: int) -> int:
        """The number of sites, S."""
        return 1

    def flops(self, inputs: int) -> int:
        """Multiplications and additions in one step of one sequence; by default two for each weight."""
        return sum(2 * math.prod(shape) for name, shape in self.parameters(inputs).items() if name.startswith("weight"))

    @abstractmethod
    def encode(self, p: Mapping[str, Tensor], x_RTBI: Tensor) -> Tensor:
        """The features (R, T, B * S, width), with the sites of a sequence next to each other."""

    def check(self, inputs: int, outputs: int) -> None:
        """Raise ValueError if the encoder does not fit these numbers of inputs and outputs of the task."""


FAMILY = Family("farback.encoders", Encoder, "encoder")
