"""One recurrent layer as a differentiable function.

Shapes: R replicas, T steps, B sequences, I inputs, G rows of gates, H hidden, N selected outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import (
    DTYPES,
    check_shapes,
    checked_index,
    contiguous_replicas,
    needs_gradient,
    place,
)
from farback.kernels.fused_layer import ForwardPass, backward, forward
from farback.kernels.time_loop import CellCode

Weights = tuple[Tensor | None, Tensor, Tensor | None, Tensor | None]
"""W_ih (R, G, I), W_hh (R, G, H), b_ih and b_hh (R, G); W_ih and b_ih are None where gates are given."""


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, code: CellCode, index: Tensor | None, x: Any, gates: Any, *rest: Any) -> tuple[Tensor, ...]:
        w = rest[:4]
        run = _forward(code, x, gates, w, rest[4:], index, keep=True)
        empty = torch.empty(0)  # the graph and an output kept in it would refer to each other
        ctx.run = run._replace(outputs=empty)
        ctx.save_for_backward(*(t for t in w if t is not None))
        ctx.present = [t is not None for t in w]
        ctx.set_materialize_grads(False)
        return run.outputs, *run.last()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor | None, *dlast: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        w = [contiguous_replicas(next(saved)) if present else None for present in ctx.present]
        x, gates, *weights = ctx.needs_input_grad[2:8]
        dw = [None if t is None or not any(weights) else t.new_empty(t.shape) for t in w]
        dx, dgates, *dstate = backward(ctx.run, [*map(place, w)], dout, dlast, [*map(place, dw)], x, gates)
        return None, None, dx, dgates, *dw, *dstate


def _forward(
    code: CellCode, x: Tensor | None, gates: Tensor | None, w: Weights, state: Any, index: Tensor | None, keep: bool
) -> ForwardPass:
    copies = [contiguous_replicas(t) for t in w]  # must exist until the kernel has run
    return forward(code, x, gates, [*map(place, copies)], state, index, keep)


def layer(
    code: CellCode, x: Tensor | None, gates: Tensor | None, w: Weights, state: tuple[Tensor, ...], index: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs and last state of a layer, from its inputs or from their contributions to the gates, W_ih x + b_ih.

    Args:
        code: the step functions of the cell.
        x: the inputs, (R, T, B, I), or None if `gates` are given.
        gates: the contributions of the inputs to the gates, (R, T, B, G), or None if `x` is given.
        w: the parameters.
        state: the parts of the state before the first step, (R, B, H) each.
        index: which of the T * B outputs to return, strictly increasing, (R, N); None for all.

    Returns:
        outputs, (R, N, H) with an index, else (R, T, B, H), and the state after the last step. Differentiable once in
        every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device; an index that does not increase or is out of range.
    """
    source = gates if x is None else x
    assert source is not None
    (R, T, B), H = source.shape[:3], state[0].shape[-1]
    G, inputs = code.blocks * H, () if x is None else x.shape[3:]
    named = {"x": x, "w_ih": w[0], "gates": gates, "w_hh": w[1], "b_ih": w[2], "b_hh": w[3]}
    shapes = {"x": (R, T, B, *inputs), "w_ih": (R, G, *inputs), "gates": (R, T, B, G), "w_hh": (R, G, H)}
    arguments = {name: (t, shapes.get(name, (R, G))) for name, t in named.items() if t is not None}
    check_shapes(
        DTYPES, **arguments, **{name: (part, (R, B, H)) for name, part in zip(("h0", "c0"), state, strict=False)}
    )
    index = checked_index(index, R)
    if needs_gradient(x, gates, *w, *state):
        output, *last = _Layer.apply(code, index, x, gates, *w, *state)  # type: ignore[no-untyped-call]
        return output, tuple(last)
    run = _forward(code, x, gates, w, state, index, keep=False)
    return run.outputs, run.last()
