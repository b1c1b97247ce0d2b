"""What every kernel asks of its arguments, and how tensors and compiled code share memory."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from farback.kernels.gemm import gemm

DTYPES = (torch.float32, torch.float64)
LIKE = {torch.float32: np.float32(0), torch.float64: np.float64(0)}  # tells compiled code the format

Array = np.ndarray[Any, Any]


class Piece(NamedTuple):
    """Where each replica's part of a parameter is in memory; an address of 0 says that there is none.

    Attributes:
        address: of the first replica's.
        apart: numbers from one replica's to the next one's.
    """

    address: int
    apart: int


NONE = Piece(0, 0)


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


def picks(index_RN: Tensor | None, R: int) -> Tensor | None:
    """An index of outputs in one piece.

    Raises:
        ValueError: another format, or not one row for each replica.
    """
    if index_RN is None:
        return None
    if index_RN.shape[:1] != (R,) or index_RN.dim() != 2 or index_RN.dtype is not torch.int64:
        raise ValueError(f"the index of the outputs must be int64 of shape ({R}, N), got {index_RN}")
    return index_RN.contiguous()


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


def address(tensor: Tensor | None) -> int:
    """Where a contiguous tensor begins; 0 for None."""
    return 0 if tensor is None else tensor.data_ptr()


def whole(tensor: Tensor) -> Tensor:
    """The tensor in one piece, its numbers as they are in memory; a copy only where that is not so."""
    return tensor.contiguous().resolve_conj().resolve_neg()


def rows(tensor: Tensor | None) -> Tensor | None:
    """The tensor with each replica's part in one piece; views of flat parameters pass as they are."""
    if tensor is None:
        return None
    inner, strides, shape = 1, tensor.stride(), tensor.shape
    for axis in range(tensor.dim() - 1, 0, -1):
        if strides[axis] != inner and shape[axis] > 1:
            return tensor.contiguous()
        inner *= shape[axis]
    return tensor


def piece(tensor: Tensor | None) -> Piece:
    """Where each replica's part of such a tensor is, for as long as there is the tensor."""
    return NONE if tensor is None else Piece(tensor.data_ptr(), tensor.stride(0))


def pieces(flat_RP: Tensor, starts: Sequence[int | None]) -> list[Piece]:
    """Where parameters are that begin at these numbers of each replica's flat ones; None for one that there is not."""
    first, size, apart = flat_RP.data_ptr(), flat_RP.element_size(), flat_RP.stride(0)
    return [NONE if start is None else Piece(first + start * size, apart) for start in starts]


def call(kernel: Any, dtype: torch.dtype, *arrays: Array) -> None:
    """Run a compiled kernel with the matrix product of this format."""
    kernel(gemm(dtype), *arrays)
