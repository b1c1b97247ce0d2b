"""Checks of a kernel's arguments, and the addresses at which compiled code finds tensors."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DTYPES = (torch.float32, torch.float64)
LIKE = {torch.float32: np.float32(0), torch.float64: np.float64(0)}  # a number that tells compiled code the dtype


class Place(NamedTuple):
    """Where a parameter of each replica is in memory; an absent parameter has address 0.

    Attributes:
        address: the address of the first replica's parameter.
        stride: the number of elements from one replica's parameter to the next.
    """

    address: int
    stride: int


ABSENT = Place(0, 0)


def check_shapes(dtypes: tuple[torch.dtype, ...], **arguments: tuple[Tensor, tuple[int, ...]]) -> None:
    """Check that each tensor has its shape, and that all are on the CPU and share one of `dtypes`.

    Raises:
        ValueError: a tensor has another shape, dtype or device; the message names the tensor.
    """
    dtype = next(iter(arguments.values()))[0].dtype
    if dtype not in dtypes:
        raise ValueError(f"the kernels compute in {' or '.join(map(str, dtypes))}, not in {dtype}")
    for name, (tensor, shape) in arguments.items():
        if tensor.shape != shape or 0 in shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, and {shape} is needed, with sizes of at least 1")
        if tensor.dtype is not dtype or not tensor.is_cpu:
            raise ValueError(f"{name} is {tensor.dtype} on {tensor.device}, and {dtype} on cpu is needed")


def checked_index(index_RN: Tensor | None, R: int) -> Tensor | None:
    """The index of the selected outputs, in contiguous memory.

    Raises:
        ValueError: the dtype is not int64, or there is not one row for each replica.
    """
    if index_RN is None:
        return None
    if index_RN.shape[:1] != (R,) or index_RN.dim() != 2 or index_RN.dtype is not torch.int64:
        raise ValueError(f"the index of the outputs must be int64 of shape ({R}, N), got {index_RN}")
    return index_RN.contiguous()


def needs_gradient(*tensors: Tensor | None) -> bool:
    """Whether the forward pass must keep what the backward pass needs."""
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def address(tensor: Tensor | None) -> int:
    """The address at which a contiguous tensor begins; 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def contiguous(tensor: Tensor) -> Tensor:
    """The tensor in contiguous memory, without pending conjugations; a copy only if necessary."""
    return tensor.contiguous().resolve_conj().resolve_neg()


def arrays(*tensors: Tensor) -> list[NDArray[Any]]:
    """The tensors as arrays in contiguous memory; copies only if necessary."""
    return [contiguous(tensor.detach()).numpy() for tensor in tensors]


def contiguous_replicas(tensor: Tensor | None) -> Tensor | None:
    """The tensor with contiguous memory for each replica, like a view of flat parameters; a copy only if necessary."""
    if tensor is None or len(tensor) == 0 or tensor[0].is_contiguous():
        return tensor
    return tensor.contiguous()


def place(tensor: Tensor | None) -> Place:
    """The place of a tensor whose replicas are contiguous; valid while the tensor exists."""
    return ABSENT if tensor is None else Place(tensor.data_ptr(), tensor.stride(0))


def flat_places(flat_RP: Tensor, starts: Sequence[int | None]) -> list[Place]:
    """The places of parameters that begin at these indices of each replica's flat parameters; None: absent."""
    first, size, stride = flat_RP.data_ptr(), flat_RP.element_size(), flat_RP.stride(0)
    return [ABSENT if start is None else Place(first + start * size, stride) for start in starts]
