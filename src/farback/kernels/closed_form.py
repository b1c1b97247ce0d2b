# mypy: allow-untyped-defs, allow-untyped-calls
"""The recurrence of the closed-form continuous-time cell: two products in a step, through a backbone of U units.

b_t = 1.7159 tanh(0.666 (x_t + A h_{t-1})),  f, g, r = W b_t + c
h_t = (1 - s) tanh(f) + s tanh(g),  s = sigmoid(r)

Shapes: R replicas, T steps, B sequences, U units of the backbone, H hidden units; W has 3 H rows.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, arrays, check_shapes
from farback.kernels.fast_math import like, sigmoid, sigmoid_slope, tanh, tanh_slope
from farback.kernels.gemm import add_transposed_product, gemm, product
from farback.kernels.jit import kernel, loop
from farback.kernels.time_loop import add, copy, transpose

HEIGHT, SLOPE = 1.7159, 0.666  # of the backbone's tanh (LeCun et al. 1998)


@loop
def _backbone(b_BU):
    """The nonlinearity, in place."""
    for i in range(b_BU.shape[0]):
        for u in range(b_BU.shape[1]):
            b = b_BU[i, u]
            b_BU[i, u] = like(b, HEIGHT) * tanh(like(b, SLOPE) * b)


@loop
def _backbone_back(b_BU, d_BU):
    """From the gradient of b that of its argument, in place."""
    for i in range(b_BU.shape[0]):
        for u in range(b_BU.shape[1]):
            b = b_BU[i, u]
            d_BU[i, u] *= like(b, HEIGHT * SLOPE) * tanh_slope(b * like(b, 1 / HEIGHT))


@loop
def _heads(c_1M, y_BM, h_BH):
    """Add the bias, apply the nonlinearities in place, and write h."""
    H = h_BH.shape[1]
    for i in range(h_BH.shape[0]):
        for j in range(H):
            f, g = tanh(y_BM[i, j] + c_1M[0, j]), tanh(y_BM[i, H + j] + c_1M[0, H + j])
            s = sigmoid(y_BM[i, 2 * H + j] + c_1M[0, 2 * H + j])
            y_BM[i, j] = f
            y_BM[i, H + j] = g
            y_BM[i, 2 * H + j] = s
            h_BH[i, j] = f + s * (g - f)


@loop
def _heads_back(y_BM, dh_BH, d_BM, dc_1M):
    """The gradient of the heads before their nonlinearities; adds it to that of the bias."""
    H = dh_BH.shape[1]
    for i in range(dh_BH.shape[0]):
        for j in range(H):
            f, g, s, d = y_BM[i, j], y_BM[i, H + j], y_BM[i, 2 * H + j], dh_BH[i, j]
            df, dg = (d - d * s) * tanh_slope(f), d * s * tanh_slope(g)
            ds = d * (g - f) * sigmoid_slope(s)
            d_BM[i, j] = df
            d_BM[i, H + j] = dg
            d_BM[i, 2 * H + j] = ds
            dc_1M[0, j] += df
            dc_1M[0, H + j] += dg
            dc_1M[0, 2 * H + j] += ds


@kernel
def _forward(gemm, x, a, w, c, h, b, y):
    """`h` has the first state at step 0; h, b and the heads after their nonlinearities are written, all steps."""
    R, T, B, U = x.shape
    H, M = a.shape[2], w.shape[1]
    a_HU, w_UM = np.empty((H, U), x.dtype), np.empty((U, M), x.dtype)
    for r in range(R):
        transpose(a[r], 0, a_HU)
        transpose(w[r], 0, w_UM)
        for t in range(T):
            copy(x[r, t], b[r, t])
            product(gemm, B, H, U, (h[r, t], 0, H), (a_HU, 0, U), (b[r, t], 0, U), 1)
            _backbone(b[r, t])
            product(gemm, B, U, M, (b[r, t], 0, U), (w_UM, 0, M), (y[r, t], 0, M), 0)
            _heads(c[r], y[r, t], h[r, t + 1])


@kernel
def _backward(gemm, dout, a, w, h, b, y, dx, da, dw, dc, dh):
    """Write all gradients; `dh` is that of the last state, then of the first; da, dw and dc begin as zero."""
    R, T, B, U = dx.shape
    H, M = a.shape[2], w.shape[1]
    d_TBM = np.empty((T, B, M), dx.dtype)
    for r in range(R):
        for t in range(T - 1, -1, -1):
            add(dout[r, t], dh[r])
            _heads_back(y[r, t], dh[r], d_TBM[t], dc[r])
            product(gemm, B, M, U, (d_TBM[t], 0, M), (w[r], 0, U), (dx[r, t], 0, U), 0)
            _backbone_back(b[r, t], dx[r, t])
            product(gemm, B, U, H, (dx[r, t], 0, U), (a[r], 0, H), (dh[r], 0, H), 0)
        add_transposed_product(gemm, U, T * B, H, (dx[r], 0, U), (h[r], 0, H), (da[r], 0, H))
        add_transposed_product(gemm, M, T * B, U, (d_TBM, 0, M), (b[r], 0, U), (dw[r], 0, U))


class _ClosedForm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        x, a, w, c, start = arguments
        (R, T, B), H = x.shape[:3], a.shape[-1]
        h = x.new_empty(R, T + 1, B, H)
        h[:, 0] = start.detach()
        b, y = x.new_empty(x.shape), x.new_empty(R, T, B, 3 * H)
        _forward(gemm(x.dtype), *arrays(x, a, w, c.unsqueeze(1), h, b, y))
        ctx.save_for_backward(a, w, h, b, y)
        return h[:, 1:].contiguous(), h[:, T].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor, dlast: Tensor) -> tuple[Tensor, ...]:
        a, w, h, b, y = ctx.saved_tensors
        dh = dlast.contiguous().clone()
        dx, da, dw, dc = (
            b.new_empty(b.shape),
            a.new_zeros(a.shape),
            w.new_zeros(w.shape),
            w.new_zeros(len(w), 1, w.shape[1]),
        )
        _backward(gemm(b.dtype), *arrays(dout, a, w, h, b, y, dx, da, dw, dc, dh))
        return dx, da, dw, dc.squeeze(1), dh


def scan(x_RTBU: Tensor, a_RUH: Tensor, w_RMU: Tensor, c_RM: Tensor, h_RBH: Tensor) -> tuple[Tensor, Tensor]:
    """h of all steps, (R, T, B, H), and h after the last. Differentiable once in every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    (R, T, B, U), H = x_RTBU.shape, a_RUH.shape[-1]
    check_shapes(
        DTYPES,
        x=(x_RTBU, (R, T, B, U)),
        a=(a_RUH, (R, U, H)),
        w=(w_RMU, (R, 3 * H, U)),
        c=(c_RM, (R, 3 * H)),
        h=(h_RBH, (R, B, H)),
    )
    h_RTBH, last_RBH = _ClosedForm.apply(x_RTBU, a_RUH, w_RMU, c_RM, h_RBH)
    return h_RTBH, last_RBH


def example(dtype: torch.dtype) -> list[Tensor]:
    """The smallest arguments of `scan`."""
    return [torch.zeros(size, dtype=dtype) for size in [(1, 1, 1, 1), (1, 1, 1), (1, 3, 1), (1, 3), (1, 1, 1)]]
