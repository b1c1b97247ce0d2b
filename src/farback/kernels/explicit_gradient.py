"""A layer and a readout with their gradients by hand: what autograd would do, without its bookkeeping.

At small sizes that bookkeeping (a tenth of a millisecond for the two) and a tensor for every parameter are half of an
update. The numbers are the same.

Shapes: R replicas, P flat parameters, T steps, B sequences, I inputs, H hidden, N asked outputs of O numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from farback.kernels import linear
from farback.kernels.arguments import DTYPES, checked, picks, pieces
from farback.kernels.fused_layer import Pieces, backward, forward
from farback.kernels.time_loop import Form

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "readout.weight", "readout.bias")


def answered(
    form: Form,
    flat_RP: Tensor,
    starts: Mapping[str, int],
    hidden: int,
    outputs: int,
    x_RTBI: Tensor,
    index_RN: Tensor | None,
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The readout's answers, (R, N, O), of a layer that starts from zero, and what turns their gradient into (R, P).

    Args:
        form: the cell.
        flat_RP: all parameters of the two, nothing between the end of one and the start of the next.
        starts: where each begins, by torch.nn's names and "readout.weight", "readout.bias"; biases may be missing.
        hidden: H.
        outputs: O.
        x_RTBI: inputs.
        index_RN: which of the T * B outputs are asked for, ascending; None is all of them.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device; an index that does not ascend or is out of range.
    """
    (R, T, B, width), P = x_RTBI.shape, flat_RP.shape[1]
    checked(DTYPES, x=(x_RTBI, (R, T, B, width)), parameters=(flat_RP, (R, P)))
    places = [starts.get(name) for name in _NAMES]
    *w, readout, bias = pieces(flat_RP, places)
    rest = x_RTBI.new_zeros(R, B, hidden)
    index = picks(index_RN, R)
    run = forward(form, x_RTBI, None, Pieces(*w), (rest,), index, keep=True)
    h = run.outputs if index is not None else run.outputs.flatten(1, 2)

    def back(dy_RNO: Tensor) -> Tensor:
        grad_RP = flat_RP.new_empty(R, P)
        *dw, dreadout, dbias = pieces(grad_RP, places)
        dh = linear.backward(h, readout, dy_RNO, True, dreadout, dbias)
        assert dh is not None
        backward(run, Pieces(*w), dh.view(run.outputs.shape), (None, None), Pieces(*dw), x=False, gates=False)
        return grad_RP

    return linear.forward(h, readout, bias, outputs), back
