# mypy: allow-untyped-defs, allow-untyped-calls
"""Units that each hold N complex modes with constant coefficients, computed without storing the modes of every step.

The backward pass computes the modes again, one mode of all units of one sequence at a time, in memory for T * H numbers
instead of T * B * N * H.

Shapes: R replicas, T steps, B sequences, N modes, H units.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from farback.kernels.arguments import DTYPES, arrays, check_shapes, contiguous
from farback.kernels.jit import kernel, loop


@loop
def _advance(x_H, ar_H, ai_H, br_H, bi_H, cr_H, ci_H, re_H, im_H, y_H):
    """One step in place, and its contribution to the outputs."""
    for h in range(re_H.size):
        re = ar_H[h] * re_H[h] - ai_H[h] * im_H[h] + br_H[h] * x_H[h]
        im = ar_H[h] * im_H[h] + ai_H[h] * re_H[h] + bi_H[h] * x_H[h]
        re_H[h], im_H[h] = re, im
        y = cr_H[h] * re - ci_H[h] * im
        y_H[h] += y + y


@loop
def _step(x_H, ar_H, ai_H, br_H, bi_H, before_re_H, before_im_H, re_H, im_H):
    for h in range(re_H.size):
        re_H[h] = ar_H[h] * before_re_H[h] - ai_H[h] * before_im_H[h] + br_H[h] * x_H[h]
        im_H[h] = ar_H[h] * before_im_H[h] + ai_H[h] * before_re_H[h] + bi_H[h] * x_H[h]


@loop
def _read_back(dy_H, cr_H, ci_H, re_H, im_H, gr_H, gi_H, dcr_H, dci_H):
    """Add the gradient that comes from the output of the step."""
    for h in range(dy_H.size):
        dy = dy_H[h] + dy_H[h]
        gr_H[h] += dy * cr_H[h]
        gi_H[h] -= dy * ci_H[h]
        dcr_H[h] += dy * re_H[h]
        dci_H[h] -= dy * im_H[h]


@loop
def _step_back(x_H, ar_H, ai_H, br_H, bi_H, re_H, im_H, gr_H, gi_H, dx_H, dar_H, dai_H, dbr_H, dbi_H):
    """The gradient of the modes before the step, (re, im), from that of the modes after it, in place."""
    for h in range(x_H.size):
        gr, gi = gr_H[h], gi_H[h]
        dx_H[h] += gr * br_H[h] + gi * bi_H[h]
        dbr_H[h] += gr * x_H[h]
        dbi_H[h] += gi * x_H[h]
        dar_H[h] += gr * re_H[h] + gi * im_H[h]
        dai_H[h] += gi * re_H[h] - gr * im_H[h]
        gr_H[h] = gr * ar_H[h] + gi * ai_H[h]
        gi_H[h] = gi * ar_H[h] - gr * ai_H[h]


@kernel
def _forward(x, ar, ai, br, bi, cr, ci, re, im, y):
    """`re` and `im` are the modes (R, B, N, H) before the first step, and become those after the last."""
    for r in range(x.shape[0]):
        for b in range(x.shape[2]):
            for n in range(ar.shape[1]):
                for t in range(x.shape[1]):
                    a, c = (ar[r, n], ai[r, n], br[r, n], bi[r, n]), (cr[r, n], ci[r, n])
                    _advance(x[r, t, b], *a, *c, re[r, b, n], im[r, b, n], y[r, t, b])


@kernel
def _backward(dy, x, ar, ai, br, bi, cr, ci, re0, im0, dx, dar, dai, dbr, dbi, dcr, dci, gr, gi):
    """`gr` and `gi` are the gradients (R, B, N, H) of the last modes, and become those of the first."""
    R, T, B, H = x.shape
    re_TH, im_TH = np.empty((T, H), x.dtype), np.empty((T, H), x.dtype)
    for r in range(R):
        for b in range(B):
            for n in range(ar.shape[1]):
                a = ar[r, n], ai[r, n], br[r, n], bi[r, n]
                g = gr[r, b, n], gi[r, b, n]
                for t in range(T):
                    re_H = re_TH[t - 1] if t > 0 else re0[r, b, n]
                    im_H = im_TH[t - 1] if t > 0 else im0[r, b, n]
                    _step(x[r, t, b], *a, re_H, im_H, re_TH[t], im_TH[t])
                for t in range(T - 1, -1, -1):
                    _read_back(dy[r, t, b], cr[r, n], ci[r, n], re_TH[t], im_TH[t], *g, dcr[r, n], dci[r, n])
                    re_H = re_TH[t - 1] if t > 0 else re0[r, b, n]
                    im_H = im_TH[t - 1] if t > 0 else im0[r, b, n]
                    da = dar[r, n], dai[r, n], dbr[r, n], dbi[r, n]
                    _step_back(x[r, t, b], *a, re_H, im_H, *g, dx[r, t, b], *da)


class _Modes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        re, im = (contiguous(part).clone() for part in rest[6:])
        y = torch.zeros_like(x, memory_format=torch.contiguous_format)
        _forward(*arrays(x, *rest[:6], re, im, y))
        ctx.save_for_backward(x, *rest)
        return y, re, im

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dre: Tensor, dim: Tensor) -> tuple[Tensor, ...]:
        arguments = ctx.saved_tensors
        grads = [torch.zeros_like(part, memory_format=torch.contiguous_format) for part in arguments[:7]]
        grads += [contiguous(dre).clone(), contiguous(dim).clone()]
        _backward(*arrays(dy, *arguments, *grads))
        return tuple(grads)


def scan(x_RTBH: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs y_t = 2 Re sum_n c_n h_n,t of h_t = a h_{t-1} + b x_t, and the last modes. Differentiable once.

    Args:
        x_RTBH: the inputs of the units.
        *rest: real and imaginary parts of a, b and c, (R, N, H) each, and of the first modes, (R, B, N, H) each.

    Returns:
        y (R, T, B, H), and real and imaginary parts of the last modes.

    Raises:
        ValueError: a tensor of the wrong shape, dtype or device.
    """
    (R, T, B, H), N = x_RTBH.shape, rest[0].shape[1]
    names = ("re a", "im a", "re b", "im b", "re c", "im c")
    shapes = {name: (part, (R, N, H)) for name, part in zip(names, rest, strict=False)}
    modes = {name: (part, (R, B, N, H)) for name, part in zip(("re h", "im h"), rest[6:], strict=True)}
    check_shapes(DTYPES, x=(x_RTBH, (R, T, B, H)), **shapes, **modes)
    y_RTBH, re_RBNH, im_RBNH = _Modes.apply(x_RTBH, *rest)
    return y_RTBH, re_RBNH, im_RBNH


def example(dtype: torch.dtype) -> list[Tensor]:
    """The smallest arguments of `scan`."""
    one = [torch.zeros(1, 1, 1, dtype=dtype) for _ in range(6)]
    return [torch.zeros(1, 1, 1, 1, dtype=dtype), *one, *(torch.zeros(1, 1, 1, 1, dtype=dtype) for _ in range(2))]
