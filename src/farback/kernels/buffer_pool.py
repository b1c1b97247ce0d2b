# mypy: allow-untyped-defs, allow-untyped-calls
"""Memory of the kernels: arrays at an address, and large blocks that are reused.

Passing an array to compiled code takes longer than a step of a small network, so tensors are passed as addresses.

Between the forward and the backward pass the kernels keep many megabytes. New memory from the operating system costs a
page fault for every 4 kB; at some sizes this takes as much time as the arithmetic (docs/log.md).
"""

import ctypes
import math
import os
import weakref

import numpy as np
import torch
from numba import carray  # type: ignore[attr-defined]
from numpy.typing import NDArray
from torch import Tensor

from farback.kernels.jit import inlined
from farback.kernels.llvm import pointer

SMALL = 1 << 18  # bytes; the allocator of the system reuses smaller blocks itself

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None  # glibc only

Block = NDArray[np.uint8]


class BufferPool:
    """Lends blocks of memory to tensors. When its last tensor is deleted, a block waits for a tensor of its size.

    Attributes:
        limit: the most bytes that may wait; beyond it, blocks of the sizes that were used longest ago are freed.
        waiting: the waiting blocks of each size, in the order of last use.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.waiting: dict[int, list[Block]] = {}

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A tensor with undefined contents that begins at the start of a cache line."""
        size = math.prod(shape) * dtype.itemsize
        if size < SMALL:
            return torch.empty(shape, dtype=dtype)
        step = 1 << (size.bit_length() - 4)  # eight sizes per octave, so that tensors of similar size share blocks
        size = -(-size // step) * step
        try:
            block = self.waiting[size].pop()
        except (KeyError, IndexError):
            block = np.empty(size + 64, np.uint8)
            block = block[-block.ctypes.data % 64 :][:size]
        view = block[:]
        weakref.finalize(view, self._return, block).atexit = False
        return torch.from_numpy(view).view(dtype)[: math.prod(shape)].view(shape)

    def _return(self, block: Block) -> None:
        blocks = self.waiting.pop(block.size, [])
        blocks.append(block)
        self.waiting[block.size] = blocks
        excess = sum(size * len(blocks) for size, blocks in list(self.waiting.items())) - self.limit
        while excess > 0 and self.waiting:
            size, oldest = next(iter(self.waiting.items()))
            if oldest:
                oldest.pop()
                excess -= size
            else:
                del self.waiting[size]

    def release(self) -> None:
        """Return the waiting blocks, and the free memory of the allocator, to the operating system."""
        self.waiting.clear()
        if _TRIM is not None:
            _TRIM(0)


POOL = BufferPool(1 << 29)  # half of the memory that a worker may use
empty, release = POOL.empty, POOL.release


@inlined
def array_at(address, like, shape):
    """The C-contiguous array at an address, of numbers of the dtype of `like`."""
    return carray(pointer(address, like), shape)


@inlined
def aligned_zeros(like, size):
    """Zeros that begin at the start of a cache line: a vector across two cache lines takes twice as long."""
    block = np.zeros(size + 64, type(like))
    start = (-block.ctypes.data % 64) // block.itemsize
    return block[start : start + size]
