# mypy: allow-untyped-defs, allow-untyped-calls
"""Long short-term memory, forward and backward through time, with the gate order and formulas of torch.nn.LSTM.

Shapes: R replicas, T steps, B sequences, H hidden, G = 4H. P = 4 gates: i, f, g, o. A = 5 kept numbers: the gates
after their nonlinearities, and the cell's state c, which is carried.
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
            i, f = sigmoid(gates_BPH[b, 0, j]), sigmoid(gates_BPH[b, 1, j])
            g, o = tanh(gates_BPH[b, 2, j]), sigmoid(gates_BPH[b, 3, j])
            c = f * kept_BAH[b, 4, j] + i * g
            next_kept_BAH[b, 0, j], next_kept_BAH[b, 1, j] = i, f
            next_kept_BAH[b, 2, j], next_kept_BAH[b, 3, j], next_kept_BAH[b, 4, j] = g, o, c
            next_BL[b, j] = o * tanh(c)


@loop
def _back(dh_BH, dc_BH, row_BL, next_BL, kept_BAH, next_kept_BAH, d_BPH):
    wide_vectors()
    for b in range(dh_BH.shape[0]):
        for j in range(dh_BH.shape[1]):
            i, f = next_kept_BAH[b, 0, j], next_kept_BAH[b, 1, j]
            g, o = next_kept_BAH[b, 2, j], next_kept_BAH[b, 3, j]
            one, squashed, dh = like(i, 1), tanh(next_kept_BAH[b, 4, j]), dh_BH[b, j]
            dc = dc_BH[b, j] + dh * o * (one - squashed * squashed)
            d_BPH[b, 0, j] = dc * g * (i * (one - i))
            d_BPH[b, 1, j] = dc * kept_BAH[b, 4, j] * (f * (one - f))
            d_BPH[b, 2, j] = dc * i * (one - g * g)
            d_BPH[b, 3, j] = dh * squashed * (o * (one - o))
            dc_BH[b, j] = dc * f


FORM = Form("lstm", 4, 4, 5, 4, _step, _back)


def lstm(
    gates_RTBG: Tensor, w_hh_RGH: Tensor, b_hh_RG: Tensor | None, h0_RBH: Tensor, c0_RBH: Tensor
) -> tuple[Tensor, Tensor]:
    """All outputs h_RTBH and the last cell states c_RBH of an LSTM (Hochreiter and Schmidhuber 1997; torch.nn.LSTM).

    gates_t = W_ih x_t + b_ih, plus W_hh h_{t-1} + b_hh, in the order i, f, g, o: c_t = f c_{t-1} + i g, h_t = o
    tanh(c_t). Differentiable once in every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    weights = Weights(None, w_hh_RGH, None, b_hh_RG)
    h_RTBH, (_, c_RBH) = layer(FORM, None, gates_RTBG, weights, (h0_RBH, c0_RBH), None)
    return h_RTBH, c_RBH
