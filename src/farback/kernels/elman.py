# mypy: allow-untyped-defs, allow-untyped-calls
"""Elman's recurrence h_t = f(gates_t + W_hh h_{t-1} + b_hh), forward and backward through time.

Shapes: R replicas, T steps, B sequences, H hidden. N = B * H where a loop runs over the flat state.
"""

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, call, checked, wanted
from farback.kernels.compiled import copy_with, kernel, loop
from farback.kernels.nonlinearities import NONLINEARITIES
from farback.kernels.products import add_rows, times, times_transposed, weight_gradient

_value: Any = None  # `_kernels` puts the nonlinearity and the loops made with it here
_slope: Any = None
_activated: Any = None
_activated_and_kept: Any = None
_through: Any = None
_through_output: Any = None


def _activated_template(gates_N, bias_N, h_N):
    for n in range(h_N.size):
        h_N[n] = _value(gates_N[n] + (h_N[n] + bias_N[n]))


def _activated_and_kept_template(gates_N, bias_N, h_N, x_N):
    for n in range(h_N.size):
        x = gates_N[n] + (h_N[n] + bias_N[n])
        x_N[n] = x
        h_N[n] = _value(x)


def _through_output_template(dout_N, dh_N, h_N, d_N, db_N):
    for n in range(d_N.size):
        d = (dout_N[n] + dh_N[n]) * _slope(h_N[n], h_N[n])
        d_N[n] = d
        db_N[n] += d


def _through_template(dout_N, dh_N, x_N, h_N, d_N, db_N):
    for n in range(d_N.size):
        d = (dout_N[n] + dh_N[n]) * _slope(x_N[n], h_N[n])
        d_N[n] = d
        db_N[n] += d


def _forward(gemm, gates_RTBH, w_RHH, b_RH, h0_RBH, h_RTBH, x_RTBH):
    replicas, steps, batch, hidden = gates_RTBH.shape
    keep = x_RTBH.shape[1] == steps
    bias_BH = np.empty((batch, hidden), b_RH.dtype)  # a whole (B, H): one flat loop makes whole vectors at every H
    for r in range(replicas):
        for b in range(batch):
            bias_BH[b] = b_RH[r]
        before_BH = h0_RBH[r]
        for t in range(steps):
            h_BH = h_RTBH[r, t]
            times_transposed(gemm, before_BH, w_RHH[r], h_BH)
            if keep:
                _activated_and_kept(gates_RTBH[r, t].ravel(), bias_BH.ravel(), h_BH.ravel(), x_RTBH[r, t].ravel())
            else:
                _activated(gates_RTBH[r, t].ravel(), bias_BH.ravel(), h_BH.ravel())
            before_BH = h_BH


def _backward(gemm, dout_RTBH, w_RHH, h0_RBH, h_RTBH, x_RTBH, d_RTBH, dw_RHH, db_RH, dh0_RBH):
    replicas, steps, batch, hidden = d_RTBH.shape
    kept = x_RTBH.shape[1] == steps
    db_BH = np.empty((batch, hidden), w_RHH.dtype)
    for r in range(replicas):
        dh_BH = dh0_RBH[r]
        dh_BH[:] = 0
        db_BH[:] = 0
        for t in range(steps - 1, -1, -1):
            d_BH = d_RTBH[r, t]
            if kept:
                _through(dout_RTBH[r, t].ravel(), dh_BH.ravel(), x_RTBH[r, t].ravel(), h_RTBH[r, t].ravel(), d_BH.ravel(), db_BH.ravel())
            else:
                _through_output(dout_RTBH[r, t].ravel(), dh_BH.ravel(), h_RTBH[r, t].ravel(), d_BH.ravel(), db_BH.ravel())
            times(gemm, d_BH, w_RHH[r], dh_BH)
        add_rows(db_BH, db_RH[r])
        if dw_RHH.shape[0]:  # empty where no gradient for the weights is asked for
            weight_gradient(gemm, d_RTBH[r], h_RTBH[r], h0_RBH[r], dw_RHH[r])


@functools.cache
def _kernels(nonlinearity: str) -> tuple[Any, Any]:
    """The (forward, backward) kernels with this nonlinearity compiled in."""
    value, slope, _ = NONLINEARITIES[nonlinearity]
    inner = {"_value": value, "_slope": slope}
    loops = {
        name: loop(copy_with(template, nonlinearity, **inner))
        for name, template in [
            ("_activated", _activated_template),
            ("_activated_and_kept", _activated_and_kept_template),
            ("_through", _through_template),
            ("_through_output", _through_output_template),
        ]
    }
    return kernel(copy_with(_forward, nonlinearity, **loops)), kernel(copy_with(_backward, nonlinearity, **loops))


def _run(nonlinearity: str, keep: bool, gates: Tensor, w: Tensor, b: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs, and the inputs of the nonlinearity (T = 0 where the backward pass needs none)."""
    h = torch.empty_like(gates, memory_format=torch.contiguous_format)
    x = h.new_empty((h.shape[0], h.shape[1] if keep and not NONLINEARITIES[nonlinearity].of_output else 0, *h.shape[2:]))
    call(_kernels(nonlinearity)[0], gates, w, b, h0, h, x)
    return h, x


class _Elman(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, w: Tensor, b: Tensor, h0: Tensor, nonlinearity: str) -> Tensor:
        h, x = _run(nonlinearity, True, gates, w, b, h0)
        ctx.nonlinearity = nonlinearity
        ctx.save_for_backward(w, h0, h, x)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        w, h0, h, x = ctx.saved_tensors
        d = torch.empty_like(h)
        dw = w.new_empty(w.shape if ctx.needs_input_grad[1] else (0, *w.shape[1:]))
        db, dh0 = w.new_empty(w.shape[:2]), h.new_empty(h0.shape)
        call(_kernels(ctx.nonlinearity)[1], dout, w, h0, h, x, d, dw, db, dh0)
        gradients = zip((d, dw, db, dh0), ctx.needs_input_grad, strict=False)
        return *(gradient if needed else None for gradient, needed in gradients), None


def elman(gates_RTBH: Tensor, w_hh_RHH: Tensor, b_hh_RH: Tensor | None, h0_RBH: Tensor, nonlinearity: str = "tanh") -> Tensor:
    """All states h_RTBH of h_t = f(gates_t + W_hh h_{t-1} + b_hh), where gates_t = W_ih x_t + b_ih (Elman 1990; torch.nn.RNN).

    Differentiable once in every tensor.

    Raises:
        ValueError: an unknown nonlinearity, or a tensor of the wrong shape, dtype or device.
    """
    if nonlinearity not in NONLINEARITIES:
        raise ValueError(f"there is no kernel for the nonlinearity {nonlinearity!r}; there is for {', '.join(NONLINEARITIES)}")
    replicas, _, batch, hidden = gates_RTBH.shape
    b = gates_RTBH.new_zeros(replicas, hidden) if b_hh_RH is None else b_hh_RH
    checked(
        DTYPES,
        gates=(gates_RTBH, tuple(gates_RTBH.shape)),
        w_hh=(w_hh_RHH, (replicas, hidden, hidden)),
        b_hh=(b, (replicas, hidden)),
        h0=(h0_RBH, (replicas, batch, hidden)),
    )
    if wanted(gates_RTBH, w_hh_RHH, b, h0_RBH):
        output: Tensor = _Elman.apply(gates_RTBH, w_hh_RHH, b, h0_RBH, nonlinearity)
        return output
    return _run(nonlinearity, False, gates_RTBH, w_hh_RHH, b, h0_RBH)[0]
