# mypy: allow-untyped-defs, allow-untyped-calls
"""The loop over time of every cell that is given as a pointwise step, forward and backward, compiled once for all.

Shapes: R replicas, T steps, B sequences, H hidden, G blocks of gates, S parts of the state, U parameters of each unit,
C constants. The first matrix multiplies the first parts of the state and adds to the first blocks of gates; the second
multiplies what the step computes from these gates, and adds to the next blocks. Either may be absent: then the units do
not interact.

All gates and states are kept for the backward pass, which computes the nonlinearities again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels import buffer_pool
from farback.kernels.arguments import (
    DTYPES,
    LIKE,
    address,
    check_shapes,
    contiguous,
    contiguous_replicas,
    needs_gradient,
    place,
)
from farback.kernels.buffer_pool import aligned_zeros, array_at
from farback.kernels.gemm import add_transposed_product, gemm, product
from farback.kernels.jit import kernel, loop
from farback.kernels.llvm import call_step
from farback.kernels.pointwise import Pointwise
from farback.kernels.pointwise_code import Addresses, addresses
from farback.kernels.time_loop import add, clear, copy, transpose


class Code(NamedTuple):
    """A step and its sizes."""

    label: str
    step: Pointwise
    gates: int
    states: int


@loop
def _put_gates(x_BM, bias_M, gates_BM):
    """The contributions of the inputs, plus the recurrent biases of the first blocks."""
    for b in range(x_BM.shape[0]):
        for m in range(bias_M.size):
            gates_BM[b, m] = x_BM[b, m] + bias_M[m]
        for m in range(bias_M.size, x_BM.shape[1]):
            gates_BM[b, m] = x_BM[b, m]


@loop
def _add_rows(d_BM, sums_M):
    for b in range(d_BM.shape[0]):
        for m in range(sums_M.size):
            sums_M[m] += d_BM[b, m]


@kernel
def _forward(gemm, steps, like, shape, blocks, strides, given, weights, units, constants, kept):
    """Write the gates, the states and the vectors of the second product of all steps."""
    (R, T, B, H, G, S), (first, second, reads, biased, U, stored) = shape, blocks
    M, N = first * H, second * H
    x_RTBM, start_RBM = array_at(given[0], like, (R, T, B, G * H)), array_at(given[1], like, (R, B, S * H))
    item = x_RTBM.itemsize
    gates_RTBM = array_at(kept[0], like, (R, stored, B, G * H))
    states_RTBM = array_at(kept[1], like, (R, T + 1, B, S * H))
    read_RTBH = array_at(kept[2], like, (R, stored, B, H))
    first_JM = aligned_zeros(like, reads * H * M).reshape(reads * H, M)
    second_JN = aligned_zeros(like, H * N).reshape(H, N)
    for r in range(R):
        if first:
            transpose(array_at(weights[0] + r * strides[0] * item, like, (M, reads * H)), 0, first_JM)
        if second:
            transpose(array_at(weights[1] + r * strides[1] * item, like, (N, H)), 0, second_JN)
        bias_M = array_at(weights[2] + r * strides[2] * item, like, (biased * H,))
        shared = units + r * U * H * item, constants
        copy(start_RBM[r], states_RTBM[r, 0])
        for t in range(T):
            gates_BM, before_BM = gates_RTBM[r, t % stored], states_RTBM[r, t]
            _put_gates(x_RTBM[r, t], bias_M, gates_BM)
            if first:
                product(gemm, B, reads * H, M, (before_BM, 0, S * H), (first_JM, 0, M), (gates_BM, 0, G * H), 1)
            here = gates_BM.ctypes.data, before_BM.ctypes.data
            if second:
                read_BH = read_RTBH[r, t % stored]
                call_step(steps[1], like, (*here, *shared, read_BH.ctypes.data), (B, H, G, S, 1))
                product(gemm, B, H, N, (read_BH, 0, H), (second_JN, 0, N), (gates_BM, M, G * H), 1)
            call_step(steps[0], like, (*here, *shared, states_RTBM[r, t + 1].ctypes.data), (B, H, G, S, S))


@kernel
def _backward(
    gemm, steps, like, shape, blocks, strides, weights, units, constants, kept, slopes, dgates, dstart, dweights, dunits
):
    """Write the gradients of the gates, of the first state and of the parameters."""
    (R, T, B, H, G, S), (first, second, reads, biased, U, _) = shape, blocks
    M, N = first * H, second * H
    gates_RTBM = array_at(kept[0], like, (R, T, B, G * H))
    item = gates_RTBM.itemsize
    states_RTBM = array_at(kept[1], like, (R, T + 1, B, S * H))
    read_RTBH = array_at(kept[2], like, (R, T, B, H))
    dout_RTBH, dlast_RBM = array_at(slopes[0], like, (R, T, B, H)), array_at(slopes[1], like, (R, B, S * H))
    dgates_RTBM, dstart_RBM = array_at(dgates, like, (R, T, B, G * H)), array_at(dstart, like, (R, B, S * H))
    d_2BM = aligned_zeros(like, 2 * B * S * H).reshape(2, B, S * H)
    dread_BH = aligned_zeros(like, B * H).reshape(B, H)
    for r in range(R):
        first_MJ = array_at(weights[0] + r * strides[0] * item, like, (M, reads * H))
        second_NH = array_at(weights[1] + r * strides[1] * item, like, (N, H))
        shared, dunits_r = (units + r * U * H * item, constants), dunits + r * U * H * item
        clear(array_at(dunits_r, like, (U, H)))
        copy(dlast_RBM[r], d_2BM[T % 2])
        for t in range(T - 1, -1, -1):
            after_BM, before_BM, d_BM = d_2BM[(t + 1) % 2], d_2BM[t % 2], dgates_RTBM[r, t]
            if slopes[0]:
                add(dout_RTBH[r, t], after_BM)
            here = gates_RTBM[r, t].ctypes.data, states_RTBM[r, t].ctypes.data, *shared
            to = d_BM.ctypes.data, before_BM.ctypes.data, dunits_r
            call_step(steps[2], like, (*here, after_BM.ctypes.data, *to), (B, H, G, S, S))
            if second:
                product(gemm, B, N, H, (d_BM, M, G * H), (second_NH, 0, H), (dread_BH, 0, H), 0)
                call_step(steps[3], like, (*here, dread_BH.ctypes.data, *to), (B, H, G, S, 1))
            if first:
                product(gemm, B, M, reads * H, (d_BM, 0, G * H), (first_MJ, 0, reads * H), (before_BM, 0, S * H), 1)
        copy(d_2BM[0], dstart_RBM[r])
        if dweights[0]:
            dfirst_MJ = array_at(dweights[0] + r * M * reads * H * item, like, (M, reads * H))
            clear(dfirst_MJ)
            outer, inner = (dgates_RTBM[r], 0, G * H), (states_RTBM[r], 0, S * H)
            add_transposed_product(gemm, M, T * B, reads * H, outer, inner, (dfirst_MJ, 0, reads * H))
        if dweights[1]:
            dsecond_NH = array_at(dweights[1] + r * N * H * item, like, (N, H))
            clear(dsecond_NH)
            outer, inner = (dgates_RTBM[r], M, G * H), (read_RTBH[r], 0, H)
            add_transposed_product(gemm, N, T * B, H, outer, inner, (dsecond_NH, 0, H))
        if dweights[2]:
            dbias_1M = array_at(dweights[2] + r * biased * H * item, like, (1, biased * H))
            clear(dbias_1M)
            for t in range(T):
                _add_rows(dgates_RTBM[r, t], dbias_1M[0])


class _Sizes(NamedTuple):
    """Sizes of a layer, from its tensors."""

    shape: tuple[int, ...]
    blocks: tuple[int, ...]

    @classmethod
    def of(cls, code: Code, gates: Tensor, start: Tensor, parameters: tuple[Tensor | None, ...], keep: bool) -> _Sizes:
        (R, T, B, _), (_, _, S, H) = gates.shape, start.shape
        first, second, bias = (0 if t is None else t.shape[1] // H for t in parameters)
        reads = 0 if parameters[0] is None else parameters[0].shape[2] // H
        return cls((R, T, B, H, code.gates, S), (first, second, reads, bias, len(code.step.units), T if keep else 1))


def _compiled(code: Code, dtype: torch.dtype) -> Addresses:
    return addresses(code.label, code.step, code.gates, code.states, dtype)


def _run(
    code: Code, constants: Tensor, tensors: tuple[Tensor | None, ...], keep: bool
) -> tuple[_Sizes, tuple[Tensor, Tensor, Tensor]]:
    """The sizes, and gates, states and vectors of the second product of all steps; of gates the last if not `keep`."""
    gates, start, first, second, bias, units = tensors
    assert gates is not None
    assert start is not None
    sizes = _Sizes.of(code, gates, start, (first, second, bias), keep)
    (R, T, B, H, G, S), stored = sizes.shape, sizes.blocks[-1]
    empty = buffer_pool.empty if keep else torch.empty  # evaluations have other sizes, and are rare
    kept = (
        empty((R, stored, B, G * H), dtype=gates.dtype),
        empty((R, T + 1, B, S, H), dtype=gates.dtype),
        empty((R, stored if code.step.between else 0, B, H), dtype=gates.dtype),
    )
    x, initial, own = contiguous(gates), contiguous(start), None if units is None else contiguous(units)
    copies = [contiguous_replicas(t) for t in (first, second, bias)]  # must exist until the kernel has run
    places, strides = zip(*map(place, copies), strict=True)
    _forward(
        gemm(x.dtype),
        _compiled(code, x.dtype),
        LIKE[x.dtype],
        *sizes,
        strides,
        (address(x), address(initial)),
        places,
        address(own),
        address(constants),
        tuple(map(address, kept)),
    )
    return sizes, kept


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, code: Code, constants: Tensor, *tensors: Tensor | None) -> tuple[Tensor, Tensor]:
        ctx.sizes, ctx.kept = _run(code, constants, tensors, keep=True)
        ctx.code, ctx.constants = code, constants
        ctx.save_for_backward(*tensors[2:])
        ctx.set_materialize_grads(False)
        states = ctx.kept[1]
        return states[:, 1:, :, 0], states[:, -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor | None, dlast: Tensor | None) -> tuple[Tensor | None, ...]:
        parameters, kept, code = ctx.saved_tensors, ctx.kept, ctx.code
        (R, T, B, H, G, S), like = ctx.sizes.shape, kept[1]
        dlast = like.new_zeros(R, B, S, H) if dlast is None else contiguous(dlast)
        dout = None if dout is None else contiguous(dout)
        copies = [contiguous_replicas(t) for t in parameters[:3]]
        places, strides = zip(*map(place, copies), strict=True)
        units = None if parameters[3] is None else contiguous(parameters[3])
        needed = ctx.needs_input_grad[4:7]
        dparameters = [
            None if t is None or not need else t.new_empty(t.shape) for t, need in zip(copies, needed, strict=True)
        ]
        dgates, dstart = buffer_pool.empty((R, T, B, G * H), dtype=like.dtype), like.new_empty(R, B, S, H)
        dunits = like.new_empty(R, len(code.step.units), H)
        _backward(
            gemm(like.dtype),
            _compiled(code, like.dtype),
            LIKE[like.dtype],
            *ctx.sizes,
            strides,
            places,
            address(units),
            address(ctx.constants),
            tuple(map(address, kept)),
            (address(dout), address(dlast)),
            address(dgates),
            address(dstart),
            tuple(map(address, dparameters)),
            address(dunits),
        )
        return None, None, dgates, dstart, *dparameters, dunits if units is not None else None


def layer(
    code: Code,
    constants: Tensor,
    gates: Tensor,
    state: tuple[Tensor, ...],
    matrices: tuple[Tensor, ...],
    bias: Tensor | None,
    units: tuple[Tensor, ...],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs and last state of a layer.

    Args:
        code: the step of the cell.
        constants: the constants of the step, (C,).
        gates: the contributions of the inputs to the gates, (R, T, B, G * H).
        state: the parts of the state before the first step, (R, B, H) each.
        matrices: none, the first, or both: (R, blocks * H, parts * H) and (R, blocks * H, H).
        bias: the recurrent biases of the blocks of both matrices, (R, blocks * H).
        units: the parameters of each unit, (R, H) each.

    Returns:
        outputs, (R, T, B, H), the first part of the state after each step, and the state after the last. Differentiable
        once in every tensor.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    (R, T, B, _), H = gates.shape, state[0].shape[-1]
    named: dict[str, tuple[Tensor, tuple[int, ...]]] = {"gates": (gates, (R, T, B, code.gates * H))}
    named |= {f"state {i}": (part, (R, B, H)) for i, part in enumerate(state)}
    named |= {f"matrix {i}": (w, (R, w.shape[1] // H * H, w.shape[2] // H * H)) for i, w in enumerate(matrices)}
    named |= {name: (value, (R, H)) for name, value in zip(code.step.units, units, strict=True)}
    if bias is not None:
        named |= {"bias": (bias, (R, sum(w.shape[1] for w in matrices)))}
    check_shapes(DTYPES, **named)
    first, second = (*matrices, None, None)[:2]
    tensors = gates, torch.stack(state, 2), first, second, bias, torch.stack(units, 1) if units else None
    if needs_gradient(*tensors):
        outputs, last = _Layer.apply(code, constants, *tensors)
    else:
        _, (_, states, _) = _run(code, constants, tensors, keep=False)
        outputs, last = states[:, 1:, :, 0], states[:, -1]
    return outputs, last.unbind(2)
