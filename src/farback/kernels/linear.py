# mypy: allow-untyped-defs, allow-untyped-calls
"""One matrix product for each replica, `x W' + b`, forward and backward, the same bits whoever shares the cohort.

`torch.bmm` goes through MKL, whose sums depend on where in memory a matrix begins, and on some processors even on how
many there are: a replica's numbers would depend on its place in the cohort (docs/log.md). SciPy's BLAS does not.

Shapes: R replicas, N rows, I inputs, G outputs.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, array, call, checked, wanted
from farback.kernels.compiled import kernel
from farback.kernels.products import add_transposed_product, product


@kernel
def _forward(gemm, x_RNI, transposed_w_RIG, b_RG, y_RNG):
    (replicas, rows, inputs), outputs = x_RNI.shape, b_RG.shape[1]
    for r in range(replicas):
        for n in range(rows):
            y_RNG[r, n] = b_RG[r]
        x, w, y = (x_RNI[r], 0, inputs), (transposed_w_RIG[r], 0, outputs), (y_RNG[r], 0, outputs)
        product(gemm, rows, inputs, outputs, x, w, y, 1)


@kernel
def _backward_inputs(gemm, d_RNG, w_RGI, dx_RNI):
    (replicas, rows, inputs), outputs = dx_RNI.shape, d_RNG.shape[2]
    for r in range(replicas):
        d, w, dx = (d_RNG[r], 0, outputs), (w_RGI[r], 0, inputs), (dx_RNI[r], 0, inputs)
        product(gemm, rows, outputs, inputs, d, w, dx, 0)


@kernel
def _backward_weights(gemm, d_RNG, x_RNI, dw_RGI):
    (replicas, rows, inputs), outputs = x_RNI.shape, d_RNG.shape[2]
    for r in range(replicas):
        d, x, dw = (d_RNG[r], 0, outputs), (x_RNI[r], 0, inputs), (dw_RGI[r], 0, inputs)
        add_transposed_product(gemm, outputs, rows, inputs, d, x, dw)


def _run(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    y = x.new_empty(*x.shape[:2], w.shape[1])
    call(_forward, x.dtype, array(x), array(w.mT), array(b), array(y))
    return y


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return _run(x, w, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        d = d.contiguous()
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            dx = x.new_empty(x.shape)
            call(_backward_inputs, x.dtype, array(d), array(w), array(dx))
        if ctx.needs_input_grad[1]:
            dw = w.new_zeros(w.shape)
            call(_backward_weights, x.dtype, array(d), array(x), array(dw))
        if ctx.needs_input_grad[2]:
            db = d.sum(1)
        return dx, dw, db


def linear(x_RNI: Tensor, w_RGI: Tensor, b_RG: Tensor | None) -> Tensor:
    """`x W' + b` for every replica, (R, N, G). Differentiable once in every tensor on the CPU.

    Other devices and formats go to `torch.baddbmm`.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    replicas, rows, inputs = x_RNI.shape
    outputs = w_RGI.shape[1]
    b = x_RNI.new_zeros(replicas, outputs) if b_RG is None else b_RG
    if not x_RNI.is_cpu or x_RNI.dtype not in DTYPES:
        return torch.baddbmm(b.unsqueeze(1), x_RNI, w_RGI.mT)
    checked(
        DTYPES,
        x=(x_RNI, (replicas, rows, inputs)),
        w=(w_RGI, (replicas, outputs, inputs)),
        b=(b, (replicas, outputs)),
    )
    if wanted(x_RNI, w_RGI, b):
        output: Tensor = _Linear.apply(x_RNI, w_RGI, b)
        return output
    return _run(x_RNI, w_RGI, b)
