# mypy: allow-untyped-defs, allow-untyped-calls
"""Gated recurrent unit, forward and backward through time, with the gate order and formulas of torch.nn.GRU.

Shapes: R replicas, T steps, B sequences, H hidden, K = 3 gates (r, z, n), G = K * H. A = 4 kept numbers: r, z, n and
W_hn h + b_hn.
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
from farback.kernels.products import add_rows, add_times, add_weight_gradient, chunk, times


@loop
def _step(gates_BKH, recurrent_BKH, bias_KH, before_BH, a_BAH, h_BH):
    """One step; `recurrent` is W_hh h, `before` is h of the last step."""
    wide_vectors()
    batch, hidden = h_BH.shape
    for b in range(batch):
        for j in range(hidden):
            r = sigmoid(gates_BKH[b, 0, j] + (recurrent_BKH[b, 0, j] + bias_KH[0, j]))
            z = sigmoid(gates_BKH[b, 1, j] + (recurrent_BKH[b, 1, j] + bias_KH[1, j]))
            inner = recurrent_BKH[b, 2, j] + bias_KH[2, j]
            n = tanh(gates_BKH[b, 2, j] + r * inner)
            a_BAH[b, 0, j], a_BAH[b, 1, j], a_BAH[b, 2, j], a_BAH[b, 3, j] = r, z, n, inner
            h_BH[b, j] = n + z * (before_BH[b, j] - n)


@loop
def _step_back(dout_BH, dh_BH, a_BAH, before_BH, d_BKH, recurrent_BKH):
    """One step back: d is the gradient of the gates, `recurrent` that of W_hh h; dh keeps its direct part."""
    wide_vectors()
    batch, hidden = dh_BH.shape
    for b in range(batch):
        for j in range(hidden):
            r, z, n, inner = a_BAH[b, 0, j], a_BAH[b, 1, j], a_BAH[b, 2, j], a_BAH[b, 3, j]
            one, dh = like(r, 1), dout_BH[b, j] + dh_BH[b, j]
            dn = dh * (one - z) * (one - n * n)
            dz = dh * (before_BH[b, j] - n) * (z * (one - z))
            dr = dn * inner * (r * (one - r))
            dh_BH[b, j] = dh * z
            d_BKH[b, 0, j], d_BKH[b, 1, j], d_BKH[b, 2, j] = dr, dz, dn
            recurrent_BKH[b, 0, j], recurrent_BKH[b, 1, j], recurrent_BKH[b, 2, j] = dr, dz, dn * r


@kernel
def _forward(gemm, gates_RTBKH, transposed_w_RHG, b_RKH, h0_RBH, h_RTBH, a_RTBAH):
    replicas, steps, batch, hidden = h_RTBH.shape
    recurrent_BKH = np.empty((batch, 3, hidden), h_RTBH.dtype)
    for r in range(replicas):
        before_BH = h0_RBH[r]
        for t in range(steps):
            h_BH = h_RTBH[r, t]
            times(gemm, batch, hidden, 3 * hidden, before_BH, transposed_w_RHG[r], recurrent_BKH)
            # a has T steps where the backward pass needs them, else one
            _step(gates_RTBKH[r, t], recurrent_BKH, b_RKH[r], before_BH, a_RTBAH[r, t % a_RTBAH.shape[1]], h_BH)
            before_BH = h_BH


@kernel
def _backward(gemm, dout_RTBH, w_RGH, h0_RBH, h_RTBH, a_RTBAH, d_RTBKH, dw_RGH, db_RKH, dh_RBH):
    replicas, steps, batch, hidden = h_RTBH.shape
    gathered = chunk(steps, batch)
    # The gradient of W_hh h is not that of the gates, and only dW needs it: kept for a few steps, then used up.
    recurrent_CBKH = np.empty((gathered, batch, 3, hidden), h_RTBH.dtype)
    for r in range(replicas):
        for t in range(steps - 1, -1, -1):
            before_BH = h_RTBH[r, t - 1] if t > 0 else h0_RBH[r]
            recurrent_BKH = recurrent_CBKH[t % gathered]
            _step_back(dout_RTBH[r, t], dh_RBH[r], a_RTBAH[r, t], before_BH, d_RTBKH[r, t], recurrent_BKH)
            add_rows(recurrent_BKH, db_RKH[r])
            add_times(gemm, batch, 3 * hidden, hidden, recurrent_BKH, w_RGH[r], dh_RBH[r])
            if dw_RGH.shape[0] and t % gathered == 0:  # empty where no gradient for the weights is asked for
                add_weight_gradient(gemm, t, min(gathered, steps - t), recurrent_CBKH, h_RTBH[r], h0_RBH[r], dw_RGH[r])


def _run(keep: bool, gates: Tensor, w: Tensor, b: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs, and what the backward pass needs of all steps if `keep`."""
    (replicas, steps, batch, _), hidden = gates.shape, w.shape[2]
    h = gates.new_empty(replicas, steps, batch, hidden)
    a = gates.new_empty(replicas, steps if keep else 1, batch, 4, hidden)
    inputs = (array(gates, replicas, steps, batch, 3, hidden), array(w.mT), array(b, replicas, 3, hidden), array(h0))
    call(_forward, h.dtype, *inputs, array(h), array(a))
    return h, a


class _GRU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, w: Tensor, b: Tensor, h0: Tensor) -> Tensor:
        h, a = _run(True, gates, w, b, h0)
        ctx.save_for_backward(w, h0, h, a)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        w, h0, h, a = ctx.saved_tensors
        replicas, steps, batch, hidden = h.shape
        needed = ctx.needs_input_grad
        d, dw = (
            h.new_empty(replicas, steps, batch, 3, hidden),
            h.new_zeros(w.shape if needed[1] else (0, 3 * hidden, hidden)),
        )
        db, dh0 = h.new_zeros(replicas, 3, hidden), h.new_zeros(h0.shape)
        inputs = (array(dout), array(w), array(h0), array(h), array(a))
        call(_backward, h.dtype, *inputs, array(d), array(dw), array(db), array(dh0))
        return d.flatten(-2), dw if needed[1] else None, db.flatten(-2), dh0


def gru(gates_RTBG: Tensor, w_hh_RGH: Tensor, b_hh_RG: Tensor | None, h0_RBH: Tensor) -> Tensor:
    """All states h_RTBH of a gated recurrent unit (Cho et al. 2014, in the form of torch.nn.GRU).

    gates_t = W_ih x_t + b_ih in the order r, z, n; r and z add W_hh h_{t-1} + b_hh, n = tanh(gates_n + r (W_hn
    h_{t-1} + b_hn)), h_t = (1 - z) n + z h_{t-1}. Differentiable once in every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    (replicas, _, batch, size), hidden = gates_RTBG.shape, h0_RBH.shape[-1]
    b = gates_RTBG.new_zeros(replicas, size) if b_hh_RG is None else b_hh_RG
    checked(
        DTYPES,
        gates=(gates_RTBG, (*gates_RTBG.shape[:3], 3 * hidden)),
        w_hh=(w_hh_RGH, (replicas, 3 * hidden, hidden)),
        b_hh=(b, (replicas, 3 * hidden)),
        h0=(h0_RBH, (replicas, batch, hidden)),
    )
    if wanted(gates_RTBG, w_hh_RGH, b, h0_RBH):
        output: Tensor = _GRU.apply(gates_RTBG, w_hh_RGH, b, h0_RBH)
        return output
    return _run(False, gates_RTBG, w_hh_RGH, b, h0_RBH)[0]
