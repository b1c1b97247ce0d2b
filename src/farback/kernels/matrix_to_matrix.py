# mypy: allow-untyped-defs, allow-untyped-calls
"""The nonlinear recurrence of a matrix state whose rows all have the same recurrent matrix.

C_t = tanh(S_{t-1} W' + k_t v_t'),  S_t = f_t S_{t-1} + (1 - f_t) C_t,  o_t = S_t' q_t

Shapes: R replicas, T steps, B sequences, N heads, K rows and V columns of the state of a head. The rows of all
sequences of a head are one matrix, so that a step is one product.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, arrays, check_shapes
from farback.kernels.fast_math import like, tanh, tanh_slope
from farback.kernels.gemm import add_transposed_product, gemm, product
from farback.kernels.jit import kernel, loop, summing_loop
from farback.kernels.time_loop import transpose


@loop
def _step(f, k_K, v_V, q_K, before_KV, after_KV, c_KV, o_V):
    """From S W' in `c`: write C to it, the state after the step, and the output."""
    new = like(f, 1) - f
    for j in range(v_V.size):
        o_V[j] = 0
    for i in range(k_K.size):
        k, q = k_K[i], q_K[i]
        for j in range(v_V.size):
            c = tanh(c_KV[i, j] + k * v_V[j])
            s = f * before_KV[i, j] + new * c
            c_KV[i, j] = c
            after_KV[i, j] = s
            o_V[j] += q * s


@summing_loop
def _step_back(f, k_K, v_V, q_K, before_KV, c_KV, do_V, d_KV, g_KV, df_1, dk_K, dv_V, dq_K):
    """Write the gradients of a step, g of what tanh is taken of; d becomes what passes by the product."""
    new, zero = like(f, 1) - f, like(f, 0)
    for j in range(v_V.size):
        dv_V[j] = 0
    df = zero
    for i in range(k_K.size):
        k, q, dk, dq = k_K[i], q_K[i], zero, zero
        for j in range(v_V.size):
            d, c, before = d_KV[i, j] + q * do_V[j], c_KV[i, j], before_KV[i, j]
            g = d * new * tanh_slope(c)
            dq += (f * before + new * c) * do_V[j]
            dk += g * v_V[j]
            df += d * (before - c)
            dv_V[j] += g * k
            g_KV[i, j] = g
            d_KV[i, j] = f * d
        dk_K[i] = dk
        dq_K[i] = dq
    df_1[0] = df


@kernel
def _forward(gemm, f, k, v, q, w, s, c, o):
    """`s` has the first state at step 0; S and C of all steps are written, and the outputs."""
    R, T, B, N, K = k.shape
    V = v.shape[4]
    turned_VV = np.empty((V, V), v.dtype)
    for r in range(R):
        for n in range(N):
            transpose(w[r, n], 0, turned_VV)
            for t in range(T):
                product(gemm, B * K, V, V, (s[r, n, t], 0, V), (turned_VV, 0, V), (c[r, n, t], 0, V), 0)
                for b in range(B):
                    terms = f[r, t, b, n], k[r, t, b, n], v[r, t, b, n], q[r, t, b, n]
                    _step(*terms, s[r, n, t, b], s[r, n, t + 1, b], c[r, n, t, b], o[r, t, b, n])


@kernel
def _backward(gemm, do, f, k, v, q, w, s, c, d, df, dk, dv, dq, dw):
    """Write all gradients; `d`, (R, N, B, K, V), is that of the last state, then of the first; `dw` begins as zero."""
    R, T, B, N, K = k.shape
    V = v.shape[4]
    g_BKV = np.empty((B, K, V), v.dtype)
    for r in range(R):
        for n in range(N):
            for t in range(T - 1, -1, -1):
                for b in range(B):
                    terms = f[r, t, b, n], k[r, t, b, n], v[r, t, b, n], q[r, t, b, n]
                    states = s[r, n, t, b], c[r, n, t, b], do[r, t, b, n], d[r, n, b]
                    grads = df[r, t, b, n], dk[r, t, b, n], dv[r, t, b, n], dq[r, t, b, n]
                    _step_back(*terms, *states, g_BKV[b], *grads)
                add_transposed_product(gemm, V, B * K, V, (g_BKV, 0, V), (s[r, n, t], 0, V), (dw[r, n], 0, V))
                product(gemm, B * K, V, V, (g_BKV, 0, V), (w[r, n], 0, V), (d[r, n], 0, V), 1)


class _MatrixToMatrix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        *terms, start = arguments
        k, v = terms[1], terms[2]
        (R, T, B, N, K), V = k.shape, v.shape[-1]
        s, c = v.new_empty(R, N, T + 1, B, K, V), v.new_empty(R, N, T, B, K, V)
        s[:, :, 0] = start.detach().transpose(1, 2)
        o = v.new_empty(v.shape)
        _forward(gemm(v.dtype), *arrays(*terms, s, c, o))
        ctx.save_for_backward(*terms, s, c)
        return o, s[:, :, T].transpose(1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor, dlast: Tensor) -> tuple[Tensor, ...]:
        *terms, s, c = ctx.saved_tensors
        f, k, v, q, w = terms
        d = dlast.transpose(1, 2).contiguous()
        d = d.clone() if d.data_ptr() == dlast.data_ptr() else d
        grads = [part.new_empty(part.shape) for part in (f.unsqueeze(-1), k, v, q)]
        dw = w.new_zeros(w.shape)
        _backward(gemm(v.dtype), *arrays(do, *terms, s, c, d, *grads, dw))
        return grads[0].squeeze(-1), *grads[1:], dw, d.transpose(1, 2)


def scan(
    f_RTBN: Tensor, k_RTBNK: Tensor, v_RTBNV: Tensor, q_RTBNK: Tensor, w_RNVV: Tensor, s_RBNKV: Tensor
) -> tuple[Tensor, Tensor]:
    """Outputs o of all steps, (R, T, B, N, V), and the state after the last, (R, B, N, K, V).

    Differentiable once in every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    (R, T, B, N, K), V = k_RTBNK.shape, v_RTBNV.shape[-1]
    check_shapes(
        DTYPES,
        k=(k_RTBNK, (R, T, B, N, K)),
        f=(f_RTBN, (R, T, B, N)),
        v=(v_RTBNV, (R, T, B, N, V)),
        q=(q_RTBNK, (R, T, B, N, K)),
        w=(w_RNVV, (R, N, V, V)),
        s=(s_RBNKV, (R, B, N, K, V)),
    )
    o_RTBNV, last_RBNKV = _MatrixToMatrix.apply(f_RTBN, k_RTBNK, v_RTBNV, q_RTBNK, w_RNVV, s_RBNKV)
    return o_RTBNV, last_RBNKV


def example(dtype: torch.dtype) -> list[Tensor]:
    """The smallest arguments of `scan`."""
    sizes = [(1, 1, 1, 1)] + [(1, 1, 1, 1, 1)] * 3 + [(1, 1, 1, 1)] + [(1, 1, 1, 1, 1)]
    return [torch.zeros(size, dtype=dtype) for size in sizes]
