# mypy: allow-untyped-defs, allow-untyped-calls
"""Memory of the kernels: arrays at an address, and large blocks that are used again.

Handing an array to compiled code costs more than a step of a small network: tensors are handed over as addresses.

What the kernels keep of a sequence between forward and backward is many megabytes. Fresh from the system they cost a
page fault for every 4 kB, at some sizes as much time as the arithmetic (docs/log.md). Blocks lent here come back by
themselves when the last tensor on them is gone, and wait for an update of the same size until `release`.
"""

import ctypes
import math
import os
import weakref

import numpy as np
import torch
from numba import carray  # type: ignore[attr-defined]
from torch import Tensor

from farback.kernels.arguments import Array
from farback.kernels.jit import inlined
from farback.kernels.llvm import pointer

_SMALL = 1 << 18  # bytes; below, the allocator itself uses memory again
_MOST = 1 << 29  # bytes that wait here at once: half of what a worker may use

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None  # of glibc

_waiting: dict[int, list[Array]] = {}


def lent(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor with undefined contents, which begins at a whole cache line."""
    size = math.prod(shape) * dtype.itemsize
    if size < _SMALL:
        return torch.empty(shape, dtype=dtype)
    size = _rounded(size)
    blocks = _waiting.get(size)
    try:
        block = blocks.pop() if blocks else _fresh(size)
    except IndexError:  # another thread took it
        block = _fresh(size)
    view = block[:]
    weakref.finalize(view, _back, block).atexit = False
    return torch.from_numpy(view).view(dtype)[: math.prod(shape)].view(shape)


def _rounded(size: int) -> int:
    """The next of eight sizes per octave, so that blocks of about one size serve each other."""
    step = 1 << (size.bit_length() - 4)
    return -(-size // step) * step


def _fresh(size: int) -> Array:
    block = np.empty(size + 64, np.uint8)
    start = -block.ctypes.data % 64
    return block[start : start + size]


def _back(block: Array) -> None:
    """Let a block wait; where too much does, what has not been asked for longest goes first."""
    blocks = _waiting.pop(block.size, [])  # sizes are in the order of their last use
    blocks.append(block)
    _waiting[block.size] = blocks
    over = sum(size * len(blocks) for size, blocks in list(_waiting.items())) - _MOST
    while over > 0:
        size = next(iter(_waiting))
        others = _waiting[size]
        while others and over > 0:
            others.pop()
            over -= size
        if not others:
            del _waiting[size]


def release() -> None:
    """Give back to the system what waits, and what its allocator holds: the next cohort has other sizes."""
    _waiting.clear()
    if _TRIM is not None:
        _TRIM(0)


@inlined
def array_at(address, like, shape):
    """The C-contiguous array at an address, of numbers of the format of `like`."""
    return carray(pointer(address, like), shape)


@inlined
def aligned_zeros(like, size):
    """Zeros that begin at a whole cache line: vectors that straddle two take twice as long."""
    block = np.zeros(size + 64, type(like))
    start = (-block.ctypes.data % 64) // block.itemsize
    return block[start : start + size]
