"""Compile kernels before workers start, so that workers load them from disk instead of compiling them again."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from farback.kernels.linear_layer import linear
from farback.kernels.optimizer_steps import adam, clip
from farback.kernels.unroll import Kernel


def precompile(kernels: Iterable[Kernel | None], dtype: torch.dtype = torch.float32) -> None:
    """Compile, or load from disk, the code that every network needs and these kernels, forward and backward.

    Cells without a kernel may be given as None.
    """
    with torch.enable_grad():
        one = torch.zeros(1, 1, 1, dtype=dtype, requires_grad=True)
        linear(one, one, one[0]).sum().backward()  # type: ignore[no-untyped-call]
        for kernel in sorted({kernel for kernel in kernels if kernel is not None}, key=str):
            kernel.compile(dtype)
    one = torch.ones(1, 1, dtype=dtype)
    clipped, _ = clip(one, one)
    rules = dict.fromkeys(("lr", "beta1", "beta2", "eps"), one * 0.5)
    adam(one, clipped, torch.zeros_like(one), torch.zeros_like(one), rules, 1)
