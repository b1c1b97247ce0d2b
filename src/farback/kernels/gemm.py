# mypy: allow-untyped-defs, allow-untyped-calls
"""Matrix products inside the kernels: SciPy's BLAS, called by its address, with one thread.

`np.dot` in compiled code calls the same library, but takes seconds to compile and cannot add to its output.

A matrix is (array, offset, stride): the memory of a C-contiguous array from element `offset` on, with `stride` elements
from row to row. All arrays of a product have the same dtype.
"""

import functools
from typing import Any

import threadpoolctl
import torch
from numba.extending import get_cython_function_address

from farback.kernels.jit import inlined
from farback.kernels.llvm import call_gemm


@functools.cache
def _libraries() -> list[Any]:
    import scipy.linalg.cython_blas  # noqa: F401 - must be loaded to be found

    return [library for library in threadpoolctl.ThreadpoolController().lib_controllers if library.user_api == "blas"]


@functools.cache
def _address(dtype: torch.dtype) -> int:
    name = {torch.float32: "sgemm", torch.float64: "dgemm"}[dtype]
    return int(get_cython_function_address("scipy.linalg.cython_blas", name))


def gemm(dtype: torch.dtype) -> int:
    """The address of BLAS's general matrix product; limits BLAS to one thread in the whole process.

    A second thread makes products of this size slower and splits them differently, so that results would depend on the
    machine. The limit is checked at each call (a microsecond), because a `threadpool_limits` block may have reset it.
    """
    for library in _libraries():
        if library.get_num_threads() != 1:
            library.set_num_threads(1)
    return _address(dtype)


# Row-major arrays are the transposes of Fortran's, so each product below passes its factors in reverse order.
_PLAIN, _TRANSPOSED = ord("N"), ord("T")

# OpenBLAS computes products of up to a million multiplications without packing the factors, about twice as fast
# (measured: 105-117 instead of 45-90 GFLOP/s). So larger products are split into tiles of that size.


@inlined
def product(gemm, m, k, n, a, b, c, beta):
    """C = A B + beta C with A (m, k), B (k, n), C (m, n), in tiles of rows and columns of C."""
    (a_array, a_start, a_stride), (b_array, b_start, b_stride), (c_array, c_start, c_stride) = a, b, c
    rows, columns = 32 if k <= 240 else 16, 128 if k <= 480 else 64
    if k > 960:  # no tile of a useful size has so few multiplications
        rows, columns = m, n
    size, strides = c_array.itemsize, (b_stride, a_stride, c_stride)
    a_0 = a_array.ctypes.data + a_start * size
    b_0 = b_array.ctypes.data + b_start * size
    c_0 = c_array.ctypes.data + c_start * size
    for i in range(0, m, rows):
        for j in range(0, n, columns):
            shape = (min(columns, n - j), min(rows, m - i), k)
            a_i, b_j, c_ij = a_0 + i * a_stride * size, b_0 + j * size, c_0 + (i * c_stride + j) * size
            call_gemm(gemm, (_PLAIN, _PLAIN), shape, b_j, a_i, strides, c_array.dtype.type(beta), c_ij)


@inlined
def add_transposed_product(gemm, m, k, n, a, b, c):
    """C = C + A^T B with A (k, m), B (k, n), C (m, n), in tiles of all three."""
    (a_array, a_start, a_stride), (b_array, b_start, b_stride), (c_array, c_start, c_stride) = a, b, c
    size, one, strides = c_array.itemsize, c_array.dtype.type(1), (b_stride, a_stride, c_stride)
    a_0 = a_array.ctypes.data + a_start * size
    b_0 = b_array.ctypes.data + b_start * size
    c_0 = c_array.ctypes.data + c_start * size
    for p in range(0, k, 128):
        for i in range(0, m, 64):
            for j in range(0, n, 64):
                shape = (min(64, n - j), min(64, m - i), min(128, k - p))
                a_pi, b_pj = a_0 + (p * a_stride + i) * size, b_0 + (p * b_stride + j) * size
                c_ij = c_0 + (i * c_stride + j) * size
                call_gemm(gemm, (_PLAIN, _TRANSPOSED), shape, b_pj, a_pi, strides, one, c_ij)
