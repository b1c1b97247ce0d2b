"""The products inside the kernels against numpy, and the number of their threads."""

import numpy as np
import pytest
import threadpoolctl
import torch
from numba import njit

from farback.kernels import gemm as products


@njit
def every_product(gemm, a_MK, b_KN, d_MN, times_MN, added_MN, transposed_KN):
    (m, k), n = a_MK.shape, b_KN.shape[1]
    a, b, d = (a_MK, 0, k), (b_KN, 0, n), (d_MN, 0, n)
    products.product(gemm, m, k, n, a, b, (times_MN, 0, n), 0)
    products.product(gemm, m, k, n, a, b, (added_MN, 0, n), 1)
    products.add_transposed_product(gemm, k, m, n, a, d, (transposed_KN, 0, n))


@njit
def products_of_parts(gemm, a_MK, b_KN, times_MN, transposed_KK):
    """Products without the first and the last column of `a`, and without the first two columns of `b`."""
    (m, k), n = a_MK.shape, b_KN.shape[1]
    products.product(gemm, m, k - 2, n - 2, (a_MK, 1, k), (b_KN, 2, n), (times_MN, 2, n), 0)
    products.add_transposed_product(gemm, k - 2, m, k - 1, (a_MK, 1, k), (a_MK, 1, k), (transposed_KK, 1, k))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_equal_numpy_at_every_size(dtype):
    """Sizes below, at and above the tiles, and sizes for which no tile is small enough."""
    rng = np.random.default_rng(0)
    tolerance = 1e-3 if dtype is torch.float32 else 1e-11
    for m, k, n in [(1, 1, 1), (3, 17, 5), (33, 64, 129), (40, 250, 130), (130, 500, 70), (7, 1000, 300)]:
        a, b, d, c, e = (
            torch.from_numpy(rng.normal(size=size)).to(dtype).numpy()
            for size in ((m, k), (k, n), (m, n), (m, n), (k, n))
        )
        times, added, transposed = np.full_like(c, np.nan), c.copy(), e.copy()
        every_product(products.gemm(dtype), a, b, d, times, added, transposed)
        np.testing.assert_allclose(times, a @ b, rtol=0, atol=tolerance)
        np.testing.assert_allclose(added, c + a @ b, rtol=0, atol=tolerance)
        np.testing.assert_allclose(transposed, e + a.T @ d, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parts_of_arrays_are_multiplied_in_place(dtype):
    """Elements outside the parts are neither read nor written."""
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.normal(size=size)).to(dtype).numpy() for size in ((40, 71), (69, 90)))
    a[:, [0, -1]] = b[:, :2] = np.nan
    times, transposed = np.full((40, 90), np.nan, a.dtype), np.zeros((69, 71), a.dtype)
    products_of_parts(products.gemm(dtype), a, b, times, transposed)
    np.testing.assert_allclose(times[:, 2:], a[:, 1:-1] @ b[:, 2:], rtol=0, atol=1e-4)
    assert np.isnan(times[:, :2]).all()
    np.testing.assert_allclose(transposed[:, 1:-1], a[:, 1:-1].T @ a[:, 1:-1], rtol=0, atol=1e-4)
    assert (transposed[:, 0] == 0).all()


def test_products_use_one_thread_after_another_limit_was_set():
    threadpoolctl.threadpool_limits(2)
    products.gemm(torch.float32)
    assert {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"} == {
        1
    }
