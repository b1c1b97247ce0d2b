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

from farback.kernels.arguments import LIKE, Piece, address, whole
from farback.kernels.buffer_pool import lent
from farback.kernels.gemm import gemm
from farback.kernels.time_loop import Form, compiled

_kernels = functools.cache(compiled)


class Pieces(NamedTuple):
    """Where the parameters of a layer are, or their gradients go; `NONE` is left out."""

    ih: Piece
    hh: Piece
    b_ih: Piece
    b_hh: Piece


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
    """Of a layer's input or gates, None where not asked for, and of its first state."""

    x_RTBI: Tensor | None
    gates_RTBG: Tensor | None
    state: Sequence[Tensor]


def forward(
    form: Form,
    x: Tensor | None,
    gates: Tensor | None,
    w: Pieces,
    state: Sequence[Tensor],
    index: Tensor | None,
    keep: bool,
) -> Forward:
    """Go forward from inputs or from gates, one of them None; `keep` what `backward` needs.

    Where all of the state is zero, one part may stand for all.

    Raises:
        ValueError: an index that does not ascend or is out of range.
    """
    source = gates if x is None else x
    assert source is not None
    (R, T, B), H, dtype = source.shape[:3], state[0].shape[2], source.dtype
    width, N = 0 if x is None else x.shape[3], 0 if index is None else index.shape[1]
    L, S = -(-(H + width + 1) // 16) * 16, T + 1 if keep else 2  # a row is whole cache lines
    fresh = lent if keep else torch.empty  # an evaluation of another length needs other sizes, and rarely
    row, kept = fresh((R, T + 1, B, L), dtype=dtype), fresh((R, S, B, form.kept, H), dtype=dtype)
    picked = None if index is None else source.new_empty(R, N, H)
    x, gates, *state = (None if t is None else whole(t) for t in (x, gates, *state))  # type: ignore[assignment]
    places, strides = zip(*w, strict=True)
    ascends = _kernels(form)[0](
        gemm(dtype),
        LIKE[dtype],
        (R, T, B, width, H, L, S, N),
        strides,
        (address(x), address(gates)),
        (address(state[0]), address(state[-1])),
        places,
        address(index),
        (row.data_ptr(), kept.data_ptr(), address(picked)),
    )
    if not ascends:
        raise ValueError(f"the index of the outputs must ascend within 0...{T * B - 1} for each replica, got {index}")
    return Forward(form, width, index, row, kept, picked, H)


def backward(
    run: Forward, w: Pieces, dout: Tensor | None, dlast: Sequence[Tensor | None], dw: Pieces, x: bool, gates: bool
) -> Gradients:
    """Go back: the gradients of what is asked for, from those of the outputs and of the last state; None is zero.

    Those of the parameters are written to `dw`; without the recurrent one's there are none.
    """
    like, form, H, index = run.rows_RTBL, run.form, run.hidden, run.index_RN
    R, steps, B, L = like.shape
    T, G, width = steps - 1, form.blocks * H, run.inputs
    dstate = [like.new_zeros(R, B, H) if d is None else d.clone(memory_format=torch.contiguous_format) for d in dlast]
    dx = like.new_empty(R, T, B, width) if x else None
    dgates = like.new_empty(R, T, B, G) if gates else None
    dout = None if dout is None else whole(dout)
    picked = index is not None and dout is not None
    (places, strides), (into, aparts) = zip(*w, strict=True), zip(*dw, strict=True)
    _kernels(form)[1](
        gemm(like.dtype),
        LIKE[like.dtype],
        (R, T, B, width, H, L, dout.shape[1] if picked else 0),  # type: ignore[union-attr]
        strides,
        places,
        (like.data_ptr(), run.kept_RSBAH.data_ptr()),
        address(index),
        (0 if picked else address(dout), address(dout) if picked else 0),
        (address(dstate[0]), address(dstate[-1])),
        (address(dx), address(dgates)),
        aparts,
        into,
    )
    return Gradients(dx, dgates, dstate)
