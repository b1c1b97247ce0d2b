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

from farback.kernels.arguments import DTYPES, LIKE, address, checked, rows, wanted, whole
from farback.kernels.compiled import kernel
from farback.kernels.memory import aligned_zeros, array_at
from farback.kernels.products import add_transposed_product, gemm, product


@kernel
def _forward(gemm, like, sizes, strides, x, w, b, y):
    R, N, width, G = sizes
    x_RNI, y_RNG = array_at(x, like, (R, N, width)), array_at(y, like, (R, N, G))
    packed_IG = aligned_zeros(like, width * G).reshape(width, G)
    for r in range(R):
        w_GI = array_at(w + r * strides[0] * y_RNG.itemsize, like, (G, width))
        b_G = array_at(b + r * strides[1] * y_RNG.itemsize, like, (G,))
        for g in range(G):
            for i in range(width):
                packed_IG[i, g] = w_GI[g, i]
        for n in range(N):
            for g in range(G):
                y_RNG[r, n, g] = b_G[g] if b else 0
        product(gemm, N, width, G, (x_RNI[r], 0, width), (packed_IG, 0, G), (y_RNG[r], 0, G), 1)


@kernel
def _backward(gemm, like, sizes, stride, x, w, d, dx, dw, db):
    R, N, width, G = sizes
    x_RNI, d_RNG = array_at(x, like, (R, N, width)), array_at(d, like, (R, N, G))
    dx_RNI, dw_RGI, db_RG = (
        array_at(dx, like, (R, N, width)),
        array_at(dw, like, (R, G, width)),
        array_at(db, like, (R, G)),
    )
    for r in range(R):
        w_GI = array_at(w + r * stride * d_RNG.itemsize, like, (G, width))
        if dx:
            product(gemm, N, G, width, (d_RNG[r], 0, G), (w_GI, 0, width), (dx_RNI[r], 0, width), 0)
        if dw:
            dw_RGI[r] = 0
            add_transposed_product(gemm, G, N, width, (d_RNG[r], 0, G), (x_RNI[r], 0, width), (dw_RGI[r], 0, width))
        if db:
            db_RG[r] = 0
            for n in range(N):
                for g in range(G):
                    db_RG[r, g] += d_RNG[r, n, g]


def forward(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    """`x W' + b`."""
    (R, N, width), G = x.shape, w.shape[1]
    y = x.new_empty(R, N, G)
    x, (w, apart) = whole(x), rows(w)
    b, b_apart = (None, 0) if b is None else rows(b)
    places = (x.data_ptr(), w.data_ptr(), address(b), y.data_ptr())
    _forward(gemm(x.dtype), LIKE[x.dtype], (R, N, width, G), (apart, b_apart), *places)
    return y


def backward(
    x: Tensor, w: Tensor, d: Tensor, needed: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of x, w and b, where needed, from that of the product."""
    (R, N, width), G = x.shape, w.shape[1]
    shapes = (x.shape, w.shape, (R, G))
    dx, dw, db = (x.new_empty(shape) if need else None for shape, need in zip(shapes, needed, strict=True))
    x, d, (w, apart) = whole(x), whole(d), rows(w)
    places = (x.data_ptr(), w.data_ptr(), d.data_ptr(), address(dx), address(dw), address(db))
    _backward(gemm(x.dtype), LIKE[x.dtype], (R, N, width, G), apart, *places)
    return dx, dw, db


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w)
        return forward(x, w, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        return backward(x, w, d, ctx.needs_input_grad)


def linear(x_RNI: Tensor, w_RGI: Tensor, b_RG: Tensor | None) -> Tensor:
    """`x W' + b` for every replica, (R, N, G). Differentiable once in every tensor on the CPU.

    Other devices and formats go to `torch.baddbmm`.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    R, N, width = x_RNI.shape
    G = w_RGI.shape[1]
    if not x_RNI.is_cpu or x_RNI.dtype not in DTYPES:
        b = x_RNI.new_zeros(R, G) if b_RG is None else b_RG
        return torch.baddbmm(b.unsqueeze(1), x_RNI, w_RGI.mT)
    bias = {} if b_RG is None else {"b": (b_RG, (R, G))}
    checked(DTYPES, x=(x_RNI, (R, N, width)), w=(w_RGI, (R, G, width)), **bias)
    if wanted(x_RNI, w_RGI, *(() if b_RG is None else (b_RG,))):
        output: Tensor = _Linear.apply(x_RNI, w_RGI, b_RG)
        return output
    return forward(x_RNI, w_RGI, b_RG)
