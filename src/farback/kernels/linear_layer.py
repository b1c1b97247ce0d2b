# mypy: allow-untyped-defs, allow-untyped-calls
"""One matrix product for each replica, `x W' + b`, forward and backward; its bits do not depend on other replicas.

`torch.bmm` uses MKL, whose sums depend on where in memory a matrix begins, and on some processors on the number of
matrices: a replica's numbers would depend on its place among the replicas (docs/log.md). SciPy's BLAS avoids this.

Shapes: R replicas, N rows, I inputs, G outputs.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import (
    DTYPES,
    LIKE,
    Place,
    address,
    check_shapes,
    contiguous,
    contiguous_replicas,
    place,
)
from farback.kernels.buffer_pool import aligned_zeros, array_at
from farback.kernels.gemm import add_transposed_product, gemm, product
from farback.kernels.jit import kernel


@kernel
def forward_at(gemm, like, sizes, strides, x, w, b, y):
    """`forward`, from addresses."""
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
def backward_at(gemm, like, sizes, strides, x, w, d, dx, dw, db):
    """`backward`, from addresses."""
    R, N, width, G = sizes
    x_RNI, dx_RNI = array_at(x, like, (R, N, width)), array_at(dx, like, (R, N, width))
    d_RNG = array_at(d, like, (R, N, G))
    for r in range(R):
        w_GI = array_at(w + r * strides[0] * d_RNG.itemsize, like, (G, width))
        dw_GI = array_at(dw + r * strides[1] * d_RNG.itemsize, like, (G, width))
        db_G = array_at(db + r * strides[2] * d_RNG.itemsize, like, (G,))
        if dx:
            product(gemm, N, G, width, (d_RNG[r], 0, G), (w_GI, 0, width), (dx_RNI[r], 0, width), 0)
        if dw:
            dw_GI[:] = 0
            add_transposed_product(gemm, G, N, width, (d_RNG[r], 0, G), (x_RNI[r], 0, width), (dw_GI, 0, width))
        if db:
            db_G[:] = 0
            for n in range(N):
                for g in range(G):
                    db_G[g] += d_RNG[r, n, g]


def forward(x: Tensor, w: Place, b: Place, G: int) -> Tensor:
    """`x W' + b` with G outputs."""
    R, N, width = x.shape
    y, x = x.new_empty(R, N, G), contiguous(x)
    addresses = (x.data_ptr(), w.address, b.address, y.data_ptr())
    forward_at(gemm(x.dtype), LIKE[x.dtype], (R, N, width, G), (w.stride, b.stride), *addresses)
    return y


def backward(x: Tensor, w: Place, d: Tensor, needed: bool, dw: Place, db: Place) -> Tensor | None:
    """The gradient of x, if needed, given d, the gradient of the product. Writes the other gradients to `dw`, `db`."""
    (R, N, width), G = x.shape, d.shape[2]
    dx = x.new_empty(x.shape) if needed else None
    x, d = contiguous(x), contiguous(d)
    addresses = (x.data_ptr(), w.address, d.data_ptr(), address(dx), dw.address, db.address)
    backward_at(gemm(x.dtype), LIKE[x.dtype], (R, N, width, G), (w.stride, dw.stride, db.stride), *addresses)
    return dx


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w)
        w_copy, b_copy = contiguous_replicas(w), contiguous_replicas(b)  # must exist until the kernel has run
        return forward(x, place(w_copy), place(b_copy), w.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        needed, shapes = ctx.needs_input_grad, (w.shape, (len(w), w.shape[1]))
        dw, db = (x.new_empty(shape) if need else None for shape, need in zip(shapes, needed[1:], strict=True))
        w = contiguous_replicas(w)
        return backward(x, place(w), d, needed[0], place(dw), place(db)), dw, db


def linear(x_RNI: Tensor, w_RGI: Tensor, b_RG: Tensor | None) -> Tensor:
    """`x W' + b` for every replica, (R, N, G). Differentiable once in every tensor on the CPU.

    Other devices and dtypes use `torch.baddbmm`.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    R, N, width = x_RNI.shape
    G = w_RGI.shape[1]
    if not x_RNI.is_cpu or x_RNI.dtype not in DTYPES:
        b = x_RNI.new_zeros(R, G) if b_RG is None else b_RG
        return torch.baddbmm(b.unsqueeze(1), x_RNI, w_RGI.mT)
    bias = {} if b_RG is None else {"b": (b_RG, (R, G))}
    check_shapes(DTYPES, x=(x_RNI, (R, N, width)), w=(w_RGI, (R, G, width)), **bias)
    output: Tensor = _Linear.apply(x_RNI, w_RGI, b_RG)
    return output
