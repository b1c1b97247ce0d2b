# mypy: allow-untyped-defs, allow-untyped-calls
"""The selective state space: units with N real modes whose decay depends on the input, without storing every step.

h_n,t = exp(delta_t A_n) h_n,t-1 + delta_t B_n,t x_t,  y_t = sum_n C_n,t h_n,t

delta, x, A and h are of each unit; all units share B and C. The recurrence alone would store three arrays of
T * B * N * H numbers. Here the coefficients are computed inside the loop, and the backward pass computes them and the
modes again, one mode of all units of one sequence at a time, in memory for 2 * T * H numbers.

Shapes: R replicas, T steps, B sequences, N modes, H units.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, arrays, check_shapes, contiguous
from farback.kernels.fast_math import exp
from farback.kernels.jit import inlined, kernel, loop


@loop
def _advance(delta_H, x_H, A_H, h_H, y_H, b, c):
    """One step in place, and its contribution to the outputs."""
    for h in range(h_H.size):
        now = exp(delta_H[h] * A_H[h]) * h_H[h] + delta_H[h] * x_H[h] * b
        h_H[h] = now
        y_H[h] += c * now


@loop
def _step(delta_H, x_H, A_H, before_H, a_H, h_H, b):
    for h in range(h_H.size):
        a = exp(delta_H[h] * A_H[h])
        a_H[h] = a
        h_H[h] = a * before_H[h] + delta_H[h] * x_H[h] * b


@loop
def _step_back(dy_H, delta_H, x_H, A_H, a_H, before_H, h_H, g_H, ddelta_H, dx_H, dA_H, db_H, dc_H, b, c):
    """The gradient of the modes before the step from that of the modes after it, in place.

    `db_H` and `dc_H` become each unit's share of the gradients of b and c.
    """
    for h in range(g_H.size):
        dy, delta, x = dy_H[h], delta_H[h], x_H[h]
        g = g_H[h] + dy * c
        exponent = g * before_H[h] * a_H[h]
        dA_H[h] += exponent * delta
        ddelta_H[h] += exponent * A_H[h] + g * x * b
        dx_H[h] += g * delta * b
        dc_H[h] = dy * h_H[h]
        db_H[h] = g * delta * x
        g_H[h] = g * a_H[h]


@inlined
def _total(values_H):
    """The sum, in eight parts that the processor adds side by side."""
    whole = values_H.size // 8 * 8
    zero = values_H.dtype.type(0)
    s0, s1, s2, s3, s4, s5, s6, s7 = zero, zero, zero, zero, zero, zero, zero, zero
    for h in range(0, whole, 8):
        s0 += values_H[h]
        s1 += values_H[h + 1]
        s2 += values_H[h + 2]
        s3 += values_H[h + 3]
        s4 += values_H[h + 4]
        s5 += values_H[h + 5]
        s6 += values_H[h + 6]
        s7 += values_H[h + 7]
    for h in range(whole, values_H.size):
        s0 += values_H[h]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@kernel
def _forward(delta, x, b, c, A, h, y):
    """`h` holds the modes (R, B, N, H) before the first step, and then those after the last."""
    for r in range(x.shape[0]):
        for i in range(x.shape[2]):
            for n in range(A.shape[1]):
                for t in range(x.shape[1]):
                    _advance(delta[r, t, i], x[r, t, i], A[r, n], h[r, i, n], y[r, t, i], b[r, t, i, n], c[r, t, i, n])


@kernel
def _backward(dy, delta, x, b, c, A, h0, ddelta, dx, db, dc, dA, g):
    """`g` holds the gradient (R, B, N, H) of the last modes, and then that of the first."""
    R, T, B, H = x.shape
    a_TH, h_TH = np.empty((T, H), x.dtype), np.empty((T, H), x.dtype)
    db_H, dc_H = np.empty(H, x.dtype), np.empty(H, x.dtype)
    for r in range(R):
        for i in range(B):
            for n in range(A.shape[1]):
                for t in range(T):
                    before_H = h_TH[t - 1] if t > 0 else h0[r, i, n]
                    _step(delta[r, t, i], x[r, t, i], A[r, n], before_H, a_TH[t], h_TH[t], b[r, t, i, n])
                for t in range(T - 1, -1, -1):
                    before_H = h_TH[t - 1] if t > 0 else h0[r, i, n]
                    now = dy[r, t, i], delta[r, t, i], x[r, t, i], A[r, n], a_TH[t], before_H, h_TH[t]
                    grads = g[r, i, n], ddelta[r, t, i], dx[r, t, i], dA[r, n], db_H, dc_H
                    _step_back(*now, *grads, b[r, t, i, n], c[r, t, i, n])
                    db[r, t, i, n] = _total(db_H)
                    dc[r, t, i, n] = _total(dc_H)


class _Selective(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        h = contiguous(arguments[-1]).clone()
        y = torch.zeros_like(arguments[0], memory_format=torch.contiguous_format)
        _forward(*arrays(*arguments[:-1], h, y))
        ctx.save_for_backward(*arguments)
        return y, h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dh: Tensor) -> tuple[Tensor, ...]:
        arguments = ctx.saved_tensors
        grads = [torch.zeros_like(part, memory_format=torch.contiguous_format) for part in arguments[:-1]]
        grads.append(contiguous(dh).clone())
        _backward(*arrays(dy, *arguments, *grads))
        return tuple(grads)


def scan(
    delta_RTBH: Tensor, x_RTBH: Tensor, b_RTBN: Tensor, c_RTBN: Tensor, A_RNH: Tensor, h_RBNH: Tensor
) -> tuple[Tensor, Tensor]:
    """Outputs y (R, T, B, H) of all steps and the modes after the last, (R, B, N, H). Differentiable once in each.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    (R, T, B, H), N = x_RTBH.shape, A_RNH.shape[1]
    check_shapes(
        DTYPES,
        x=(x_RTBH, (R, T, B, H)),
        delta=(delta_RTBH, (R, T, B, H)),
        b=(b_RTBN, (R, T, B, N)),
        c=(c_RTBN, (R, T, B, N)),
        A=(A_RNH, (R, N, H)),
        h=(h_RBNH, (R, B, N, H)),
    )
    y_RTBH, last_RBNH = _Selective.apply(delta_RTBH, x_RTBH, b_RTBN, c_RTBN, A_RNH, h_RBNH)
    return y_RTBH, last_RBNH


def example(dtype: torch.dtype) -> list[Tensor]:
    """The smallest arguments of `scan`."""
    sizes = [(1, 1, 1, 1)] * 4 + [(1, 1, 1), (1, 1, 1, 1)]
    return [torch.zeros(size, dtype=dtype) for size in sizes]
