# mypy: allow-untyped-defs, allow-untyped-calls
"""Long short-term memory, forward and backward through time, with the gate order and formulas of torch.nn.LSTM.

Shapes: R replicas, T steps, B sequences, H hidden, K = 4 gates (i, f, g, o), G = K * H. N = B * H.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, array, call, checked, wanted
from farback.kernels.compiled import kernel, loop
from farback.kernels.elementary import like, sigmoid, tanh
from farback.kernels.instructions import wide_vectors
from farback.kernels.products import add_rows, add_weight_gradient, chunk, times


@loop
def _step(gates_BKH, recurrent_BKH, bias_KH, before_BH, a_BKH, c_BH, h_BH):
    """One step: `recurrent` is W_hh h, `before` the cell's last state, a becomes the gates' activations."""
    wide_vectors()
    batch, hidden = c_BH.shape
    for b in range(batch):
        for j in range(hidden):
            i = sigmoid(gates_BKH[b, 0, j] + (recurrent_BKH[b, 0, j] + bias_KH[0, j]))
            f = sigmoid(gates_BKH[b, 1, j] + (recurrent_BKH[b, 1, j] + bias_KH[1, j]))
            g = tanh(gates_BKH[b, 2, j] + (recurrent_BKH[b, 2, j] + bias_KH[2, j]))
            o = sigmoid(gates_BKH[b, 3, j] + (recurrent_BKH[b, 3, j] + bias_KH[3, j]))
            c = f * before_BH[b, j] + i * g
            a_BKH[b, 0, j], a_BKH[b, 1, j], a_BKH[b, 2, j], a_BKH[b, 3, j] = i, f, g, o
            c_BH[b, j] = c
            h_BH[b, j] = o * tanh(c)


@loop
def _step_back(dout_BH, dh_BH, a_BKH, before_BH, c_BH, dc_BH, d_BKH):
    """One step back: dh and dc come from the step after; d becomes the gradient before the gates' nonlinearities."""
    wide_vectors()
    batch, hidden = c_BH.shape
    for b in range(batch):
        for j in range(hidden):
            i, f, g, o = a_BKH[b, 0, j], a_BKH[b, 1, j], a_BKH[b, 2, j], a_BKH[b, 3, j]
            one, squashed = like(i, 1), tanh(c_BH[b, j])
            dh = dout_BH[b, j] + dh_BH[b, j]
            dc = dc_BH[b, j] + dh * o * (one - squashed * squashed)
            d_BKH[b, 0, j] = dc * g * (i * (one - i))
            d_BKH[b, 1, j] = dc * before_BH[b, j] * (f * (one - f))
            d_BKH[b, 2, j] = dc * i * (one - g * g)
            d_BKH[b, 3, j] = dh * squashed * (o * (one - o))
            dc_BH[b, j] = dc * f


@kernel
def _forward(gemm, gates_RTBKH, transposed_w_RHG, b_RKH, h0_RBH, c0_RBH, h_RTBH, a_RTBKH, c_RTBH):
    replicas, steps, batch, hidden = h_RTBH.shape
    recurrent_BKH = np.empty((batch, 4, hidden), h_RTBH.dtype)
    for r in range(replicas):
        h_BH, before_BH = h0_RBH[r], c0_RBH[r]
        for t in range(steps):
            times(gemm, batch, hidden, 4 * hidden, h_BH, transposed_w_RHG[r], recurrent_BKH)
            # a and c have T steps where the backward pass needs them, else just enough to go on
            h_BH, a_BKH, c_BH = h_RTBH[r, t], a_RTBKH[r, t % a_RTBKH.shape[1]], c_RTBH[r, t % c_RTBH.shape[1]]
            _step(gates_RTBKH[r, t], recurrent_BKH, b_RKH[r], before_BH, a_BKH, c_BH, h_BH)
            before_BH = c_BH


@kernel
def _backward(gemm, dout_RTBH, w_RGH, h0_RBH, c0_RBH, h_RTBH, a_RTBKH, c_RTBH, d_RTBKH, dw_RGH, db_RKH, dh_RBH, dc_RBH):
    replicas, steps, batch, hidden = h_RTBH.shape
    gathered = chunk(steps, batch)
    for r in range(replicas):
        for t in range(steps - 1, -1, -1):
            before_BH = c_RTBH[r, t - 1] if t > 0 else c0_RBH[r]
            d_BKH = d_RTBKH[r, t]
            _step_back(dout_RTBH[r, t], dh_RBH[r], a_RTBKH[r, t], before_BH, c_RTBH[r, t], dc_RBH[r], d_BKH)
            add_rows(d_BKH, db_RKH[r])
            times(gemm, batch, 4 * hidden, hidden, d_BKH, w_RGH[r], dh_RBH[r])
            if dw_RGH.shape[0] and t % gathered == 0:  # empty where no gradient for the weights is asked for
                add_weight_gradient(gemm, t, min(gathered, steps - t), d_RTBKH[r, t:], h_RTBH[r], h0_RBH[r], dw_RGH[r])


def _run(
    keep: bool, gates: Tensor, w: Tensor, b: Tensor, h0: Tensor, c0: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs, last cell states; activations and cell states of all steps if `keep`."""
    (replicas, steps, batch, _), hidden = gates.shape, w.shape[2]
    h = gates.new_empty(replicas, steps, batch, hidden)
    a = gates.new_empty(replicas, steps if keep else 1, batch, 4, hidden)
    c = gates.new_empty(replicas, steps if keep else 2, batch, hidden)
    inputs = (
        array(gates, replicas, steps, batch, 4, hidden),
        array(w.mT),
        array(b, replicas, 4, hidden),
        array(h0),
        array(c0),
    )
    call(_forward, h.dtype, *inputs, array(h), array(a), array(c))
    return h, c[:, (steps - 1) % c.shape[1]].clone(), a, c


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, w: Tensor, b: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor]:
        h, last, a, c = _run(True, gates, w, b, h0, c0)
        ctx.save_for_backward(w, h0, c0, h, a, c)
        return h, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
        w, h0, c0, h, a, c = ctx.saved_tensors
        replicas, _, _, hidden = h.shape
        needed = ctx.needs_input_grad
        d, dw = h.new_empty(a.shape), h.new_zeros(w.shape if needed[1] else (0, 4 * hidden, hidden))
        db, dh0 = h.new_zeros(replicas, 4, hidden), h.new_zeros(h0.shape)
        dc0 = dlast.clone(memory_format=torch.contiguous_format)
        inputs = (array(dout), array(w), array(h0), array(c0), array(h), array(a), array(c))
        call(_backward, h.dtype, *inputs, array(d), array(dw), array(db), array(dh0), array(dc0))
        return d.flatten(-2), dw if needed[1] else None, db.flatten(-2), dh0, dc0


def lstm(
    gates_RTBG: Tensor, w_hh_RGH: Tensor, b_hh_RG: Tensor | None, h0_RBH: Tensor, c0_RBH: Tensor
) -> tuple[Tensor, Tensor]:
    """All outputs h_RTBH and the last cell states c_RBH of an LSTM (Hochreiter and Schmidhuber 1997; torch.nn.LSTM).

    gates_t = W_ih x_t + b_ih, plus W_hh h_{t-1} + b_hh, in the order i, f, g, o: c_t = f c_{t-1} + i g, h_t = o
    tanh(c_t). Differentiable once in every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    (replicas, _, batch, size), hidden = gates_RTBG.shape, h0_RBH.shape[-1]
    b = gates_RTBG.new_zeros(replicas, size) if b_hh_RG is None else b_hh_RG
    checked(
        DTYPES,
        gates=(gates_RTBG, (*gates_RTBG.shape[:3], 4 * hidden)),
        w_hh=(w_hh_RGH, (replicas, 4 * hidden, hidden)),
        b_hh=(b, (replicas, 4 * hidden)),
        h0=(h0_RBH, (replicas, batch, hidden)),
        c0=(c0_RBH, (replicas, batch, hidden)),
    )
    if wanted(gates_RTBG, w_hh_RGH, b, h0_RBH, c0_RBH):
        output: tuple[Tensor, Tensor] = _LSTM.apply(gates_RTBG, w_hh_RGH, b, h0_RBH, c0_RBH)
        return output
    return _run(False, gates_RTBG, w_hh_RGH, b, h0_RBH, c0_RBH)[:2]
