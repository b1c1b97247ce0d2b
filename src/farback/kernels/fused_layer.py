"""The forward and the backward pass of a recurrent layer: from tensors to calls of the compiled loops over time.

Recomputation in time (Gruslys et al. 2016, 1606.03401): the forward pass of a long sequence may keep only the state
before each stretch of steps. The backward pass computes the stretches again, the last one first. Both passes call the
same code at the same steps, and the gradients of the weights are one sum over all stretches, so no bit changes.

Shapes: R replicas, T steps, B sequences, I inputs, G rows of gates, H hidden, L numbers in a row, F rows and S kept
steps in memory, A kept numbers of each unit and step, N selected outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from farback.kernels import buffer_pool, time_loop
from farback.kernels.arguments import LIKE, Place, address, contiguous
from farback.kernels.gemm import gemm
from farback.kernels.symbols import Symbols
from farback.kernels.time_loop import CellCode


def cell_sizes(code: CellCode) -> tuple[int, int, int, int]:
    """The sizes of a cell's step functions."""
    return code.blocks, code.direct, code.kept, -1 if code.carried is None else code.carried


class _Source(NamedTuple):
    """What a layer reads: the step functions, the inputs or the gates, in contiguous memory, and the index."""

    code: CellCode
    x: Tensor | Symbols | None
    gates: Tensor | None
    index_RN: Tensor | None
    hidden: int

    @property
    def addresses(self) -> tuple[int, int, int]:
        """The addresses of the inputs, or of the rows that their codes stand for, of the gates and of the codes."""
        if isinstance(self.x, Symbols):
            return address(self.x.rows_CI), 0, address(self.x.code_RTB)
        return address(self.x), address(self.gates), 0

    @property
    def shape(self) -> tuple[int, ...]:
        """R, T and B."""
        given = self.gates if self.x is None else self.x
        assert given is not None
        return tuple(given.shape[:3])

    def sizes(self, selected: bool) -> tuple[int, ...]:
        """R, T, B, I, H, L and N; without selected outputs N is 0."""
        R, T, B = self.shape
        width = 0 if self.x is None else self.x.shape[3]
        N = self.index_RN.shape[1] if selected and self.index_RN is not None else 0
        return R, T, B, width, self.hidden, row_length(self.hidden, width), N


class ForwardPass(NamedTuple):
    """The outputs of a forward pass, and what the backward pass needs.

    Attributes:
        rows_RFBL: the rows of all steps, or of a stretch.
        kept_RSBAH: the kept numbers of the same steps, or of the last two.
        outputs: h of every step, (R, T, B, H), or the selected outputs, (R, N, H).
        states: the state before each stretch.
        stretch: the number of steps of each stretch but the last.
    """

    source: _Source
    rows_RFBL: Tensor
    kept_RSBAH: Tensor
    outputs: Tensor
    states: tuple[Sequence[Tensor], ...]
    stretch: int

    def last(self) -> tuple[Tensor, ...]:
        """The state after the last step."""
        steps = self.source.shape[1] - (len(self.states) - 1) * self.stretch
        return _state(self.source, self.rows_RFBL, self.kept_RSBAH, steps)


def stretch(code: CellCode, shape: Sequence[int], hidden: int, limit: int) -> int | None:
    """The steps of a stretch, about the square root of T; None if the pass fits into `limit` bytes.

    A stretch has whole products of the gradients of the weights (see `time_loop.backward`).

    Args:
        code: the step functions of the cell.
        shape: R, T, B and I.
        hidden: H.
        limit: the bytes that rows and kept numbers of all replicas, in float32, may take.
    """
    R, T, B, width = shape
    if 4 * R * T * B * (row_length(hidden, width) + code.kept * hidden) <= limit:
        return None
    span = max(1, 128 // B)
    return -(-(math.isqrt(T - 1) + 1) // span) * span


def row_length(hidden: int, width: int) -> int:
    """L: a row fills whole cache lines."""
    return -(-(hidden + width + 1) // 16) * 16


def forward(
    code: CellCode,
    x: Tensor | Symbols | None,
    gates: Tensor | None,
    w: Sequence[Place],
    state: Sequence[Tensor],
    index: Tensor | None,
    keep: bool,
    stretch: int | None = None,
) -> ForwardPass:
    """The forward pass from inputs or from gates.

    Args:
        code: the step functions of the cell.
        x: the inputs, or None if `gates` are given.
        gates: the contributions of the inputs to the gates, or None if `x` is given.
        w: places of W_ih, W_hh, b_ih, b_hh.
        state: the parts of the state before the first step; for a zero state one part is enough.
        index: which of the T * B outputs to select, strictly increasing; None for all.
        keep: whether a backward pass follows.
        stretch: how many steps to keep at a time; None for all.

    Raises:
        ValueError: an index that does not increase or is out of range.
    """
    gates, *state = (None if t is None else contiguous(t) for t in (gates, *state))  # type: ignore[assignment]
    x = x.contiguous() if isinstance(x, Symbols) else None if x is None else contiguous(x)
    source = _Source(code, x, gates, index, state[0].shape[2])
    R, T, B, _, H, L, N = source.sizes(True)
    like = state[0]
    dtype = like.dtype
    length = T if stretch is None else min(stretch, T)
    empty = buffer_pool.empty if keep else torch.empty  # evaluations have other sizes, and are rare
    F, S = length + 1 if keep or index is None else 2, length + 1 if keep else 2
    row, kept = empty((R, F, B, L), dtype=dtype), empty((R, S, B, code.kept, H), dtype=dtype)
    whole = index is None and length == T  # the outputs are in the rows
    outputs = row[:, 1:, :, :H] if whole else like.new_empty((R, T, B, H) if index is None else (R, N, H))
    position_R = torch.zeros(R, dtype=torch.int64) if length < T else None
    states: list[Sequence[Tensor]] = []
    for first in range(0, T, length):
        last = min(T, first + length)
        states.append(state)
        is_valid = _forward(source, w, state, (first, last), row, kept, position_R, None if index is None else outputs)
        if index is None and not whole:
            outputs[:, first:last] = row[:, 1 : last - first + 1, :, :H]
        if last < T:
            state = _state(source, row, kept, last - first)
    if not is_valid:
        bounds = f"with values from 0 to {T * B - 1}, for each replica"
        raise ValueError(f"index must be strictly increasing, {bounds}; got {index}")
    return ForwardPass(source, row, kept, outputs, tuple(states), length)


def _state(source: _Source, row: Tensor, kept: Tensor, steps: int) -> tuple[Tensor, ...]:
    """The state after so many steps of a stretch."""
    h_RBH = row[:, steps % row.shape[1], :, : source.hidden].clone(memory_format=torch.contiguous_format)
    if source.code.carried is None:
        return (h_RBH,)
    c_RBH = kept[:, steps % kept.shape[1], :, source.code.carried]
    return h_RBH, c_RBH.clone(memory_format=torch.contiguous_format)


def _forward(
    source: _Source,
    w: Sequence[Place],
    state: Sequence[Tensor],
    steps: tuple[int, int],
    row: Tensor,
    kept: Tensor,
    position_R: Tensor | None,
    selected: Tensor | None,
) -> bool:
    """Compute some steps; return whether all outputs of the index are selected."""
    addresses, strides = zip(*w, strict=True)
    done: bool = time_loop.forward(
        gemm(row.dtype),
        time_loop.addresses(source.code, row.dtype)[0],
        LIKE[row.dtype],
        cell_sizes(source.code),
        source.sizes(selected is not None),
        (*steps, row.shape[1], kept.shape[1]),
        strides,
        source.addresses,
        (address(state[0]), address(state[-1])),
        addresses,
        address(source.index_RN),
        address(position_R),
        (row.data_ptr(), kept.data_ptr(), address(selected)),
    )
    return done


def backward(
    run: ForwardPass,
    w: Sequence[Place],
    dout: Tensor | None,
    dlast: Sequence[Tensor | None],
    dw: Sequence[Place],
    x: bool,
    gates: bool,
) -> tuple[Tensor | None, ...]:
    """The gradients of the input, of the gates (each None if not requested) and of each part of the first state.

    The gradients of the parameters are written to `dw`, or not computed if `dw` has no place for the one of W_hh.

    Args:
        run: the forward pass.
        w: as in `forward`.
        dout: the gradient of the outputs; None for zero.
        dlast: the gradient of each part of the last state; None for zero.
        dw: places for the gradients of the parameters.
        x: whether to compute the gradient of the input.
        gates: whether to compute the gradient of the gates.
    """
    source, row, kept = run.source, run.rows_RFBL, run.kept_RSBAH
    code, index, like = source.code, source.index_RN, row
    selected = index is not None and dout is not None
    sizes = R, T, B, width, H, L, N = source.sizes(selected)
    dstate = [like.new_zeros(R, B, H) if d is None else d.clone(memory_format=torch.contiguous_format) for d in dlast]
    dx = like.new_empty(R, T, B, width) if x else None
    dgates = like.new_empty(R, T, B, code.blocks * H) if gates else None
    dout = None if dout is None else contiguous(dout)
    position_R: Tensor | None = None
    sums: tuple[Tensor | None, ...] = (None, None)
    if run.stretch < T:
        position_R, columns = torch.full((R,), N), -(-(width + 1) // 16) * 16
        sums = like.new_zeros(R, code.blocks * H, L), like.new_zeros(R, H, columns)
    (addresses, strides), (daddresses, dstrides) = zip(*w, strict=True), zip(*dw, strict=True)
    for first, state in reversed([*zip(range(0, T, run.stretch), run.states, strict=True)]):
        last = min(T, first + run.stretch)
        if run.stretch < T:
            _forward(source, w, state, (first, last), row, kept, None, None)
        time_loop.backward(
            gemm(like.dtype),
            time_loop.addresses(code, like.dtype)[1],
            LIKE[like.dtype],
            cell_sizes(code),
            sizes,
            (first, last, row.shape[1], kept.shape[1]),
            strides,
            addresses,
            (row.data_ptr(), kept.data_ptr()),
            address(index),
            address(position_R),
            (0 if selected else address(dout), address(dout) if selected else 0),
            (address(dstate[0]), address(dstate[-1])),
            (address(dx), address(dgates)),
            dstrides,
            daddresses,
            tuple(map(address, sums)),
        )
    return dx, dgates, *dstate
