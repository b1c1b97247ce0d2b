"""A convolution over the map that each step shows."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from farback.encoders.base import Encoder
from farback.kernels.unroll import product

Odd = Annotated[int, Field(ge=1, le=15)]


class Conv(Encoder):
    """One convolution with rectified features: `relu(W * x + b)` at every pixel of a square map on a torus.

    A step's input is a map of G * G numbers, row by row, and possibly further numbers, such as a flag, which every
    pixel gets; G is the side of the largest square that fits into the inputs. The edges are joined (circular padding).

    `state: pixel` runs a separate recurrent network at each pixel, all with the same parameters, and decodes the
    outputs of the pixel from its `hidden` units. Each network has to remember only a few numbers, for any grid, and
    every map trains the parameters G * G times. `state: map` is the network of Pickleprat 2024: the features are
    flattened, one network must remember the whole map in its `hidden` units, and a linear decoder computes the pixels.

    Example (grid 6, channels 8, kernel 3): 36 numbers and a flag -> 8 features a pixel, from 3 * 3 + 1 inputs.

    Source: the convolution, recurrent network and decoder of Pickleprat 2024; a network per pixel is a convolutional
    recurrent network (Shi et al. 2015, 1506.04214) with a recurrent kernel of 1 by 1.
    """

    channels: Annotated[int, Field(ge=1, le=256)] = 8
    kernel: Odd = 3
    state: Literal["pixel", "map"] = "pixel"

    @field_validator("kernel")
    @classmethod
    def _is_odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"a kernel must be odd: {kernel - 1} or {kernel + 1}, not {kernel}")
        return kernel

    def parameters(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """One kernel for each channel, with a weight for each further number."""
        further = inputs - math.isqrt(inputs) ** 2
        return {"weight": (self.channels, self.kernel**2 + further), "bias": (self.channels,)}

    def width(self, inputs: int) -> int:
        """The number of channels, of one pixel or of all pixels together."""
        return self.channels * (1 if self.state == "pixel" else math.isqrt(inputs) ** 2)

    def sites(self, inputs: int) -> int:
        """The number of separate networks: G * G with `state: pixel`, 1 with `state: map`."""
        return math.isqrt(inputs) ** 2 if self.state == "pixel" else 1

    def flops(self, inputs: int) -> int:
        """Two operations for each weight at each pixel."""
        return super().flops(inputs) * math.isqrt(inputs) ** 2

    def encode(self, p: Mapping[str, Tensor], x_RTBI: Tensor) -> Tensor:
        """The features, from one matrix product per replica, so that no bit depends on other replicas: each row is
        one pixel's neighbourhood, each column one kernel."""
        R, T, B, inputs = x_RTBI.shape
        grid = math.isqrt(inputs)
        near_SK = torch.from_numpy(neighbours(grid, self.kernel)).to(x_RTBI.device)
        patch = x_RTBI[..., near_SK]  # (R, T, B, S, K * K)
        further = x_RTBI[..., grid**2 :].unsqueeze(-2).expand(R, T, B, grid**2, inputs - grid**2)
        rows = torch.cat([patch, further], -1).view(R, T * B * grid**2, -1)
        return torch.relu(product(rows, p["weight"], p["bias"])).view(R, T, -1, self.width(inputs))

    def check(self, inputs: int, outputs: int) -> None:
        """Each pixel must have the same number of outputs."""
        if outputs % self.sites(inputs):
            raise ValueError(
                f"encoder {self.name} reads {inputs} inputs as {self.sites(inputs)} pixels, and the task has {outputs} "
                f"outputs, which cannot be divided equally among the pixels: choose `state: map`"
            )


@functools.cache
def neighbours(grid: int, kernel: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The indices of the pixels around each pixel of a torus, (G * G, K * K), row by row."""
    offset_K = np.arange(kernel) - kernel // 2
    row_GK = (np.arange(grid)[:, None] + offset_K) % grid
    return (row_GK[:, None, :, None] * grid + row_GK[None, :, None, :]).reshape(grid**2, kernel**2)
