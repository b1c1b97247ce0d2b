"""One recurrent layer as one differentiable function: what lies between torch and the compiled loops over time.

Shapes: R replicas, T steps, B sequences, I inputs, G rows of gates, H hidden, N picked outputs.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, checked, wanted
from farback.kernels.loops import Form, compiled
from farback.kernels.memory import lent
from farback.kernels.products import gemm

_LIKE = {torch.float32: np.float32(0), torch.float64: np.float64(0)}
_kernels = functools.cache(compiled)


class Weights(NamedTuple):
    """The parameters of a layer, under torch.nn's names; those of the input are None where gates are given."""

    ih_RGI: Tensor | None
    hh_RGH: Tensor
    b_ih_RG: Tensor | None
    b_hh_RG: Tensor | None


def _rows(tensor: Tensor | None) -> tuple[Tensor | None, int]:
    """The tensor with every replica's part in one piece, and how far apart these are: views of flat parameters pass."""
    if tensor is None:
        return None, 0
    inner, stride = 1, tensor.stride()
    for axis in range(tensor.dim() - 1, 0, -1):
        if stride[axis] != inner and tensor.shape[axis] > 1:
            tensor = tensor.contiguous()
            return tensor, tensor.stride()[0]
        inner *= tensor.shape[axis]
    return tensor, stride[0]


def _at(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _whole(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous().resolve_neg()


class _Run(NamedTuple):
    """What a forward pass leaves."""

    rows_RTBL: Tensor
    kept_RSBAH: Tensor
    picked_RNH: Tensor | None

    def outputs(self, hidden: int) -> Tensor:
        """h of every step."""
        return self.rows_RTBL[:, 1:, :, :hidden] if self.picked_RNH is None else self.picked_RNH


def _run(
    form: Form, keep: bool, x: Tensor | None, gates: Tensor | None, w: Weights, index: Tensor | None, state: Any
) -> _Run:
    source = gates if x is None else x
    assert source is not None
    (R, T, B), H, dtype = source.shape[:3], w.hh_RGH.shape[2], source.dtype
    width = 0 if x is None else x.shape[3]
    L, N = -(-(H + width + 1) // 16) * 16, 0 if index is None else index.shape[1]
    S = T + 1 if keep else 2
    rows, kept = lent((R, T + 1, B, L), dtype), lent((R, S, B, form.kept, H), dtype)
    picked = None if index is None else source.new_empty(R, N, H)
    weights, strides = zip(*map(_rows, w), strict=True)
    x, gates, *state = map(_whole, (x, gates, *state))
    _kernels(form)[0](
        gemm(dtype),
        _LIKE[dtype],
        (R, T, B, width, H, L, S, N),
        strides,
        (_at(x), _at(gates)),
        (_at(state[0]), _at(state[-1])),
        tuple(map(_at, weights)),
        _at(index),
        (rows.data_ptr(), kept.data_ptr(), _at(picked)),
    )
    return _Run(rows, kept, picked)


def _last(form: Form, run: _Run, hidden: int) -> tuple[Tensor, ...]:
    T = run.rows_RTBL.shape[1] - 1
    h = run.rows_RTBL[:, T, :, :hidden].clone()
    if form.carried is None:
        return (h,)
    return h, run.kept_RSBAH[:, T % run.kept_RSBAH.shape[1], :, form.carried].clone()


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, form: Form, index: Tensor | None, x: Any, gates: Any, *rest: Any) -> tuple[Tensor, ...]:
        w, state = Weights(*rest[:4]), rest[4:]
        run = _run(form, True, x, gates, w, index, state)
        H = w.hh_RGH.shape[2]
        ctx.form, ctx.run, ctx.index, ctx.inputs = form, run, index, 0 if x is None else x.shape[3]
        ctx.save_for_backward(*(t for t in w if t is not None))
        ctx.given = [t is not None for t in w]
        ctx.set_materialize_grads(False)
        return run.outputs(H), *_last(form, run, H)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor | None, *dlast: Tensor | None) -> tuple[Tensor | None, ...]:
        form, run, index, width = ctx.form, ctx.run, ctx.index, ctx.inputs
        saved = iter(ctx.saved_tensors)
        w = Weights(*(next(saved) if given else None for given in ctx.given))  # type: ignore[arg-type]
        (R, steps, B, L), H = run.rows_RTBL.shape, w.hh_RGH.shape[2]
        T, G, like = steps - 1, form.blocks * H, run.rows_RTBL
        needs = ctx.needs_input_grad[2:]  # in the order of forward's arguments from x on
        learn = any(needs[2:6])
        dstate = [
            like.new_zeros(R, B, H) if d is None else d.clone(memory_format=torch.contiguous_format) for d in dlast
        ]
        dx = like.new_empty(R, T, B, width) if needs[0] else None
        dgates = like.new_empty(R, T, B, G) if needs[1] else None
        shapes = ((R, G, width), (R, G, H), (R, G), (R, G))
        dw = [like.new_empty(shape) for shape in shapes] if learn else [None] * 4
        weights, strides = zip(*map(_rows, w), strict=True)
        dout = _whole(dout)
        picked = index is not None and dout is not None
        _kernels(form)[1](
            gemm(like.dtype),
            _LIKE[like.dtype],
            (R, T, B, width, H, L, index.shape[1] if picked else 0),
            strides,
            tuple(map(_at, weights)),
            (like.data_ptr(), run.kept_RSBAH.data_ptr()),
            _at(index),
            (0 if picked else _at(dout), _at(dout) if picked else 0),
            (_at(dstate[0]), _at(dstate[-1]), *map(_at, dw)),
            (_at(dx), _at(dgates), int(learn)),
        )
        found = [d if given else None for d, given in zip(dw, ctx.given, strict=True)]
        return None, None, dx, dgates, *found, *dstate


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
    if index is not None:
        index = _ascending(index, R, T * B)
    if wanted(source, *(t for t in w if t is not None), *state):
        output, *last = _Layer.apply(  # type: ignore[no-untyped-call]
            form, index, x, gates, *w, *state
        )
        return output, tuple(last)
    run = _run(form, False, x, gates, w, index, state)
    return run.outputs(H), _last(form, run, H)


def _ascending(index_RN: Tensor, replicas: int, outputs: int) -> Tensor:
    index = index_RN.contiguous()
    values = index.numpy()
    good = index.dim() == 2 and len(index) == replicas and index.dtype is torch.int64
    if not (good and bool((values[:, 1:] > values[:, :-1]).all())):
        raise ValueError(f"the index of the outputs must be (R, N) whole numbers that ascend, got {index_RN}")
    if values.size and (values[:, 0].min() < 0 or values[:, -1].max() >= outputs):
        raise ValueError(f"the index of the outputs must lie in 0...{outputs - 1}, got {index_RN}")
    return index
