"""An encoder of this project: `encoder: starter` in a config; `farback show encoder starter` prints it."""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from farback.encoders.base import Encoder
from farback.kernels.unroll import product


class Starter(Encoder):
    """One layer of rectified units between the input of a step and the first cell: relu(W x + b)."""

    # A parameter for configs: `encoder: {name: starter, features: 32}`
    features: Annotated[int, Field(ge=1, le=4096)] = 16

    def parameters(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the trained parameters. Weights begin with `weight`, biases with `bias`."""
        return {"weight": (self.features, inputs), "bias": (self.features,)}

    def width(self, inputs: int) -> int:
        """The number of features that the first cell receives at each step."""
        return self.features

    def encode(self, p: Mapping[str, Tensor], x_RTBI: Tensor) -> Tensor:
        """The features, (R, T, B, features), of R networks, T steps and B sequences. No operation may mix networks."""
        R, T, B, _ = x_RTBI.shape
        return torch.relu(product(x_RTBI.reshape(R, T * B, -1), p["weight"], p["bias"])).view(R, T, B, -1)
