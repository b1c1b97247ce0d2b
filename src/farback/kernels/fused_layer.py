"""The forward and the backward pass of a recurrent layer: from tensors to calls of the compiled loops over time.

Shapes: R replicas, T steps, B sequences, I inputs, G rows of gates, H hidden, L numbers in a row, S kept steps, A kept
numbers of each unit and step, N selected outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from farback.kernels import buffer_pool, time_loop
from farback.kernels.arguments import LIKE, Place, address, contiguous
from farback.kernels.gemm import gemm
from farback.kernels.time_loop import CellCode


def _sizes(code: CellCode) -> tuple[int, int, int, int]:
    return code.blocks, code.direct, code.kept, -1 if code.carried is None else code.carried


@dataclass(frozen=True, slots=True)
class ForwardPass:
    """The outputs of a forward pass, and what the backward pass needs."""

    code: CellCode
    inputs: int
    index_RN: Tensor | None
    rows_RTBL: Tensor
    kept_RSBAH: Tensor
    selected_RNH: Tensor | None
    hidden: int

    @property
    def outputs(self) -> Tensor:
        """h of every step, (R, T, B, H), or the selected outputs, (R, N, H)."""
        return self.rows_RTBL[:, 1:, :, : self.hidden] if self.selected_RNH is None else self.selected_RNH

    def last(self) -> tuple[Tensor, ...]:
        """The state after the last step."""
        T, S = self.rows_RTBL.shape[1] - 1, self.kept_RSBAH.shape[1]
        h_RBH = self.rows_RTBL[:, T, :, : self.hidden].clone()
        carried = self.code.carried
        return (h_RBH,) if carried is None else (h_RBH, self.kept_RSBAH[:, T % S, :, carried].clone())


def forward(
    code: CellCode,
    x: Tensor | None,
    gates: Tensor | None,
    w: Sequence[Place],
    state: Sequence[Tensor],
    index: Tensor | None,
    keep: bool,
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

    Raises:
        ValueError: an index that does not increase or is out of range.
    """
    source = gates if x is None else x
    assert source is not None
    (R, T, B), H, dtype = source.shape[:3], state[0].shape[2], source.dtype
    width, N = 0 if x is None else x.shape[3], 0 if index is None else index.shape[1]
    L, S = -(-(H + width + 1) // 16) * 16, T + 1 if keep else 2  # a row fills whole cache lines
    empty = buffer_pool.empty if keep else torch.empty  # evaluations have other sizes, and are rare
    row, kept = empty((R, T + 1, B, L), dtype=dtype), empty((R, S, B, code.kept, H), dtype=dtype)
    selected = None if index is None else source.new_empty(R, N, H)
    x, gates, *state = (None if t is None else contiguous(t) for t in (x, gates, *state))  # type: ignore[assignment]
    addresses, strides = zip(*w, strict=True)
    is_valid = time_loop.forward(
        gemm(dtype),
        time_loop.addresses(code, dtype)[0],
        LIKE[dtype],
        _sizes(code),
        (R, T, B, width, H, L, S, N),
        strides,
        (address(x), address(gates)),
        (address(state[0]), address(state[-1])),
        addresses,
        address(index),
        (row.data_ptr(), kept.data_ptr(), address(selected)),
    )
    if not is_valid:
        bounds = f"with values from 0 to {T * B - 1}, for each replica"
        raise ValueError(f"index must be strictly increasing, {bounds}; got {index}")
    return ForwardPass(code, width, index, row, kept, selected, H)


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
    like, code, H, index = run.rows_RTBL, run.code, run.hidden, run.index_RN
    R, steps, B, L = like.shape
    T, width = steps - 1, run.inputs
    dstate = [like.new_zeros(R, B, H) if d is None else d.clone(memory_format=torch.contiguous_format) for d in dlast]
    dx = like.new_empty(R, T, B, width) if x else None
    dgates = like.new_empty(R, T, B, code.blocks * H) if gates else None
    dout = None if dout is None else contiguous(dout)
    selected = index is not None and dout is not None
    (addresses, strides), (daddresses, dstrides) = zip(*w, strict=True), zip(*dw, strict=True)
    time_loop.backward(
        gemm(like.dtype),
        time_loop.addresses(code, like.dtype)[1],
        LIKE[like.dtype],
        _sizes(code),
        (R, T, B, width, H, L, dout.shape[1] if selected else 0),  # type: ignore[union-attr]
        strides,
        addresses,
        (like.data_ptr(), run.kept_RSBAH.data_ptr()),
        address(index),
        (0 if selected else address(dout), address(dout) if selected else 0),
        (address(dstate[0]), address(dstate[-1])),
        (address(dx), address(dgates)),
        dstrides,
        daddresses,
    )
    return dx, dgates, *dstate
