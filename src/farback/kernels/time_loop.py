# mypy: allow-untyped-defs, allow-untyped-calls
"""The loop over time of Elman's network, the GRU and the LSTM, forward and backward, compiled once for all of them.

Shapes: R replicas, T steps, B sequences, I inputs, H hidden, N selected outputs. A cell has K blocks of H gates. In the
first D blocks the contributions of the input and of the state are added; where D < K, they stay separate in the last
block, so that P = 2K - D blocks are computed. A numbers per unit and step are kept for the backward pass.

A row of L numbers for each sequence and step holds (h_{t-1}, x_t, 1) and padding: one product with all weights and
biases gives the gates of a step. The rows times the gradients of the gates give the gradients of weights and biases;
each of these products covers only a few steps, so its data stays in cache. Only the rows of F steps and the A kept
numbers of S steps are stored, by turns: of two steps in a pass without a gradient. If the caller gives gates instead of
inputs, I = 0. Inputs may also be given as indices into a table of at most 256 rows (`farback.kernels.symbols`).

A call computes the steps from `first` to `last` of T. `positions` counts the selected outputs of each replica that are
done, and `sums` holds the gradients of the weights so far. So a sequence in several calls gives the bits of one call.

The step functions of a cell are compiled separately and called by their addresses, so that one more cell adds a
second of compilation, not five seconds.

Memory is passed as addresses, because passing arrays would take longer than a step. Arrays are copied and added by
loops and not by slices, because numba takes a third of a second to compile each slice assignment, in every kernel.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import types

from farback.kernels.buffer_pool import aligned_zeros, array_at
from farback.kernels.gemm import add_transposed_product, product
from farback.kernels.jit import compiled_address, copy_with, inlined, kernel, loop
from farback.kernels.llvm import call_step

CODES = 256  # rows that one byte tells apart


class CellCode(NamedTuple):
    """The sizes and the step functions of one cell.

    Attributes:
        label: part of the names of the compiled functions.
        blocks: K.
        direct: D.
        kept: A.
        carried: which of the kept numbers is part of the state, as h is; None if the state is only h.
        step: `step(gates_BPH, row_BL, next_BL, kept_BAH, next_kept_BAH)` writes h into the next row, given the gates
            before their nonlinearities.
        back: `back(dh_BH, dc_BH, row_BL, next_BL, kept_BAH, next_kept_BAH, d_BPH)` writes the gradient of these gates
            to d. In dh (where D < K) and dc it leaves the gradient of the previous state that bypasses the gates.
    """

    label: str
    blocks: int
    direct: int
    kept: int
    carried: int | None
    step: Any
    back: Any


_function: Any = None  # a cell's step: `addresses` copies the functions that call it, with this global replaced


@inlined
def _parameters(addresses, strides, r, like, item, M, H, width):
    """W_ih, W_hh, b_ih and b_hh of replica r, or their gradients; biases as rows. Absent ones must not be read."""
    return (
        array_at(addresses[0] + r * strides[0] * item, like, (M, width)),
        array_at(addresses[1] + r * strides[1] * item, like, (M, H)),
        array_at(addresses[2] + r * strides[2] * item, like, (1, M)),
        array_at(addresses[3] + r * strides[3] * item, like, (1, M)),
    )


@loop
def transpose(w_GJ, first, packed_JG):
    """Write the transpose of a matrix from row `first` on."""
    for start in range(0, w_GJ.shape[0], 16):  # writes whole cache lines
        for j in range(w_GJ.shape[1]):
            for g in range(start, min(start + 16, w_GJ.shape[0])):
                packed_JG[first + j, g] = w_GJ[g, j]


@loop
def _put_inputs(x_BI, row_BL, first):
    for b in range(x_BI.shape[0]):
        for i in range(x_BI.shape[1]):
            row_BL[b, first + i] = x_BI[b, i]
        row_BL[b, first + x_BI.shape[1]] = 1


@loop
def _put_rows(rows_CI, code_B, row_BL, first):
    for b in range(code_B.size):
        for i in range(rows_CI.shape[1]):
            row_BL[b, first + i] = rows_CI[code_B[b], i]
        row_BL[b, first + rows_CI.shape[1]] = 1


@loop
def add(x_BH, y_BH):
    """Add x to y."""
    for b in range(x_BH.shape[0]):
        for j in range(x_BH.shape[1]):
            y_BH[b, j] += x_BH[b, j]


@loop
def copy(x_BH, y_BH):
    """Copy the rows and columns that both arrays have."""
    for b in range(min(x_BH.shape[0], y_BH.shape[0])):
        for j in range(min(x_BH.shape[1], y_BH.shape[1])):
            y_BH[b, j] = x_BH[b, j]


@loop
def clear(x_BH):
    """Write zeros."""
    for b in range(x_BH.shape[0]):
        for j in range(x_BH.shape[1]):
            x_BH[b, j] = 0


@loop
def _copy_blocks(x_BKH, y_BKH, direct):
    """Copy gates to computed blocks, or back: the first blocks and the last block; blocks between become 0."""
    blocks = y_BKH.shape[1]
    for b in range(y_BKH.shape[0]):
        for k in range(blocks):
            for j in range(y_BKH.shape[2]):
                if k < direct:
                    y_BKH[b, k, j] = x_BKH[b, k, j]
                else:
                    y_BKH[b, k, j] = x_BKH[b, x_BKH.shape[1] - 1, j] if k == blocks - 1 else 0


@kernel
def forward(gemm, step, like, cell, sizes, steps, strides, inputs, state, weights, index, positions, outputs):
    """Write rows, kept numbers and selected outputs; return whether all of the index is selected.

    The index must be strictly increasing and in range: from the first value that is not, none is selected.
    """
    (K, D, A, carried), (R, T, B, width, H, L, N), (first, last, F, S) = cell, sizes, steps
    M, P, W = K * H, 2 * K - D, H + width + 1
    x_RTBI = array_at(inputs[0], like, (R, T, B, width))
    code_RTB, rows_CI = array_at(inputs[2], np.uint8(0), (R, T, B)), array_at(inputs[0], like, (CODES, width))
    gates_RTBKH = array_at(inputs[1], like, (R, T, B, K, H))
    h0_RBH, c0_RBH = array_at(state[0], like, (R, B, H)), array_at(state[1], like, (R, B, H))
    index_RN, position_R = array_at(index, 0, (R, N)), array_at(positions, 0, (R,))
    row_RFBL, kept_RSBAH = array_at(outputs[0], like, (R, F, B, L)), array_at(outputs[1], like, (R, S, B, A, H))
    selected_RNH = array_at(outputs[2], like, (R, N, H))
    packed_WM = aligned_zeros(like, W * M).reshape(W, M)
    inner_JH = aligned_zeros(like, (width + 1) * H).reshape(width + 1, H)
    gates_BPH = aligned_zeros(like, B * P * H).reshape(B, P, H)
    item, has_gates, is_done = packed_WM.itemsize, inputs[1] != 0, True
    for r in range(R):
        w_ih_GI, w_hh_GH, b_ih_1G, b_hh_1G = _parameters(weights, strides, r, like, item, M, H, width)
        transpose(w_hh_GH, 0, packed_WM)
        if width:
            transpose(w_ih_GI[: D * H], H, packed_WM)
        bias_1M = packed_WM[H + width : H + width + 1]
        clear(bias_1M)
        if weights[3]:
            add(b_hh_1G, bias_1M)
        if weights[2]:
            add(b_ih_1G[:, : D * H], bias_1M)
        if D < K:
            transpose(w_ih_GI[D * H :], 0, inner_JH)
            if weights[2]:
                copy(b_ih_1G[:, D * H :], inner_JH[width : width + 1])
        copy(h0_RBH[r], row_RFBL[r, 0])
        if carried >= 0:
            copy(c0_RBH[r], kept_RSBAH[r, 0, :, carried])
        n = position_R[r] if positions else 0
        for t in range(first, last):
            here = t - first
            row_BL, next_BL = row_RFBL[r, here % F], row_RFBL[r, (here + 1) % F]
            if inputs[2]:
                _put_rows(rows_CI, code_RTB[r, t], row_BL, H)
            else:
                _put_inputs(x_RTBI[r, t], row_BL, H)
            if has_gates:
                _copy_blocks(gates_RTBKH[r, t], gates_BPH, D)
            elif D < K:
                product(gemm, B, width + 1, H, (row_BL, H, L), (inner_JH, 0, H), (gates_BPH, M, P * H), 0)
            product(gemm, B, W, M, (row_BL, 0, L), (packed_WM, 0, M), (gates_BPH, 0, P * H), 1 if has_gates else 0)
            rows = row_BL.ctypes.data, next_BL.ctypes.data
            kept = kept_RSBAH[r, here % S].ctypes.data, kept_RSBAH[r, (here + 1) % S].ctypes.data
            call_step(step, like, (gates_BPH.ctypes.data, *rows, *kept), (B, P, H, L, A))
            while n < N and t * B <= index_RN[r, n] < (t + 1) * B and (n == 0 or index_RN[r, n - 1] < index_RN[r, n]):
                b = index_RN[r, n] - t * B
                copy(next_BL[b : b + 1], selected_RNH[r, n : n + 1])
                n += 1
        if positions:
            position_R[r] = n
        is_done = is_done and n == N
    return is_done


@kernel
def backward(
    gemm,
    back,
    like,
    cell,
    sizes,
    steps,
    strides,
    weights,
    saved,
    index,
    positions,
    doutputs,
    dstate,
    dinputs,
    dstrides,
    dweights,
    sums,
):
    """Write the gradients of the inputs or gates, of the state before the first step and of the parameters."""
    (K, D, A, _), (R, T, B, width, H, L, N), (begin, end, F, S) = cell, sizes, steps
    M, P, W, Q = K * H, 2 * K - D, H + width + 1, -(-(width + 1) // 16) * 16
    row_RFBL, kept_RSBAH = array_at(saved[0], like, (R, F, B, L)), array_at(saved[1], like, (R, S, B, A, H))
    dout_RTBH, dselected_RNH = array_at(doutputs[0], like, (R, T, B, H)), array_at(doutputs[1], like, (R, N, H))
    index_RN, position_R = array_at(index, 0, (R, N)), array_at(positions, 0, (R,))
    dh_RBH, dc_RBH = array_at(dstate[0], like, (R, B, H)), array_at(dstate[1], like, (R, B, H))
    dx_RTBI = array_at(dinputs[0], like, (R, T, B, width))
    dgates_RTBKH = array_at(dinputs[1], like, (R, T, B, K, H))
    span = min(T, max(1, 128 // B))  # steps per product for the gradient of the weights: 128 rows, still in cache
    d_SBPH = aligned_zeros(like, span * B * P * H).reshape(span, B, P, H)
    dw_ML, inner_HQ = aligned_zeros(like, M * L).reshape(M, L), aligned_zeros(like, H * Q).reshape(H, Q)
    dw_RML = array_at(sums[0], like, (R, M, L))
    inner_RHQ = array_at(sums[1], like, (R, H, Q))
    item = dw_ML.itemsize
    for r in range(R):
        w_ih_GI, w_hh_GH, _, _ = _parameters(weights, strides, r, like, item, M, H, width)
        dw_ih_GI, dw_hh_GH, db_ih_1G, db_hh_1G = _parameters(dweights, dstrides, r, like, item, M, H, width)
        dh_BH, n = dh_RBH[r], (position_R[r] if positions else N) - 1
        clear(dw_ML)
        clear(inner_HQ)
        if sums[0]:
            copy(dw_RML[r], dw_ML)
            copy(inner_RHQ[r], inner_HQ)
        for t in range(end - 1, begin - 1, -1):
            here = t - begin
            if doutputs[0]:
                add(dout_RTBH[r, t], dh_BH)
            while n >= 0 and index_RN[r, n] >= t * B:
                b = index_RN[r, n] - t * B
                add(dselected_RNH[r, n : n + 1], dh_BH[b : b + 1])
                n -= 1
            d_BPH = d_SBPH[t % span]
            states = dh_BH.ctypes.data, dc_RBH[r].ctypes.data
            rows = row_RFBL[r, here].ctypes.data, row_RFBL[r, here + 1].ctypes.data
            kept = kept_RSBAH[r, here].ctypes.data, kept_RSBAH[r, here + 1].ctypes.data
            call_step(back, like, (*states, *rows, *kept, d_BPH.ctypes.data), (B, P, H, L, A))
            if dinputs[0]:
                outer, dx = (d_BPH, 0, P * H), (dx_RTBI[r, t], 0, width)
                product(gemm, B, D * H, width, outer, (w_ih_GI, 0, width), dx, 0)
                if D < K:
                    product(gemm, B, H, width, (d_BPH, M, P * H), (w_ih_GI, D * H * width, width), dx, 1)
            if dinputs[1]:
                _copy_blocks(d_BPH, dgates_RTBKH[r, t], D)
            past = 1 if D < K else 0
            product(gemm, B, M, H, (d_BPH, 0, P * H), (w_hh_GH, 0, H), (dh_BH, 0, H), past)
            if dweights[1] and t % span == 0:
                rows = min(span, T - t) * B
                row_BL = row_RFBL[r, here]
                add_transposed_product(gemm, M, rows, W, (d_SBPH, 0, P * H), (row_BL, 0, L), (dw_ML, 0, L))
                if D < K and width:
                    part = (d_SBPH, M, P * H)
                    add_transposed_product(gemm, H, rows, width + 1, part, (row_BL, H, L), (inner_HQ, 0, Q))
        if positions:
            position_R[r] = n + 1
        if sums[0]:
            copy(dw_ML, dw_RML[r])
            copy(inner_HQ, inner_RHQ[r])
        first, bias = D * H, H + width  # the rows of added blocks, and the column of the bias
        if dweights[1]:
            copy(dw_ML, dw_hh_GH)
        if dweights[0]:
            copy(dw_ML[:first, H:], dw_ih_GI)
            if D < K:
                copy(inner_HQ, dw_ih_GI[first:])
        if dweights[2]:
            transpose(dw_ML[:first, bias : bias + 1], 0, db_ih_1G)
            if D < K:
                transpose(inner_HQ[:, width : width + 1], 0, db_ih_1G[:, first:])
        if dweights[3]:
            transpose(dw_ML[:, bias : bias + 1], 0, db_hh_1G)


def _step_at(like, gates, row, next_row, kept, next_kept, B, P, H, L, A):
    rows = array_at(row, like, (B, L)), array_at(next_row, like, (B, L))
    kepts = array_at(kept, like, (B, A, H)), array_at(next_kept, like, (B, A, H))
    _function(array_at(gates, like, (B, P, H)), *rows, *kepts)


def _back_at(like, dh, dc, row, next_row, kept, next_kept, d, B, P, H, L, A):
    states = array_at(dh, like, (B, H)), array_at(dc, like, (B, H))
    rows = array_at(row, like, (B, L)), array_at(next_row, like, (B, L))
    kepts = array_at(kept, like, (B, A, H)), array_at(next_kept, like, (B, A, H))
    _function(*states, *rows, *kepts, array_at(d, like, (B, P, H)))


@functools.cache
def addresses(code: CellCode, dtype: torch.dtype) -> tuple[int, int]:
    """The addresses of a cell's compiled step and of its backward step."""
    like: Any = {torch.float32: types.float32, torch.float64: types.float64}[dtype]
    step, back = (copy_with(at, code.label, _function=f) for at, f in ((_step_at, code.step), (_back_at, code.back)))
    places: Any = [types.intp] * 12
    return compiled_address(step, types.void(like, *places[:10])), compiled_address(back, types.void(like, *places))
