# mypy: allow-untyped-defs, allow-untyped-calls
"""Matrix products inside the kernels: SciPy's BLAS, called by its address, with one thread.

`np.dot` in compiled code reaches the same library, but compiles for seconds and cannot add to its output.
"""

import functools
from typing import Any

import numpy as np
import threadpoolctl
import torch
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import get_cython_function_address, intrinsic

from farback.kernels.compiled import inlined


@functools.cache
def _libraries() -> list[Any]:
    import scipy.linalg.cython_blas  # noqa: F401 - must be loaded to be found

    return [library for library in threadpoolctl.ThreadpoolController().lib_controllers if library.user_api == "blas"]


@functools.cache
def _address(dtype: torch.dtype) -> int:
    return int(get_cython_function_address("scipy.linalg.cython_blas", {torch.float32: "sgemm", torch.float64: "dgemm"}[dtype]))


def gemm(dtype: torch.dtype) -> int:
    """The address of BLAS's general matrix product, which from now on uses one thread.

    A second thread costs more than it gives on products of this size, and would split them differently: results would depend on the
    machine. The limit is for the whole process and stays; it is looked at before each call (a microsecond), because a
    `threadpool_limits` block that ends may lift it.
    """
    for library in _libraries():
        if library.get_num_threads() != 1:
            library.set_num_threads(1)
    return _address(dtype)


@intrinsic
def _call_gemm(typing_context, address, flips, sizes, a, b, strides, beta, c):
    """Call Fortran's xGEMM: `flips` (two letters), `sizes` (three), `strides` (three leading dimensions), a, b, c addresses, beta a real."""

    def code(context, builder, signature, arguments):
        function, flip_2, size_3, a, b, stride_3, beta, c = arguments
        real = beta.type

        def place(value, type):
            slot = cgutils.alloca_once(builder, type)
            builder.store(builder.trunc(value, type) if isinstance(type, ir.IntType) else value, slot)
            return slot

        flip = [place(builder.extract_value(flip_2, i), ir.IntType(8)) for i in range(2)]
        size = [place(builder.extract_value(size_3, i), ir.IntType(32)) for i in range(3)]
        stride = [place(builder.extract_value(stride_3, i), ir.IntType(32)) for i in range(3)]
        alpha, beta = place(ir.Constant(real, 1.0), real), place(beta, real)
        a, b, c = (builder.inttoptr(address, real.as_pointer()) for address in (a, b, c))
        values = [*flip, *size, alpha, a, stride[0], b, stride[1], beta, c, stride[2]]
        pointer = ir.FunctionType(ir.VoidType(), [value.type for value in values]).as_pointer()
        builder.call(builder.inttoptr(function, pointer), values)
        return context.get_dummy_value()

    pair, triple = types.UniTuple(types.intp, 2), types.UniTuple(types.intp, 3)
    return types.void(types.intp, pair, triple, types.intp, types.intp, triple, beta, types.intp), code


# Row-major arrays are the transposes of Fortran's, so each product below hands its factors over in the other order.
_PLAIN, _TRANSPOSED = ord("N"), ord("T")


@inlined
def times(gemm, m, k, n, a, b, c):
    """C = A B with A (m, k), B (k, n), C (m, n): the memory of C-contiguous arrays of one dtype, whatever their shapes."""
    _call_gemm(gemm, (_PLAIN, _PLAIN), (n, m, k), b.ctypes.data, a.ctypes.data, (n, k, n), c.dtype.type(0), c.ctypes.data)


@inlined
def add_times(gemm, m, k, n, a, b, c):
    """C = C + A B."""
    _call_gemm(gemm, (_PLAIN, _PLAIN), (n, m, k), b.ctypes.data, a.ctypes.data, (n, k, n), c.dtype.type(1), c.ctypes.data)


@inlined
def times_transposed(gemm, m, k, n, a, b, c):
    """C = A B^T with A (m, k), B (n, k), C (m, n)."""
    _call_gemm(gemm, (_TRANSPOSED, _PLAIN), (n, m, k), b.ctypes.data, a.ctypes.data, (k, k, n), c.dtype.type(0), c.ctypes.data)


@inlined
def add_transposed_times(gemm, m, k, n, a, b, c):
    """C = C + A^T B with A (k, m), B (k, n), C (m, n)."""
    _call_gemm(gemm, (_PLAIN, _TRANSPOSED), (n, m, k), b.ctypes.data, a.ctypes.data, (n, m, n), c.dtype.type(1), c.ctypes.data)


@inlined
def weight_gradient(gemm, batch, d, h, h0, dw_GH):
    """dW = sum over steps and sequences of d_t (outer) h_{t-1}, where h_{-1} is h0: one large product, and the first step's."""
    (gates, hidden), steps = dw_GH.shape, d.shape[0]
    dw_GH[:] = 0
    add_transposed_times(gemm, gates, batch, hidden, d, h0, dw_GH)
    if steps > 1:
        add_transposed_times(gemm, gates, (steps - 1) * batch, hidden, d[1:], h, dw_GH)
