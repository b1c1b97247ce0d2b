# mypy: allow-untyped-defs, allow-untyped-calls
"""The steps of Elman's network, the GRU and the LSTM, forward and backward, with the gate order of torch.nn.

The gates of a step are W_ih x_t + b_ih + W_hh h_{t-1} + b_hh. `farback.kernels.time_loop.CellCode` describes the
arguments of the step functions.

Shapes: B sequences, H hidden, L numbers in a row, P computed blocks of gates, A kept numbers.
"""

import functools
from typing import Any

from farback.kernels.fast_math import like, sigmoid, tanh
from farback.kernels.jit import copy_with, loop
from farback.kernels.llvm import wide_vectors
from farback.kernels.nonlinearities import NONLINEARITIES
from farback.kernels.time_loop import CellCode

# `elman` copies the next two functions for each nonlinearity, with these globals replaced.
_value: Any = None
_slope: Any = None
_keeps_x = False  # whether the forward pass keeps the input of the nonlinearity, from which the slope is computed


def _elman_step(gates_BPH, row_BL, next_BL, kept_BAH, next_kept_BAH):
    wide_vectors()
    for b in range(gates_BPH.shape[0]):
        for j in range(gates_BPH.shape[2]):
            x = gates_BPH[b, 0, j]
            if _keeps_x:
                next_kept_BAH[b, 0, j] = x
            next_BL[b, j] = _value(x)


def _elman_back(dh_BH, dc_BH, row_BL, next_BL, kept_BAH, next_kept_BAH, d_BPH):
    wide_vectors()
    for b in range(dh_BH.shape[0]):
        for j in range(dh_BH.shape[1]):
            y = next_BL[b, j]
            d_BPH[b, 0, j] = dh_BH[b, j] * _slope(next_kept_BAH[b, 0, j] if _keeps_x else y, y)


@functools.cache
def elman(nonlinearity: str) -> CellCode:
    """Elman's network (Elman 1990; torch.nn.RNN): h_t = f(gates), with the nonlinearity f compiled in.

    P = 1 block. If the slope of f needs the input of f, this input is kept (A = 1); otherwise no number is kept.

    Raises:
        ValueError: the nonlinearity is unknown.
    """
    if nonlinearity not in NONLINEARITIES:
        choices = ", ".join(NONLINEARITIES)
        raise ValueError(f"there is no kernel for the nonlinearity {nonlinearity!r}; there are kernels for {choices}")
    value, slope, of_output = NONLINEARITIES[nonlinearity]
    names = {"_value": value, "_slope": slope, "_keeps_x": not of_output}
    step, back = (loop(copy_with(function, nonlinearity, **names)) for function in (_elman_step, _elman_back))
    return CellCode(f"elman_{nonlinearity}", 1, 1, 0 if of_output else 1, None, step, back)


# Gated recurrent unit (Cho et al. 2014; torch.nn.GRU): h_t = (1 - z) n + z h_{t-1}, n = tanh(W_in x_t + b_in + r inner)
# with inner = W_hn h_{t-1} + b_hn. P = 4: r, z, inner, and the input's part of n. A = 4: r, z, n, inner.
@loop
def _gru_step(gates_BPH, row_BL, next_BL, kept_BAH, next_kept_BAH):
    wide_vectors()
    for b in range(gates_BPH.shape[0]):
        for j in range(gates_BPH.shape[2]):
            r, z, inner = sigmoid(gates_BPH[b, 0, j]), sigmoid(gates_BPH[b, 1, j]), gates_BPH[b, 2, j]
            n = tanh(gates_BPH[b, 3, j] + r * inner)
            next_kept_BAH[b, 0, j], next_kept_BAH[b, 1, j] = r, z
            next_kept_BAH[b, 2, j], next_kept_BAH[b, 3, j] = n, inner
            next_BL[b, j] = n + z * (row_BL[b, j] - n)


@loop
def _gru_back(dh_BH, dc_BH, row_BL, next_BL, kept_BAH, next_kept_BAH, d_BPH):
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


GRU = CellCode("gru", 3, 2, 4, None, _gru_step, _gru_back)


# Long short-term memory (Hochreiter and Schmidhuber 1997; torch.nn.LSTM): c_t = f c_{t-1} + i g, h_t = o tanh(c_t).
# P = 4: i, f, g, o. A = 5: the gates after their nonlinearities, and c, which is carried.
@loop
def _lstm_step(gates_BPH, row_BL, next_BL, kept_BAH, next_kept_BAH):
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
def _lstm_back(dh_BH, dc_BH, row_BL, next_BL, kept_BAH, next_kept_BAH, d_BPH):
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


LSTM = CellCode("lstm", 4, 4, 5, 4, _lstm_step, _lstm_back)
