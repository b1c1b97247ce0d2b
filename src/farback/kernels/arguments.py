"""What every kernel asks of its arguments, and how tensors and compiled code share memory."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from farback.kernels.products import gemm

DTYPES = (torch.float32, torch.float64)

Array = np.ndarray[Any, Any]


def checked(dtypes: tuple[torch.dtype, ...], **arguments: tuple[Tensor, tuple[int, ...]]) -> None:
    """Compare each tensor (by name) with the shape it must have; all share one of `dtypes` and are on the CPU.

    Raises:
        ValueError: with the name, what it is and what it should be.
    """
    dtype = next(iter(arguments.values()))[0].dtype
    if dtype not in dtypes:
        raise ValueError(f"the kernels compute in {' or '.join(map(str, dtypes))}, not in {dtype}")
    for name, (tensor, shape) in arguments.items():
        if tensor.shape != shape or 0 in shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, and {shape} is needed, each at least 1")
        if tensor.dtype is not dtype or not tensor.is_cpu:
            raise ValueError(f"{name} is {tensor.dtype} on {tensor.device}, and {dtype} on cpu is needed")


def wanted(*tensors: Tensor) -> bool:
    """A gradient is asked for: the forward pass must keep what the backward pass needs."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def array(tensor: Tensor, *shape: int) -> Array:
    """The memory of a tensor, viewed in another shape if one is given; a copy only where it is not contiguous."""
    if tensor.requires_grad:
        tensor = tensor.detach()
    if not tensor.is_contiguous():
        tensor = tensor.contiguous()
    try:
        view = tensor.numpy()
    except RuntimeError:  # a conjugate that torch has not carried out yet
        view = tensor.resolve_conj().resolve_neg().numpy()
    return view.reshape(shape) if shape else view


def call(kernel: Any, dtype: torch.dtype, *arrays: Array) -> None:
    """Run a compiled kernel with the matrix product of this format."""
    kernel(gemm(dtype), *arrays)
