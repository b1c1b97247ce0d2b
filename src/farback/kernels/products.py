# mypy: allow-untyped-defs, allow-untyped-calls
"""Matrix products inside the kernels: SciPy's BLAS, called by its address, with one thread.

`np.dot` in compiled code reaches the same library, but compiles for seconds and cannot add to its output.
"""

import functools
from typing import Any

import threadpoolctl
import torch
from numba.extending import get_cython_function_address

from farback.kernels.compiled import inlined, loop
from farback.kernels.instructions import call_gemm, wide_vectors


@functools.cache
def _libraries() -> list[Any]:
    import scipy.linalg.cython_blas  # noqa: F401 - must be loaded to be found

    return [library for library in threadpoolctl.ThreadpoolController().lib_controllers if library.user_api == "blas"]


@functools.cache
def _address(dtype: torch.dtype) -> int:
    name = {torch.float32: "sgemm", torch.float64: "dgemm"}[dtype]
    return int(get_cython_function_address("scipy.linalg.cython_blas", name))


def gemm(dtype: torch.dtype) -> int:
    """The address of BLAS's general matrix product, which from now on uses one thread.

    A second thread costs more than it gives on products of this size, and would split them differently: results would
    depend on the machine. The limit is for the whole process and stays; it is looked at before each call (a
    microsecond), because a `threadpool_limits` block that ends may lift it.
    """
    for library in _libraries():
        if library.get_num_threads() != 1:
            library.set_num_threads(1)
    return _address(dtype)


# Row-major arrays are the transposes of Fortran's, so each product below hands its factors over in the other order.
_PLAIN, _TRANSPOSED = ord("N"), ord("T")

# OpenBLAS has kernels for products of up to a million multiplications that skip the packing of the factors and run at
# twice the speed (measured: 110-130 instead of 45-60 GFLOP/s), with the factors as they are; so larger products go in
# tiles of that size.


@inlined
def _add_product(gemm, m, k, n, a, b, c, beta):
    """C = A B + beta C with A (m, k), B (k, n), C (m, n), in tiles of rows and columns of C."""
    rows, columns = 32 if k <= 240 else 16, 128 if k <= 480 else 64
    if k > 960:  # no useful tile is small enough
        rows, columns = m, n
    size = c.itemsize
    for i in range(0, m, rows):
        for j in range(0, n, columns):
            shape = (min(columns, n - j), min(rows, m - i), k)
            a_i, b_j, c_ij = a.ctypes.data + i * k * size, b.ctypes.data + j * size, c.ctypes.data + (i * n + j) * size
            call_gemm(gemm, (_PLAIN, _PLAIN), shape, b_j, a_i, (n, k, n), beta, c_ij)


@inlined
def times(gemm, m, k, n, a, b, c):
    """C = A B with A (m, k), B (k, n), C (m, n): memory of C-contiguous arrays of one dtype, whatever their shapes."""
    _add_product(gemm, m, k, n, a, b, c, c.dtype.type(0))


@inlined
def add_times(gemm, m, k, n, a, b, c):
    """C = C + A B."""
    _add_product(gemm, m, k, n, a, b, c, c.dtype.type(1))


@inlined
def add_transposed_times(gemm, m, k, n, a, b, c):
    """C = C + A^T B with A (k, m), B (k, n), C (m, n)."""
    size, one = c.itemsize, c.dtype.type(1)
    for p in range(0, k, 128):
        for i in range(0, m, 64):
            for j in range(0, n, 64):
                shape = (min(64, n - j), min(64, m - i), min(128, k - p))
                a_pi, b_pj = a.ctypes.data + (p * m + i) * size, b.ctypes.data + (p * n + j) * size
                c_ij = c.ctypes.data + (i * n + j) * size
                call_gemm(gemm, (_PLAIN, _TRANSPOSED), shape, b_pj, a_pi, (n, m, n), one, c_ij)


@inlined
def chunk(steps, batch):
    """How many steps to gather for one share of the weight gradient: 128 rows, still in cache when they are used."""
    return min(steps, max(1, 128 // batch))


@inlined
def add_weight_gradient(gemm, start, steps, d, h, h0, dw_GH):
    """dW += sum over `steps` steps from `start` of d_t (outer) h_{t-1}, h_{-1} being h0 (B, H); d has these, h all."""
    (gates, hidden), batch = dw_GH.shape, h0.size // dw_GH.shape[1]
    if start > 0:
        add_transposed_times(gemm, gates, steps * batch, hidden, d, h[start - 1], dw_GH)
    else:
        add_transposed_times(gemm, gates, batch, hidden, d, h0, dw_GH)
        if steps > 1:
            add_transposed_times(gemm, gates, (steps - 1) * batch, hidden, d[1:], h, dw_GH)


@loop
def add_rows(d_BKH, db_KH):
    """db += sum over the rows of d."""
    wide_vectors()
    for b in range(d_BKH.shape[0]):
        for k in range(d_BKH.shape[1]):
            for j in range(d_BKH.shape[2]):
                db_KH[k, j] += d_BKH[b, k, j]
