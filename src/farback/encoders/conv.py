"""A convolution over a map, day by day."""

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

    A step's input is a map of G * G numbers, row by row, and perhaps further numbers, such as a flag, which every pixel
    sees; G is the side of the largest square that the inputs hold. The edges are joined (circular padding).

    `state: pixel` gives every pixel a recurrent net of its own, all with the same parameters, and a decoder of its own
    from `hidden` units to its outputs: what must be remembered of a map is then a few numbers a pixel, whatever the
    grid, and every map teaches G * G times. `state: map` is the seed article's: the features are flattened, one net
    must hold the whole map in its `hidden` units, and a linear decoder turns them into pixels.

    Example (grid 6, channels 8, kernel 3): 36 numbers and a flag -> 8 features a pixel, from 3 * 3 + 1 inputs.

    Source: the article's convolution, recurrent net and decoder; a net per pixel is a convolutional recurrent net
    (Shi et al. 2015, 1506.04214) whose recurrent kernel is 1 by 1.
    """

    channels: Annotated[int, Field(ge=1, le=256)] = 8
    kernel: Odd = 3
    state: Literal["pixel", "map"] = "pixel"

    @field_validator("kernel")
    @classmethod
    def _has_a_middle(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"a kernel needs a middle: {kernel - 1} or {kernel + 1}, not {kernel}")
        return kernel

    def parameters(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """One kernel for each channel, with a weight for each further number."""
        more = inputs - math.isqrt(inputs) ** 2
        return {"weight": (self.channels, self.kernel**2 + more), "bias": (self.channels,)}

    def width(self, inputs: int) -> int:
        """The channels of a pixel, or of all."""
        return self.channels * (1 if self.state == "pixel" else math.isqrt(inputs) ** 2)

    def sites(self, inputs: int) -> int:
        """The pixels, or one."""
        return math.isqrt(inputs) ** 2 if self.state == "pixel" else 1

    def flops(self, inputs: int) -> int:
        """Every kernel at every pixel."""
        return super().flops(inputs) * math.isqrt(inputs) ** 2

    def encode(self, p: Mapping[str, Tensor], x_RTBI: Tensor) -> Tensor:
        """Every pixel's neighbourhood as a row, times the kernels: one product a replica, so that no bit depends on
        which replicas share it."""
        R, T, B, inputs = x_RTBI.shape
        grid = math.isqrt(inputs)
        near = torch.from_numpy(neighbours(grid, self.kernel)).to(x_RTBI.device)
        patch = x_RTBI[..., near]  # (R, T, B, S, K * K)
        more = x_RTBI[..., grid**2 :].unsqueeze(-2).expand(R, T, B, grid**2, inputs - grid**2)
        rows = torch.cat([patch, more], -1).view(R, T * B * grid**2, -1)
        features = torch.relu(product(rows, p["weight"], p["bias"]))
        return features.view(R, T, -1, self.width(inputs))

    def check(self, inputs: int, outputs: int) -> None:
        """A decoder of its own at every pixel needs as many outputs at each."""
        if outputs % self.sites(inputs):
            raise ValueError(
                f"encoder {self.name} reads {inputs} inputs as {self.sites(inputs)} pixels, and the task has {outputs} "
                f"outputs, which are not equally many a pixel: choose state map"
            )


@functools.cache
def neighbours(grid: int, kernel: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The pixels around each pixel of a torus, (G * G, K * K), row by row."""
    offset_K = np.arange(kernel) - kernel // 2
    row_GK = (np.arange(grid)[:, None] + offset_K) % grid
    near = row_GK[:, None, :, None] * grid + row_GK[None, :, None, :]
    return near.reshape(grid**2, kernel**2)
