# mypy: allow-untyped-defs, allow-untyped-calls
"""Recurrences of a matrix state whose transition is diagonal plus rank one: linear attention, delta rule, Mamba-2.

    u_t = S_{t-1}' a_t
    S_t = diag(w_t) S_{t-1} + b_t u_t' + k_t v_t'
    o_t = S_t' q_t

Shapes: R replicas, T steps, B sequences, N heads, K rows and V columns of the state of a head; M = B * N. W is K, or 1
where a head has one factor for all rows. A is K, or 0 without the part of rank one. Each state of each head is one
loop over time, so that it stays in cache.

Only the states after every C-th step are kept, about sqrt(T) of them. The backward pass computes the states between
them again, C at a time, with the same code and so with the same bits.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, check_shapes, contiguous
from farback.kernels.jit import kernel, summing_loop


@summing_loop
def _step(w_W, a_A, b_A, k_K, v_V, q_K, before_KV, after_KV, u_V, o_V):
    """Write u, the state after a step and the output."""
    K, V = before_KV.shape
    for j in range(V):
        o_V[j] = 0
        u_V[j] = 0
    if a_A.size:
        for i in range(K):
            for j in range(V):
                u_V[j] += a_A[i] * before_KV[i, j]
    for i in range(K):
        w, k, q = w_W[min(i, w_W.size - 1)], k_K[i], q_K[i]
        if a_A.size:
            b = b_A[i]
            for j in range(V):
                s = w * before_KV[i, j] + k * v_V[j] + b * u_V[j]
                after_KV[i, j] = s
                o_V[j] += q * s
        else:
            for j in range(V):
                s = w * before_KV[i, j] + k * v_V[j]
                after_KV[i, j] = s
                o_V[j] += q * s


@summing_loop
def _step_back(
    w_W, a_A, b_A, k_K, v_V, q_K, before_KV, after_KV, u_V, do_V, d_KV, du_V, dw_W, da_A, db_A, dk_K, dv_V, dq_K
):
    """Write the gradients of a step; d is the gradient of the state after the step, then of the state before it."""
    K, V = before_KV.shape
    zero = d_KV.dtype.type(0)
    for j in range(V):
        dv_V[j] = 0
        du_V[j] = 0
    for i in range(dw_W.size):
        dw_W[i] = 0
    for i in range(K):
        last, k, q = min(i, w_W.size - 1), k_K[i], q_K[i]
        w = w_W[last]
        dw, db, dk, dq = zero, zero, zero, zero
        if a_A.size:
            b = b_A[i]
            for j in range(V):
                d = d_KV[i, j] + q * do_V[j]
                dq += after_KV[i, j] * do_V[j]
                dk += d * v_V[j]
                dw += d * before_KV[i, j]
                db += d * u_V[j]
                dv_V[j] += k * d
                du_V[j] += b * d
                d_KV[i, j] = d
            db_A[i] = db
        else:
            for j in range(V):
                d = d_KV[i, j] + q * do_V[j]
                dq += after_KV[i, j] * do_V[j]
                dk += d * v_V[j]
                dw += d * before_KV[i, j]
                dv_V[j] += k * d
                d_KV[i, j] = w * d
        dw_W[last] += dw
        dk_K[i] = dk
        dq_K[i] = dq
    if a_A.size:
        for i in range(K):
            w, a, da = w_W[min(i, w_W.size - 1)], a_A[i], zero
            for j in range(V):
                da += before_KV[i, j] * du_V[j]
                d_KV[i, j] = w * d_KV[i, j] + a * du_V[j]
            da_A[i] = da


@summing_loop
def _copy(x_KV, y_KV):
    for i in range(x_KV.shape[0]):
        for j in range(x_KV.shape[1]):
            y_KV[i, j] = x_KV[i, j]


@kernel
def _forward(w_RTMW, a_RTMA, b_RTMA, k_RTMK, v_RTMV, q_RTMK, s_RMCKV, o_RTMV, last_RMKV, stride):
    """Write the outputs, the states before every C-th step to `s`, where the first is given, and the last state."""
    R, T, M, V = v_RTMV.shape
    K = k_RTMK.shape[3]
    states_2KV = np.empty((2, K, V), v_RTMV.dtype)
    u_V = np.empty(V, v_RTMV.dtype)
    for r in range(R):
        for m in range(M):
            _copy(s_RMCKV[r, m, 0], states_2KV[0])
            for t in range(T):
                before_KV, after_KV = states_2KV[t % 2], states_2KV[(t + 1) % 2]
                if t % stride == 0 and t > 0:
                    _copy(before_KV, s_RMCKV[r, m, t // stride])
                w_W, a_A, b_A, k_K = w_RTMW[r, t, m], a_RTMA[r, t, m], b_RTMA[r, t, m], k_RTMK[r, t, m]
                _step(w_W, a_A, b_A, k_K, v_RTMV[r, t, m], q_RTMK[r, t, m], before_KV, after_KV, u_V, o_RTMV[r, t, m])
            _copy(states_2KV[T % 2], last_RMKV[r, m])


@kernel
def _backward(do_RTMV, w_RTMW, a_RTMA, b_RTMA, k_RTMK, v_RTMV, q_RTMK, s_RMCKV, d_RMKV, dw, da, db, dk, dv, dq, stride):
    """Write all gradients; d is the gradient of the last state, then of the first."""
    R, T, M, V = v_RTMV.shape
    K = k_RTMK.shape[3]
    states_SKV = np.empty((stride + 1, K, V), v_RTMV.dtype)
    u_SV = np.empty((stride, V), v_RTMV.dtype)
    o_V, du_V = np.empty(V, v_RTMV.dtype), np.empty(V, v_RTMV.dtype)
    for r in range(R):
        for m in range(M):
            for segment in range(s_RMCKV.shape[2] - 1, -1, -1):
                first, last = segment * stride, min(T, (segment + 1) * stride)
                _copy(s_RMCKV[r, m, segment], states_SKV[0])
                for t in range(first, last):
                    n = t - first
                    w_W, a_A, b_A, k_K = w_RTMW[r, t, m], a_RTMA[r, t, m], b_RTMA[r, t, m], k_RTMK[r, t, m]
                    v_V, q_K = v_RTMV[r, t, m], q_RTMK[r, t, m]
                    _step(w_W, a_A, b_A, k_K, v_V, q_K, states_SKV[n], states_SKV[n + 1], u_SV[n], o_V)
                for t in range(last - 1, first - 1, -1):
                    n = t - first
                    w_W, a_A, b_A, k_K = w_RTMW[r, t, m], a_RTMA[r, t, m], b_RTMA[r, t, m], k_RTMK[r, t, m]
                    v_V, q_K, do_V, d_KV = v_RTMV[r, t, m], q_RTMK[r, t, m], do_RTMV[r, t, m], d_RMKV[r, m]
                    dw_W, da_A, db_A, dk_K = dw[r, t, m], da[r, t, m], db[r, t, m], dk[r, t, m]
                    _step_back(
                        w_W, a_A, b_A, k_K, v_V, q_K, states_SKV[n], states_SKV[n + 1], u_SV[n], do_V,
                        d_KV, du_V, dw_W, da_A, db_A, dk_K, dv[r, t, m], dq[r, t, m],
                    )  # fmt: skip


def _flat(x_RTBNK: Tensor) -> Any:
    """An (R, T, B, N, K) tensor as an (R, T, M, K) array."""
    return contiguous(x_RTBNK.detach()).flatten(2, 3).numpy()


class _MatrixState(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, start: Tensor, *terms: Tensor) -> tuple[Tensor, Tensor]:
        v = terms[4]
        (R, T, B, N, V), K = v.shape, start.shape[-2]
        stride = math.isqrt(T - 1) + 1
        kept = v.new_empty(R, B * N, -(-T // stride), K, V)
        kept[:, :, 0] = start.detach().flatten(1, 2)
        o, last = v.new_empty(v.shape), v.new_empty(R, B, N, K, V)
        _forward(*map(_flat, terms), kept.numpy(), _flat(o), last.flatten(1, 2).numpy(), stride)
        ctx.save_for_backward(kept, *terms)
        ctx.stride = stride
        return o, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor, dlast: Tensor) -> tuple[Tensor, ...]:
        kept, *terms = ctx.saved_tensors
        d = contiguous(dlast).clone()
        gradients = [term.new_empty(term.shape) for term in terms]
        arrays = (_flat(do), *map(_flat, terms), kept.numpy(), d.flatten(1, 2).numpy(), *map(_flat, gradients))
        _backward(*arrays, ctx.stride)
        return d, *gradients


def matrix_state(
    w_RTBNW: Tensor,
    k_RTBNK: Tensor,
    v_RTBNV: Tensor,
    q_RTBNK: Tensor,
    start_RBNKV: Tensor,
    a_RTBNK: Tensor | None = None,
    b_RTBNK: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Outputs o of all steps, (R, T, B, N, V), and the state after the last, (R, B, N, K, V).

    Without a and b the transition is diagonal. w has K factors for each head, or one. Differentiable once in every
    tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    (R, T, B, N, K), V = k_RTBNK.shape, v_RTBNV.shape[-1]
    W = 1 if w_RTBNW.shape[-1] == 1 else K
    rows = {"w": (w_RTBNW, (R, T, B, N, W)), "v": (v_RTBNV, (R, T, B, N, V)), "start": (start_RBNKV, (R, B, N, K, V))}
    named = {"k": k_RTBNK, "q": q_RTBNK, "a": a_RTBNK, "b": b_RTBNK}
    same = {name: (term, (R, T, B, N, K)) for name, term in named.items() if term is not None}
    check_shapes(DTYPES, **rows, **same)
    if (a_RTBNK is None) != (b_RTBNK is None):
        raise ValueError("a and b belong together: give both or neither")
    none = k_RTBNK.new_empty(R, T, B, N, 0)
    a, b = none if a_RTBNK is None else a_RTBNK, none if b_RTBNK is None else b_RTBNK
    o_RTBNV, last_RBNKV = _MatrixState.apply(start_RBNKV, w_RTBNW, a, b, k_RTBNK, v_RTBNV, q_RTBNK)
    return o_RTBNV, last_RBNKV
