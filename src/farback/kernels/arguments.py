"""What every kernel asks of its arguments."""

from typing import Any

import torch
from torch import Tensor

from farback.kernels.products import gemm

DTYPES = (torch.float32, torch.float64)


def checked(dtypes: tuple[torch.dtype, ...], **arguments: tuple[Tensor, tuple[int, ...]]) -> None:
    """Compare each tensor (by name) with the shape it must have; all share one of `dtypes` and are on the CPU.

    Raises:
        ValueError: with the name, what it is and what it should be.
    """
    dtype = next(iter(arguments.values()))[0].dtype
    if dtype not in dtypes:
        raise ValueError(f"the kernels compute in {' or '.join(map(str, dtypes))}, not in {dtype}")
    for name, (tensor, shape) in arguments.items():
        if tensor.shape != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, and {shape} is needed")
        if tensor.dtype != dtype or tensor.device.type != "cpu":
            raise ValueError(f"{name} is {tensor.dtype} on {tensor.device}, and {dtype} on cpu is needed")
        if not tensor.numel():
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}: every dimension must be at least 1")


def wanted(*tensors: Tensor) -> bool:
    """A gradient is asked for: the forward pass must keep what the backward pass needs."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def flat(tensor: Tensor) -> Tensor:
    """(..., B, H) as (..., B * H): a view of a contiguous tensor, else a copy."""
    return tensor.detach().contiguous().flatten(-2)


def call(kernel: Any, *tensors: Tensor) -> None:
    """Run a compiled kernel on the memory of `tensors` (copied only where it is not contiguous, which outputs always are)."""
    kernel(gemm(tensors[0].dtype.to_real()), *[tensor.detach().contiguous().numpy() for tensor in tensors])
