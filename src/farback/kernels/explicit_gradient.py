"""A layer and a readout with an explicit backward pass: the same numbers as autograd, without its overhead.

In small networks autograd (a tenth of a millisecond for layer and readout) and a tensor for every parameter take half
of the time of an update.

Shapes: R replicas, P flat parameters, T steps, B sequences, I inputs, H hidden, N scored outputs of O numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from farback.kernels import linear_layer
from farback.kernels.arguments import DTYPES, check_shapes, checked_index, flat_places
from farback.kernels.fused_layer import backward, forward, stretch
from farback.kernels.symbols import Symbols
from farback.kernels.time_loop import CellCode

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "readout.weight", "readout.bias")


def layer_and_readout(
    code: CellCode,
    flat_RP: Tensor,
    starts: Mapping[str, int],
    hidden: int,
    outputs: int,
    x_RTBI: Tensor | Symbols,
    index_RN: Tensor | None,
    limit: int | None = None,
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The readout's outputs, (R, N, O), and a function from their gradient to that of the parameters, (R, P).

    Args:
        code: the step functions of the cell.
        flat_RP: all parameters of layer and readout, without gaps.
        starts: the first index of each parameter (torch.nn's names and "readout.*"); biases may be missing.
        hidden: H.
        outputs: O.
        x_RTBI: the inputs of the layer, or their codes; the state starts from zero.
        index_RN: which of the T * B outputs of the layer to read, strictly increasing; None for all.
        limit: the bytes beyond which the backward pass computes stretches of steps again; None for no limit.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device; an index that does not increase or is out of range.
    """
    (R, T, B, width), P = x_RTBI.shape, flat_RP.shape[1]
    x = (x_RTBI.rows_CI, tuple(x_RTBI.rows_CI.shape)) if isinstance(x_RTBI, Symbols) else (x_RTBI, (R, T, B, width))
    check_shapes(DTYPES, x=x, parameters=(flat_RP, (R, P)))
    order = [starts.get(name) for name in _NAMES]
    *w, readout, bias = flat_places(flat_RP, order)
    index = checked_index(index_RN, R)
    steps = None if limit is None else stretch(code, x_RTBI.shape, hidden, limit)
    run = forward(code, x_RTBI, None, w, (flat_RP.new_zeros(R, B, hidden),), index, True, steps)
    h = run.outputs if index is not None else run.outputs.flatten(1, 2)

    def back(dy_RNO: Tensor) -> Tensor:
        grad_RP = flat_RP.new_empty(R, P)
        *dw, dreadout, dbias = flat_places(grad_RP, order)
        dh = linear_layer.backward(h, readout, dy_RNO, True, dreadout, dbias)
        assert dh is not None
        backward(run, w, dh.view(run.outputs.shape), (None, None), dw, x=False, gates=False)
        return grad_RP

    return linear_layer.forward(h, readout, bias, outputs), back
