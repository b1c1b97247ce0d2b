# mypy: allow-untyped-defs, allow-untyped-calls
"""Oscillators with constant coefficients: z_t = p z_{t-1} - q x_{t-1} + f_t, x_t = x_{t-1} + d z_t.

Shapes: R replicas, T steps, B sequences, K forces of each oscillator, H oscillators.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, arrays, check_shapes, contiguous
from farback.kernels.jit import kernel, loop


@loop
def _step(p_H, q_H, d_H, f_H, before_z_H, before_x_H, z_H, x_H):
    for h in range(z_H.size):
        z = p_H[h] * before_z_H[h] - q_H[h] * before_x_H[h] + f_H[h]
        z_H[h] = z
        x_H[h] = before_x_H[h] + d_H[h] * z


@loop
def _step_back(p_H, q_H, d_H, before_z_H, before_x_H, z_H, dx_H, gz_H, gx_H, dp_H, dq_H, dd_H, df_H):
    """The gradients gz and gx of the state before the step from those of the state after it, in place."""
    for h in range(z_H.size):
        gx = gx_H[h] + dx_H[h]
        gz = gz_H[h] + d_H[h] * gx
        dd_H[h] += gx * z_H[h]
        dp_H[h] += gz * before_z_H[h]
        dq_H[h] -= gz * before_x_H[h]
        df_H[h] = gz
        gz_H[h] = gz * p_H[h]
        gx_H[h] = gx - gz * q_H[h]


@kernel
def _forward(p, q, d, f, z0, x0, z, x):
    R, T, B, K, _ = f.shape
    for r in range(R):
        for t in range(T):
            before_z, before_x = (z[r, t - 1], x[r, t - 1]) if t > 0 else (z0[r], x0[r])
            for b in range(B):
                for k in range(K):
                    before = before_z[b, k], before_x[b, k]
                    _step(p[r], q[r], d[r], f[r, t, b, k], before[0], before[1], z[r, t, b, k], x[r, t, b, k])


@kernel
def _backward(dx, p, q, d, z0, x0, z, x, dp, dq, dd, df, gz, gx):
    """`gz` and `gx` hold the gradients (R, B, K, H) of the last state, and then those of the first."""
    R, T, B, K, _ = z.shape
    for r in range(R):
        for t in range(T - 1, -1, -1):
            before_z, before_x = (z[r, t - 1], x[r, t - 1]) if t > 0 else (z0[r], x0[r])
            for b in range(B):
                for k in range(K):
                    state = before_z[b, k], before_x[b, k], z[r, t, b, k], dx[r, t, b, k]
                    _step_back(p[r], q[r], d[r], *state, gz[r, b, k], gx[r, b, k], dp[r], dq[r], dd[r], df[r, t, b, k])


class _Oscillator(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        p, q, d, f, z0, x0 = arguments
        z, x = f.new_empty(f.shape), f.new_empty(f.shape)
        _forward(*arrays(p, q, d, f, z0, x0, z, x))
        ctx.save_for_backward(p, q, d, z0, x0, z, x)
        return x, z[:, -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dx: Tensor, dz: Tensor) -> tuple[Tensor, ...]:
        p, q, d, z0, x0, z, x = ctx.saved_tensors
        df = z.new_empty(z.shape)
        grads = [z.new_zeros(p.shape) for _ in range(3)]
        gz, gx = contiguous(dz).clone(), z.new_zeros(x0.shape)
        _backward(*arrays(dx, p, q, d, z0, x0, z, x, *grads, df, gz, gx))
        return *grads, df, gz, gx


def scan(
    p_RH: Tensor, q_RH: Tensor, d_RH: Tensor, f_RTBKH: Tensor, z_RBKH: Tensor, x_RBKH: Tensor
) -> tuple[Tensor, Tensor]:
    """x of all steps, (R, T, B, K, H), and z after the last, (R, B, K, H). Differentiable once in every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    R, T, B, K, H = f_RTBKH.shape
    constant = {"p": (p_RH, (R, H)), "q": (q_RH, (R, H)), "d": (d_RH, (R, H))}
    state = {"z": (z_RBKH, (R, B, K, H)), "x": (x_RBKH, (R, B, K, H))}
    check_shapes(DTYPES, f=(f_RTBKH, (R, T, B, K, H)), **constant, **state)
    x_RTBKH, last_RBKH = _Oscillator.apply(p_RH, q_RH, d_RH, f_RTBKH, z_RBKH, x_RBKH)
    return x_RTBKH, last_RBKH


def example(dtype: torch.dtype) -> list[Tensor]:
    """The smallest arguments of `scan`."""
    sizes = [(1, 1)] * 3 + [(1, 1, 1, 1, 1)] + [(1, 1, 1, 1)] * 2
    return [torch.zeros(size, dtype=dtype) for size in sizes]
