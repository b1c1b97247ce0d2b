"""One recurrent layer as a differentiable function.

Shapes: R replicas, T steps, B sequences, I inputs, G rows of gates, H hidden, N picked outputs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, checked, picks, piece, rows, wanted
from farback.kernels.fused_layer import Forward, Pieces, backward, forward
from farback.kernels.time_loop import Form


class Weights(NamedTuple):
    """The parameters of a layer, under torch.nn's names; those of the input are None where gates are given."""

    ih_RGI: Tensor | None
    hh_RGH: Tensor
    b_ih_RG: Tensor | None
    b_hh_RG: Tensor | None


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, form: Form, index: Tensor | None, x: Any, gates: Any, *rest: Any) -> tuple[Tensor, ...]:
        w = Weights(*rest[:4])
        run = _forward(form, x, gates, w, rest[4:], index, keep=True)
        ctx.run = replace(run, picked_RNH=None)  # an output kept here would hold the graph, and the graph it
        ctx.save_for_backward(*(t for t in w if t is not None))
        ctx.given = [t is not None for t in w]
        ctx.set_materialize_grads(False)
        return run.outputs, *run.last()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor | None, *dlast: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        w = [rows(next(saved)) if given else None for given in ctx.given]
        x, gates, *weights = ctx.needs_input_grad[2:8]
        dw = [None if t is None or not any(weights) else t.new_empty(t.shape) for t in w]
        found = backward(ctx.run, Pieces(*map(piece, w)), dout, dlast, Pieces(*map(piece, dw)), x, gates)
        return None, None, found.x_RTBI, found.gates_RTBG, *dw, *found.state


def _forward(
    form: Form, x: Tensor | None, gates: Tensor | None, w: Weights, state: Any, index: Tensor | None, keep: bool
) -> Forward:
    whole = [rows(t) for t in w]  # what is not in one piece is copied: the copies must last until the end
    return forward(form, x, gates, Pieces(*map(piece, whole)), state, index, keep)


def layer(
    form: Form, x: Tensor | None, gates: Tensor | None, w: Weights, state: tuple[Tensor, ...], index: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs and last state of a layer, from its inputs x_RTBI or from gates_RTBG = W_ih x + b_ih, one of them None.

    Args:
        form: the cell.
        x: inputs.
        gates: what they contribute.
        w: the parameters.
        state: the parts of the state before the first step, (R, B, H) each.
        index: which of the T * B outputs to give, ascending, (R, N); None gives all.

    Returns:
        outputs, (R, N, H) if picked, else (R, T, B, H), and the state after the last step. Differentiable once in
        every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device; an index that does not ascend or is out of range.
    """
    index = accepted(form, x, gates, w, state, index)
    if wanted(*(t for t in (x, gates, *w, *state) if t is not None)):
        output, *last = _Layer.apply(form, index, x, gates, *w, *state)  # type: ignore[no-untyped-call]
        return output, tuple(last)
    run = _forward(form, x, gates, w, state, index, keep=False)
    return run.outputs, run.last()


def accepted(
    form: Form, x: Tensor | None, gates: Tensor | None, w: Weights, state: tuple[Tensor, ...], index: Tensor | None
) -> Tensor | None:
    """Look at the arguments of `layer`; gives the index in one piece.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    source = gates if x is None else x
    assert source is not None
    (R, T, B), H = source.shape[:3], state[0].shape[-1]
    G = form.blocks * H
    shapes: dict[str, tuple[Tensor, tuple[int, ...]]] = {}
    if x is not None and w.ih_RGI is not None:
        shapes |= {"x": (x, (R, T, B, x.shape[3])), "w_ih": (w.ih_RGI, (R, G, x.shape[3]))}
    if gates is not None:
        shapes["gates"] = (gates, (R, T, B, G))
    shapes["w_hh"] = (w.hh_RGH, (R, G, H))
    shapes |= {name: (b, (R, G)) for name, b in (("b_ih", w.b_ih_RG), ("b_hh", w.b_hh_RG)) if b is not None}
    shapes |= {name: (part, (R, B, H)) for name, part in zip(("h0", "c0"), state, strict=False)}
    checked(DTYPES, **shapes)
    return picks(index, R)
