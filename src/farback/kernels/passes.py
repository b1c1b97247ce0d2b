"""One recurrent layer forward and backward, between tensors and the compiled loops over time.

Shapes: R replicas, T steps, B sequences, I inputs, G rows of gates, H hidden, L numbers in a row, S steps that are
kept, A numbers kept of each, N picked outputs.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from farback.kernels.arguments import LIKE, address, rows, whole
from farback.kernels.loops import Form, compiled
from farback.kernels.memory import lent
from farback.kernels.products import gemm

_kernels = functools.cache(compiled)


class Weights(NamedTuple):
    """The parameters of a layer, under torch.nn's names; those of the input are None where gates are given."""

    ih_RGI: Tensor | None
    hh_RGH: Tensor
    b_ih_RG: Tensor | None
    b_hh_RG: Tensor | None


@dataclass(frozen=True, slots=True)
class Forward:
    """A forward pass that was made: its outputs, and what the backward pass needs."""

    form: Form
    inputs: int
    index_RN: Tensor | None
    rows_RTBL: Tensor
    kept_RSBAH: Tensor
    picked_RNH: Tensor | None
    hidden: int

    @property
    def outputs(self) -> Tensor:
        """h of every step, (R, T, B, H), or those that were picked, (R, N, H)."""
        return self.rows_RTBL[:, 1:, :, : self.hidden] if self.picked_RNH is None else self.picked_RNH

    def last(self) -> tuple[Tensor, ...]:
        """The state after the last step."""
        T, S = self.rows_RTBL.shape[1] - 1, self.kept_RSBAH.shape[1]
        h_RBH = self.rows_RTBL[:, T, :, : self.hidden].clone()
        return (
            (h_RBH,) if self.form.carried is None else (h_RBH, self.kept_RSBAH[:, T % S, :, self.form.carried].clone())
        )


class Gradients(NamedTuple):
    """Of a layer's arguments; None where not asked for. Those of the parameters come together."""

    x_RTBI: Tensor | None
    gates_RTBG: Tensor | None
    weights: Sequence[Tensor | None]
    state: Sequence[Tensor]


def _rows(w: Weights) -> tuple[list[Tensor | None], tuple[int, ...]]:
    found = [(None, 0) if t is None else rows(t) for t in w]
    return [t for t, _ in found], tuple(stride for _, stride in found)


def forward(
    form: Form,
    x: Tensor | None,
    gates: Tensor | None,
    w: Weights,
    state: Sequence[Tensor],
    index: Tensor | None,
    keep: bool,
) -> Forward:
    """Go forward from inputs or from gates, one of them None; `keep` what `backward` needs.

    Raises:
        ValueError: an index that does not ascend or is out of range.
    """
    source = gates if x is None else x
    assert source is not None
    (R, T, B), H, dtype = source.shape[:3], w.hh_RGH.shape[2], source.dtype
    width, N = 0 if x is None else x.shape[3], 0 if index is None else index.shape[1]
    L, S = -(-(H + width + 1) // 16) * 16, T + 1 if keep else 2  # a row is whole cache lines
    fresh = lent if keep else torch.empty  # an evaluation of another length needs other sizes, and rarely
    row, kept = fresh((R, T + 1, B, L), dtype=dtype), fresh((R, S, B, form.kept, H), dtype=dtype)
    picked = None if index is None else source.new_empty(R, N, H)
    weights, strides = _rows(w)
    x, gates, *state = (None if t is None else whole(t) for t in (x, gates, *state))  # type: ignore[assignment]
    ascends = _kernels(form)[0](
        gemm(dtype),
        LIKE[dtype],
        (R, T, B, width, H, L, S, N),
        strides,
        (address(x), address(gates)),
        (address(state[0]), address(state[-1])),
        tuple(map(address, weights)),
        address(index),
        (row.data_ptr(), kept.data_ptr(), address(picked)),
    )
    if not ascends:
        raise ValueError(f"the index of the outputs must ascend within 0...{T * B - 1} for each replica, got {index}")
    return Forward(form, width, index, row, kept, picked, H)


def backward(
    run: Forward, w: Weights, dout: Tensor | None, dlast: Sequence[Tensor | None], x: bool, gates: bool, weights: bool
) -> Gradients:
    """Go back: the gradients of what is asked for, from those of the outputs and of the last state; None is zero."""
    like, form, H, index = run.rows_RTBL, run.form, run.hidden, run.index_RN
    R, steps, B, L = like.shape
    T, G, width = steps - 1, form.blocks * H, run.inputs
    dstate = [like.new_zeros(R, B, H) if d is None else d.clone(memory_format=torch.contiguous_format) for d in dlast]
    dx = like.new_empty(R, T, B, width) if x else None
    dgates = like.new_empty(R, T, B, G) if gates else None
    shapes = ((R, G, width), (R, G, H), (R, G), (R, G))
    dw = [like.new_empty(shape) for shape in shapes] if weights else [None] * 4
    given, strides = _rows(w)
    dout = None if dout is None else whole(dout)
    picked = index is not None and dout is not None
    _kernels(form)[1](
        gemm(like.dtype),
        LIKE[like.dtype],
        (R, T, B, width, H, L, dout.shape[1] if picked else 0),  # type: ignore[union-attr]
        strides,
        tuple(map(address, given)),
        (like.data_ptr(), run.kept_RSBAH.data_ptr()),
        address(index),
        (0 if picked else address(dout), address(dout) if picked else 0),
        (address(dstate[0]), address(dstate[-1]), *map(address, dw)),
        (address(dx), address(dgates), int(weights)),
    )
    return Gradients(dx, dgates, [d if t is not None else None for d, t in zip(dw, w, strict=True)], dstate)
