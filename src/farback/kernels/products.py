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
def times(gemm, a_MK, b_KN, c_MN):
    """C = A B, for C-contiguous arrays of one dtype."""
    (m, k), n = a_MK.shape, b_KN.shape[1]
    beta = c_MN.dtype.type(0)
    _call_gemm(gemm, (_PLAIN, _PLAIN), (n, m, k), b_KN.ctypes.data, a_MK.ctypes.data, (n, k, n), beta, c_MN.ctypes.data)


@inlined
def times_transposed(gemm, a_MK, b_NK, c_MN):
    """C = A B^T."""
    (m, k), n = a_MK.shape, b_NK.shape[0]
    beta = c_MN.dtype.type(0)
    _call_gemm(gemm, (_TRANSPOSED, _PLAIN), (n, m, k), b_NK.ctypes.data, a_MK.ctypes.data, (k, k, n), beta, c_MN.ctypes.data)


@inlined
def add_transposed_times(gemm, a_KM, b_KN, c_MN):
    """C = C + A^T B."""
    (k, m), n = a_KM.shape, b_KN.shape[1]
    beta = c_MN.dtype.type(1)
    _call_gemm(gemm, (_PLAIN, _TRANSPOSED), (n, m, k), b_KN.ctypes.data, a_KM.ctypes.data, (n, m, n), beta, c_MN.ctypes.data)


@inlined
def weight_gradient(gemm, d_TBG, h_TBH, h0_BH, dw_GH):
    """dW = sum over steps and sequences of d_t (outer) h_{t-1}, where h_{-1} is h0: one large product, and the first step's."""
    steps, batch, gates = d_TBG.shape
    hidden = h0_BH.shape[1]
    rows = (steps - 1) * batch
    dw_GH[:] = 0
    add_transposed_times(gemm, d_TBG[0], h0_BH, dw_GH)
    if steps > 1:
        later_NG = d_TBG.ravel()[batch * gates :].reshape(rows, gates)
        earlier_NH = h_TBH.ravel()[: rows * hidden].reshape(rows, hidden)
        add_transposed_times(gemm, later_NG, earlier_NH, dw_GH)


@inlined
def add_rows(a_BG, out_G):
    """out = sum over the rows of a."""
    out_G[:] = 0
    for b in range(a_BG.shape[0]):
        for g in range(a_BG.shape[1]):
            out_G[g] += a_BG[b, g]
