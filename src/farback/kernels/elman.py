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

from farback.kernels.arguments import DTYPES, call, checked, flat, wanted
from farback.kernels.compiled import copy_with, kernel, loop, wide_vectors
from farback.kernels.nonlinearities import NONLINEARITIES
from farback.kernels.products import add_weight_gradient, chunk, times

_value: Any = None  # `_kernels` puts the nonlinearity and the loops made with it here
_slope: Any = None
_activated: Any = None
_activated_and_kept: Any = None
_through: Any = None
_through_output: Any = None


def _activated_template(gates_N, bias_N, h_N):
    wide_vectors()
    for n in range(h_N.size):
        h_N[n] = _value(gates_N[n] + (h_N[n] + bias_N[n]))


def _activated_and_kept_template(gates_N, bias_N, h_N, x_N):
    wide_vectors()
    for n in range(h_N.size):
        x = gates_N[n] + (h_N[n] + bias_N[n])
        x_N[n] = x
        h_N[n] = _value(x)


def _through_output_template(dout_N, dh_N, h_N, d_N, db_N):
    wide_vectors()
    for n in range(d_N.size):
        d = (dout_N[n] + dh_N[n]) * _slope(h_N[n], h_N[n])
        d_N[n] = d
        db_N[n] += d


def _through_template(dout_N, dh_N, x_N, h_N, d_N, db_N):
    wide_vectors()
    for n in range(d_N.size):
        d = (dout_N[n] + dh_N[n]) * _slope(x_N[n], h_N[n])
        d_N[n] = d
        db_N[n] += d


def _forward(gemm, gates_RTN, transposed_w_RHH, b_RH, h0_RN, h_RTN, x_RTN):
    (replicas, steps, size), hidden = gates_RTN.shape, b_RH.shape[1]
    batch = size // hidden
    bias_N = np.empty(size, b_RH.dtype)  # a bias per element of (B, H): one flat loop makes whole vectors at every H
    for r in range(replicas):
        for n in range(size):
            bias_N[n] = b_RH[r, n % hidden]
        before_N = h0_RN[r]
        for t in range(steps):
            h_N = h_RTN[r, t]
            times(gemm, batch, hidden, hidden, before_N, transposed_w_RHH[r], h_N)
            if x_RTN.shape[1]:
                _activated_and_kept(gates_RTN[r, t], bias_N, h_N, x_RTN[r, t])
            else:
                _activated(gates_RTN[r, t], bias_N, h_N)
            before_N = h_N


def _backward(gemm, dout_RTN, w_RHH, h0_RN, h_RTN, x_RTN, d_RTN, dw_RHH, db_RH, dh0_RN):
    (replicas, steps, size), hidden = d_RTN.shape, db_RH.shape[1]
    batch = size // hidden
    gathered = chunk(steps, batch)
    db_N = np.empty(size, db_RH.dtype)
    for r in range(replicas):
        dh_N = dh0_RN[r]
        dh_N[:] = 0
        db_N[:] = 0
        for t in range(steps - 1, -1, -1):
            d_N = d_RTN[r, t]
            if x_RTN.shape[1]:
                _through(dout_RTN[r, t], dh_N, x_RTN[r, t], h_RTN[r, t], d_N, db_N)
            else:
                _through_output(dout_RTN[r, t], dh_N, h_RTN[r, t], d_N, db_N)
            times(gemm, batch, hidden, hidden, d_N, w_RHH[r], dh_N)
            if dw_RHH.shape[0] and t % gathered == 0:  # empty where no gradient for the weights is asked for
                add_weight_gradient(gemm, t, min(gathered, steps - t), d_RTN[r, t:], h_RTN[r], h0_RN[r], dw_RHH[r])
        db_RH[r] = 0
        for n in range(size):
            db_RH[r, n % hidden] += db_N[n]


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
    call(_kernels(nonlinearity)[0], flat(gates), w.mT, b, flat(h0), flat(h), flat(x))
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
        dw = w.new_zeros(w.shape if ctx.needs_input_grad[1] else (0, *w.shape[1:]))
        db, dh0 = w.new_empty(w.shape[:2]), h.new_empty(h0.shape)
        call(_kernels(ctx.nonlinearity)[1], flat(dout), w, flat(h0), flat(h), flat(x), flat(d), dw, db, flat(dh0))
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
