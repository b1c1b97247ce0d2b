"""A layer and a readout with their gradients by hand: what autograd would do, without its bookkeeping.

At small sizes that bookkeeping (a tenth of a millisecond for the two) is half of an update. The numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from farback.kernels import linear
from farback.kernels.loops import Form
from farback.kernels.passes import Weights, backward, forward
from farback.kernels.recurrence import accepted

ProductBack = Callable[[Tensor], tuple[Tensor | None, Tensor | None, Tensor | None]]


def layer(
    form: Form, x: Tensor, w: Weights, state: tuple[Tensor, ...], index: Tensor | None
) -> tuple[Tensor, Callable[[Tensor], Weights]]:
    """The outputs as `recurrence.layer` gives them, and what turns their gradient into that of the weights.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device; an index that does not ascend or is out of range.
    """
    run = forward(form, x, None, w, state, accepted(form, x, None, w, state, index), keep=True)

    def back(dout: Tensor) -> Weights:
        none = [None] * len(state)
        return Weights(*backward(run, w, dout, none, x=False, gates=False, weights=True).weights)  # type: ignore[arg-type]

    return run.outputs, back


def product(
    x: Tensor, w: Tensor, b: Tensor
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor | None, Tensor | None, Tensor | None]]]:
    """`x W' + b` as `linear.linear` gives it, and what turns its gradient into those of x, W and b."""
    return linear.forward(x, w, b), lambda d: linear.backward(x, w, d, (True, True, True))
