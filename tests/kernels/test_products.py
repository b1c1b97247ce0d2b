"""The products inside the kernels against numpy, and the number of their threads."""

import numpy as np
import pytest
import threadpoolctl
import torch
from numba import njit

from farback.kernels import products


@njit
def every_product(gemm, a_MK, b_KN, d_MN, times_MN, added_MN, transposed_KN):
    (m, k), n = a_MK.shape, b_KN.shape[1]
    products.times(gemm, m, k, n, a_MK, b_KN, times_MN)
    products.add_times(gemm, m, k, n, a_MK, b_KN, added_MN)
    products.add_transposed_times(gemm, k, m, n, a_MK, d_MN, transposed_KN)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_equal_numpy_at_every_size(dtype):
    """Below, at and above the sizes of the tiles, and where no tile is small enough."""
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


def test_products_use_one_thread_whatever_happened_before():
    threadpoolctl.threadpool_limits(2)
    products.gemm(torch.float32)
    assert {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"} == {
        1
    }
