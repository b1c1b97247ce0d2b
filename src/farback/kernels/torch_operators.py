"""Torch's own operators for compiled code, which calls them by their addresses and so gets the same bits.

Torch computes square roots, exponentials and logarithms by libraries that do not round correctly.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FLOAT32 = 6  # torch's number of the dtype
_NAMES = (  # C++ functions: out = log_softmax(x, dim), out = exp(x), out = gradient of log_softmax, out = sqrt(x)
    "_ZN2at4_ops16_log_softmax_out4callERKNS_6TensorElbRS2_",
    "_ZN2at4_ops7exp_out4callERKNS_6TensorERS2_",
    "_ZN2at4_ops30_log_softmax_backward_data_out4callERKNS_6TensorES4_lN3c1010ScalarTypeERS2_",
    "_ZN2at4_ops8sqrt_out4callERKNS_6TensorERS2_",
)


@functools.cache
def _library() -> Any:
    """Torch's library for the CPU, or None."""
    for path in Path(torch.__file__).parent.glob("lib/libtorch_cpu.*"):
        if path.suffix in (".so", ".dylib"):
            return ctypes.CDLL(str(path))
    return None


@functools.cache
def addresses() -> tuple[int, ...] | None:
    """The addresses of the operators; None if this build of torch does not show them."""
    try:
        made = [ctypes.cast(getattr(_library(), name), ctypes.c_void_p).value for name in _NAMES]
        _ = _library().aoti_torch_create_tensor_from_blob
    except (AttributeError, OSError):
        return None
    return tuple(int(address) for address in made if address)


class Handle:
    """A C++ tensor at the memory of a contiguous float32 matrix, for calls of the operators.

    Attributes:
        address: where the C++ tensor is.
    """

    def __init__(self, memory_NO: Tensor) -> None:
        pair, made = ctypes.c_int64 * 2, ctypes.c_void_p()
        sizes, strides = pair(*memory_NO.shape), pair(*memory_NO.stride())
        memory = ctypes.c_void_p(memory_NO.data_ptr())
        zero = ctypes.c_int32(0)
        self.memory_NO = memory_NO  # must exist as long as the C++ tensor
        failed = _library().aoti_torch_create_tensor_from_blob(
            memory, ctypes.c_int64(2), sizes, strides, ctypes.c_int64(0), FLOAT32, zero, zero, ctypes.byref(made)
        )
        if failed or made.value is None:
            raise RuntimeError("torch could not make a tensor for the compiled updates")
        self.address = made.value
        delete = _library().aoti_torch_delete_tensor_object
        weakref.finalize(self, delete, ctypes.c_void_p(self.address)).atexit = False
