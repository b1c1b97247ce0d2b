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

from farback.kernels.arguments import DTYPES, array, call, checked, wanted
from farback.kernels.compiled import copy_with, kernel, loop
from farback.kernels.instructions import wide_vectors
from farback.kernels.nonlinearities import NONLINEARITIES
from farback.kernels.products import add_weight_gradient, chunk, times

# `_kernels` makes a copy of the functions below for each nonlinearity, with these names replaced.
_value: Any = None
_slope: Any = None
_keeps_x = False  # the slope is computed from the input of the nonlinearity, which the forward pass then keeps
_activate: Any = None
_go_back: Any = None


def _activate_with(gates_N, bias_N, h_N, x_N):
    wide_vectors()
    for n in range(h_N.size):
        x = gates_N[n] + (h_N[n] + bias_N[n])
        if _keeps_x:
            x_N[n] = x
        h_N[n] = _value(x)


def _go_back_with(dout_N, dh_N, h_N, x_N, d_N, db_N):
    wide_vectors()
    for n in range(d_N.size):
        d = (dout_N[n] + dh_N[n]) * _slope(x_N[n] if _keeps_x else h_N[n], h_N[n])
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
            _activate(gates_RTN[r, t], bias_N, h_N, x_RTN[r, t % x_RTN.shape[1]])
            before_N = h_N


def _backward(gemm, dout_RTN, w_RHH, h0_RN, h_RTN, x_RTN, d_RTN, dw_RHH, db_RH, dh_RN):
    (replicas, steps, size), hidden = d_RTN.shape, db_RH.shape[1]
    batch = size // hidden
    gathered = chunk(steps, batch)
    db_N = np.empty(size, db_RH.dtype)
    for r in range(replicas):
        db_N[:] = 0
        for t in range(steps - 1, -1, -1):
            d_N = d_RTN[r, t]
            _go_back(dout_RTN[r, t], dh_RN[r], h_RTN[r, t], x_RTN[r, t % x_RTN.shape[1]], d_N, db_N)
            times(gemm, batch, hidden, hidden, d_N, w_RHH[r], dh_RN[r])
            if dw_RHH.shape[0] and t % gathered == 0:  # empty where no gradient for the weights is asked for
                add_weight_gradient(gemm, t, min(gathered, steps - t), d_RTN[r, t:], h_RTN[r], h0_RN[r], dw_RHH[r])
        for n in range(size):
            db_RH[r, n % hidden] += db_N[n]


@functools.cache
def _kernels(nonlinearity: str) -> tuple[Any, Any]:
    """The (forward, backward) kernels with this nonlinearity compiled in."""
    value, slope, of_output = NONLINEARITIES[nonlinearity]
    names = {"_value": value, "_slope": slope, "_keeps_x": not of_output}
    activate, go_back = (
        loop(copy_with(function, nonlinearity, **names)) for function in (_activate_with, _go_back_with)
    )
    return kernel(copy_with(_forward, nonlinearity, _activate=activate)), kernel(
        copy_with(_backward, nonlinearity, _go_back=go_back)
    )


def _run(nonlinearity: str, keep: bool, gates: Tensor, w: Tensor, b: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs, and the inputs of the nonlinearity (all T steps only where the backward pass needs them)."""
    replicas, steps, batch, hidden = gates.shape
    size = batch * hidden
    h = gates.new_empty(gates.shape)
    x = h.new_empty(replicas, steps if keep and not NONLINEARITIES[nonlinearity].of_output else 1, size)
    flat = (replicas, steps, size)
    call(
        _kernels(nonlinearity)[0],
        h.dtype,
        array(gates, *flat),
        array(w.mT),
        array(b),
        array(h0, replicas, size),
        array(h, *flat),
        array(x),
    )
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
        replicas, steps, batch, hidden = h.shape
        needed = ctx.needs_input_grad
        d, dw = h.new_empty(h.shape), h.new_zeros(w.shape if needed[1] else (0, hidden, hidden))
        db, dh0 = h.new_zeros(replicas, hidden), h.new_zeros(h0.shape)
        flat, state = (replicas, steps, batch * hidden), (replicas, batch * hidden)
        inputs = (array(dout, *flat), array(w), array(h0, *state), array(h, *flat), array(x))
        call(_kernels(ctx.nonlinearity)[1], h.dtype, *inputs, array(d, *flat), array(dw), array(db), array(dh0, *state))
        return d, dw if needed[1] else None, db, dh0, None


def elman(
    gates_RTBH: Tensor, w_hh_RHH: Tensor, b_hh_RH: Tensor | None, h0_RBH: Tensor, nonlinearity: str = "tanh"
) -> Tensor:
    """All states of h_t = f(gates_t + W_hh h_{t-1} + b_hh), gates_t = W_ih x_t + b_ih (Elman 1990; torch.nn.RNN).

    Differentiable once in every tensor.

    Raises:
        ValueError: an unknown nonlinearity, or a tensor of the wrong shape, dtype or device.
    """
    if nonlinearity not in NONLINEARITIES:
        raise ValueError(
            f"there is no kernel for the nonlinearity {nonlinearity!r}; there is for {', '.join(NONLINEARITIES)}"
        )
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
