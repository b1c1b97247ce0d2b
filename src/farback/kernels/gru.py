# mypy: allow-untyped-defs, allow-untyped-calls
"""Gated recurrent unit, forward and backward through time, with the gate order and formulas of torch.nn.GRU.

Shapes: R replicas, T steps, B sequences, H hidden, G = 3H. P = 4: before their nonlinearities r, z, what the state
gives to n (with b_hn), what the input gives to n. A = 4 kept numbers: r, z, n and what the state gives to n.
"""

from torch import Tensor

from farback.kernels.autograd import Weights, layer
from farback.kernels.fast_math import like, sigmoid, tanh
from farback.kernels.jit import loop
from farback.kernels.llvm import wide_vectors
from farback.kernels.time_loop import Form


@loop
def _step(gates_BPH, row_BL, next_BL, kept_BAH, next_kept_BAH):
    wide_vectors()
    for b in range(gates_BPH.shape[0]):
        for j in range(gates_BPH.shape[2]):
            r, z, inner = sigmoid(gates_BPH[b, 0, j]), sigmoid(gates_BPH[b, 1, j]), gates_BPH[b, 2, j]
            n = tanh(gates_BPH[b, 3, j] + r * inner)
            next_kept_BAH[b, 0, j], next_kept_BAH[b, 1, j] = r, z
            next_kept_BAH[b, 2, j], next_kept_BAH[b, 3, j] = n, inner
            next_BL[b, j] = n + z * (row_BL[b, j] - n)


@loop
def _back(dh_BH, dc_BH, row_BL, next_BL, kept_BAH, next_kept_BAH, d_BPH):
    wide_vectors()
    for b in range(dh_BH.shape[0]):
        for j in range(dh_BH.shape[1]):
            r, z = next_kept_BAH[b, 0, j], next_kept_BAH[b, 1, j]
            n, inner = next_kept_BAH[b, 2, j], next_kept_BAH[b, 3, j]
            one, dh = like(r, 1), dh_BH[b, j]
            dn = dh * (one - z) * (one - n * n)
            dh_BH[b, j] = dh * z
            d_BPH[b, 0, j] = dn * inner * (r * (one - r))
            d_BPH[b, 1, j] = dh * (row_BL[b, j] - n) * (z * (one - z))
            d_BPH[b, 2, j], d_BPH[b, 3, j] = dn * r, dn


FORM = Form("gru", 3, 2, 4, None, _step, _back)


def gru(gates_RTBG: Tensor, w_hh_RGH: Tensor, b_hh_RG: Tensor | None, h0_RBH: Tensor) -> Tensor:
    """All states h_RTBH of a gated recurrent unit (Cho et al. 2014, in the form of torch.nn.GRU).

    gates_t = W_ih x_t + b_ih in the order r, z, n; r and z add W_hh h_{t-1} + b_hh, n = tanh(gates_n + r (W_hn
    h_{t-1} + b_hn)), h_t = (1 - z) n + z h_{t-1}. Differentiable once in every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    return layer(FORM, None, gates_RTBG, Weights(None, w_hh_RGH, None, b_hh_RG), (h0_RBH,), None)[0]
