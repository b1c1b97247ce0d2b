# mypy: allow-untyped-defs, allow-untyped-calls
"""Every recurrence whose state entries do not mix, h_t = a_t h_{t-1} + b_t, real or complex: minGRU, minLSTM, LRU.

Shapes: R replicas, T steps, B sequences, H hidden. N = B * H.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, call, checked, flat, wanted
from farback.kernels.compiled import kernel, loop


@loop
def _step(a_N, before_N, b_N, h_N):
    for n in range(h_N.size):
        h_N[n] = a_N[n] * before_N[n] + b_N[n]


@loop
def _step_back(dout_N, dh_N, a_N, before_N, da_N, db_N):
    """torch's gradient of a real loss: conjugated factors, which for real numbers are the factors."""
    for n in range(dh_N.size):
        d = dout_N[n] + dh_N[n]
        db_N[n] = d
        da_N[n] = d * before_N[n].conjugate()
        dh_N[n] = d * a_N[n].conjugate()


@kernel
def _forward(gemm, a_RTN, b_RTN, h0_RN, h_RTN):
    for r in range(h_RTN.shape[0]):
        before_N = h0_RN[r]
        for t in range(h_RTN.shape[1]):
            h_N = h_RTN[r, t]
            _step(a_RTN[r, t], before_N, b_RTN[r, t], h_N)
            before_N = h_N


@kernel
def _backward(gemm, dout_RTN, a_RTN, h0_RN, h_RTN, da_RTN, db_RTN, dh_RN):
    for r in range(h_RTN.shape[0]):
        dh_RN[r] = 0
        for t in range(h_RTN.shape[1] - 1, -1, -1):
            before_N = h_RTN[r, t - 1] if t > 0 else h0_RN[r]
            _step_back(dout_RTN[r, t], dh_RN[r], a_RTN[r, t], before_N, da_RTN[r, t], db_RTN[r, t])


class _Diagonal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
        h = torch.empty_like(b, memory_format=torch.contiguous_format)
        call(_forward, flat(a), flat(b), flat(h0), flat(h))
        ctx.save_for_backward(a, h0, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        a, h0, h = ctx.saved_tensors
        da, db, dh0 = torch.empty_like(h), torch.empty_like(h), h.new_empty(h0.shape)
        call(_backward, flat(dout), flat(a), flat(h0), flat(h), flat(da), flat(db), flat(dh0))
        return tuple(gradient if needed else None for gradient, needed in zip((da, db, dh0), ctx.needs_input_grad, strict=True))


def diagonal(a_RTBH: Tensor, b_RTBH: Tensor, h0_RBH: Tensor) -> Tensor:
    """All states h_RTBH of h_t = a_t h_{t-1} + b_t, elementwise, real or complex. Differentiable once in every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    replicas, _, batch, hidden = b_RTBH.shape
    shape = tuple(b_RTBH.shape)
    checked((*DTYPES, torch.complex64, torch.complex128), a=(a_RTBH, shape), b=(b_RTBH, shape), h0=(h0_RBH, (replicas, batch, hidden)))
    if wanted(a_RTBH, b_RTBH, h0_RBH):
        output: Tensor = _Diagonal.apply(a_RTBH, b_RTBH, h0_RBH)
        return output
    h = torch.empty_like(b_RTBH, memory_format=torch.contiguous_format)
    call(_forward, flat(a_RTBH), flat(b_RTBH), flat(h0_RBH), flat(h))
    return h
