"""The simplified state space layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from farback.cells.base import Array, DiagonalCell, Parameters, State, linear
from farback.cells.support.time_steps import log_uniform, zero_order_hold
from farback.kernels.unroll import DiagonalKernel, Kernel


class S5(DiagonalCell):
    """The simplified state space: complex modes with a time step each, which all read all inputs.

    h_t = exp(dt lambda) * h_{t-1} + (exp(dt lambda) - 1) / lambda * (B x_t)
    y_t = 2 Re(C h_t) + D x_t

    h has H complex entries, so the state has 2H numbers; the layer above sees y, H real numbers. The rows of
    `weight_ih` are Re B, Im B and D; C is `weight_re` + i `weight_im`. Whatever the initialisation, lambda and dt are
    drawn as published: lambda are the H eigenvalues with positive imaginary part of the normal part of the 2H x 2H
    HiPPO-LegS matrix, and dt is log-uniform from 0.001 to 0.1.

    Source: Smith, Warrington and Linderman 2023 (2208.04933), read as its code, lindermanlab/S5, s5/ssm.py and
    ssm_init.py. Deviations: one HiPPO matrix, not several blocks of one; the initialisation draws B, C and D, theirs
    draws B and C in the coordinates of the HiPPO matrix; D is a full matrix, since inputs and units may differ in
    number; one learning rate for all parameters; the published block (norm, gated GELU, skip connection) is not part of
    the cell, so that a stack of them is linear.
    """

    known_as: ClassVar[str] = "S5"
    kernel: ClassVar[Kernel] = DiagonalKernel(is_complex=True)
    state_parts: ClassVar[int] = 2  # real and imaginary part
    gates: ClassVar[tuple[str, ...]] = ("re", "im", "skip")
    published_block: ClassVar[Mapping[str, object]] = {"norm": "layer", "residual": True}

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """`weight_ih` for B and D, two weights for C; both parts of lambda, and the time steps."""
        square = (hidden, hidden)
        diagonal: dict[str, tuple[int, ...]] = dict.fromkeys(("lambda_re", "lambda_im", "log_step"), (hidden,))
        return {"weight_ih": (3 * hidden, inputs), "weight_re": square, "weight_im": square, **diagonal}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """The eigenvalues of the HiPPO matrix, and random time steps."""
        values = hippo_eigenvalues(hidden)
        return {"lambda_re": values.real, "lambda_im": values.imag, "log_step": log_uniform(hidden, rng)}

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds 16 operations for each mode, for its two complex products."""
        return super().flops(inputs, hidden) + 16 * hidden

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """Re B x, Im B x and D x."""
        return linear(x_RTBI, p["weight_ih"], None)

    def coefficients(self, p: Parameters, gates_RTBG: Tensor) -> tuple[Tensor, Tensor]:
        """exp(dt lambda) and (exp(dt lambda) - 1) / lambda B x."""
        a_re, a_im, w_re, w_im = (
            value[:, None, None] for value in zero_order_hold(p["lambda_re"], p["lambda_im"], torch.exp(p["log_step"]))
        )
        re, im, _ = gates_RTBG.chunk(3, -1)
        b_RTBH = torch.complex(w_re * re - w_im * im, w_re * im + w_im * re)
        return torch.complex(a_re, a_im).expand_as(b_RTBH), b_RTBH

    def log_keep(self, p: Parameters, gates_RBG: Tensor, state: State) -> Tensor:
        """ln |exp(dt lambda)| at every step."""
        return (p["lambda_re"] * torch.exp(p["log_step"])).unsqueeze(1).expand_as(state[0])

    def outputs(self, p: Parameters, gates_RTBG: Tensor, h_RTBH: Tensor) -> Tensor:
        """2 Re(C h) + D x."""
        read = linear(h_RTBH.real, p["weight_re"], None) - linear(h_RTBH.imag, p["weight_im"], None)
        return 2 * read + gates_RTBG.chunk(3, -1)[2]


def hippo_eigenvalues(count: int) -> np.ndarray:
    """The eigenvalues with positive imaginary part of the normal part of the HiPPO-LegS matrix of size 2 * count.

    The normal part is A + p p' with p_n = sqrt(n + 1/2): -1/2 on the diagonal, and otherwise skew-symmetric (Gu, Goel
    and Re 2022, 2111.00396).
    """
    root = np.sqrt(2 * np.arange(2 * count) + 1)
    skew = np.tril(np.outer(root, root) / 2, -1)
    imaginary = np.linalg.eigvalsh(-1j * (skew.T - skew))
    return -0.5 + 1j * imaginary[count:]
