# mypy: allow-untyped-defs, allow-untyped-calls
"""Recurrences in which state entries do not mix, h_t = a_t h_{t-1} + b_t, real or complex: minGRU, minLSTM, LRU.

Shapes: R replicas, T steps, B sequences, H hidden. N = B * H.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, check_shapes, contiguous
from farback.kernels.jit import kernel, loop


@loop
def _step(a_N, before_N, b_N, h_N):
    for n in range(h_N.size):
        h_N[n] = a_N[n] * before_N[n] + b_N[n]


@loop
def _step_back(dout_N, dh_N, a_N, before_N, da_N, db_N):
    """The gradient of a real loss in torch's convention: complex factors are conjugated."""
    for n in range(dh_N.size):
        d = dout_N[n] + dh_N[n]
        db_N[n] = d
        da_N[n] = d * before_N[n].conjugate()
        dh_N[n] = d * a_N[n].conjugate()


@kernel
def _forward(a_RTN, b_RTN, h0_RN, h_RTN):
    for r in range(h_RTN.shape[0]):
        before_N = h0_RN[r]
        for t in range(h_RTN.shape[1]):
            h_N = h_RTN[r, t]
            _step(a_RTN[r, t], before_N, b_RTN[r, t], h_N)
            before_N = h_N


@kernel
def _backward(dout_RTN, a_RTN, h0_RN, h_RTN, da_RTN, db_RTN, dh_RN):
    for r in range(h_RTN.shape[0]):
        for t in range(h_RTN.shape[1] - 1, -1, -1):
            before_N = h_RTN[r, t - 1] if t > 0 else h0_RN[r]
            _step_back(dout_RTN[r, t], dh_RN[r], a_RTN[r, t], before_N, da_RTN[r, t], db_RTN[r, t])


def _run(compiled: Any, *tensors: Tensor) -> None:
    """Call compiled code with (R, ..., B, H) tensors as (R, ..., N) arrays."""
    compiled(*(contiguous(tensor.detach()).flatten(-2).numpy() for tensor in tensors))


class _Diagonal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
        h = b.new_empty(b.shape)
        _run(_forward, a, b, h0, h)
        ctx.save_for_backward(a, h0, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        a, h0, h = ctx.saved_tensors
        da, db, dh0 = h.new_empty(h.shape), h.new_empty(h.shape), h.new_zeros(h0.shape)
        _run(_backward, dout, a, h0, h, da, db, dh0)
        return da, db, dh0


def diagonal(a_RTBH: Tensor, b_RTBH: Tensor, h0_RBH: Tensor) -> Tensor:
    """All states h_RTBH of h_t = a_t h_{t-1} + b_t, elementwise, real or complex. Differentiable once in every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    (replicas, _, batch, hidden), dtypes = b_RTBH.shape, (*DTYPES, torch.complex64, torch.complex128)
    shape = tuple(b_RTBH.shape)
    check_shapes(dtypes, a=(a_RTBH, shape), b=(b_RTBH, shape), h0=(h0_RBH, (replicas, batch, hidden)))
    h_RTBH: Tensor = _Diagonal.apply(a_RTBH, b_RTBH, h0_RBH)
    return h_RTBH
