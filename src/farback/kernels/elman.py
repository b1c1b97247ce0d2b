# mypy: allow-untyped-defs, allow-untyped-calls
"""Elman's recurrence h_t = f(gates_t + W_hh h_{t-1} + b_hh), forward and backward through time.

Shapes: R replicas, T steps, B sequences, H hidden, A numbers kept: the input of f where its slope needs it, else none.
"""

import functools
from typing import Any

from torch import Tensor

from farback.kernels.autograd import Weights, layer
from farback.kernels.jit import copy_with, loop
from farback.kernels.llvm import wide_vectors
from farback.kernels.nonlinearities import NONLINEARITIES
from farback.kernels.time_loop import Form

# `form` makes a copy of the functions below for each nonlinearity, with these names replaced.
_value: Any = None
_slope: Any = None
_keeps_x = False  # the slope is computed from the input of the nonlinearity, which the forward pass then keeps


def _step(gates_BPH, row_BL, next_BL, kept_BAH, next_kept_BAH):
    wide_vectors()
    for b in range(gates_BPH.shape[0]):
        for j in range(gates_BPH.shape[2]):
            x = gates_BPH[b, 0, j]
            if _keeps_x:
                next_kept_BAH[b, 0, j] = x
            next_BL[b, j] = _value(x)


def _back(dh_BH, dc_BH, row_BL, next_BL, kept_BAH, next_kept_BAH, d_BPH):
    wide_vectors()
    for b in range(dh_BH.shape[0]):
        for j in range(dh_BH.shape[1]):
            y = next_BL[b, j]
            d_BPH[b, 0, j] = dh_BH[b, j] * _slope(next_kept_BAH[b, 0, j] if _keeps_x else y, y)


@functools.cache
def form(nonlinearity: str) -> Form:
    """The cell with this nonlinearity compiled in.

    Raises:
        ValueError: there is none of that name.
    """
    if nonlinearity not in NONLINEARITIES:
        raise ValueError(
            f"there is no kernel for the nonlinearity {nonlinearity!r}; there is for {', '.join(NONLINEARITIES)}"
        )
    value, slope, of_output = NONLINEARITIES[nonlinearity]
    names = {"_value": value, "_slope": slope, "_keeps_x": not of_output}
    step, back = (loop(copy_with(function, nonlinearity, **names)) for function in (_step, _back))
    return Form(f"elman_{nonlinearity}", 1, 1, 0 if of_output else 1, None, step, back)


def elman(
    gates_RTBH: Tensor, w_hh_RHH: Tensor, b_hh_RH: Tensor | None, h0_RBH: Tensor, nonlinearity: str = "tanh"
) -> Tensor:
    """All states of h_t = f(gates_t + W_hh h_{t-1} + b_hh), gates_t = W_ih x_t + b_ih (Elman 1990; torch.nn.RNN).

    Differentiable once in every tensor.

    Raises:
        ValueError: an unknown nonlinearity, or a tensor of the wrong shape, dtype or device.
    """
    weights = Weights(None, w_hh_RHH, None, b_hh_RH)
    return layer(form(nonlinearity), None, gates_RTBH, weights, (h0_RBH,), None)[0]
