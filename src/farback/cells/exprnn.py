"""A network with an orthogonal recurrent matrix, computed by the matrix exponential."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from farback.cells.base import Array
from farback.cells.support.nonlinearities import MODRELU, small_offsets
from farback.cells.support.skew import SkewCell
from farback.kernels.pointwise import Pointwise


class ExpRNN(SkewCell):
    """An RNN whose recurrent matrix is exactly orthogonal: the exponential of a skew-symmetric matrix A.

    h_t = modrelu(exp(A) h_{t-1} + W_ih x_t + b_ih), A' = -A, modrelu(v) = sign(v) max(|v| + b, 0)

    The H (H - 1) / 2 free entries of A are the parameter `skew`; b, one number for each unit, is `offset`. Whatever the
    initialisation, A starts as rotations of pairs of units by angles s: `rotation: henaff` draws s uniformly from
    [-pi, pi], `cayley` sets s = -tan(u / 2) with u uniform on [0, pi / 2]. b starts uniform on +-0.01.

    Source: Lezcano-Casado and Martinez-Rubio 2019 (1901.08428); draws as in their code (after Henaff et al. 2016 and
    Helfrich et al. 2018). Deviations: a bias b_ih; one learning rate for all parameters, whereas they train A with a
    tenth of the learning rate.
    """

    known_as: ClassVar[str] = "expRNN"
    pointwise: ClassVar[Pointwise] = MODRELU

    rotation: Literal["cayley", "henaff"] = "cayley"

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Input weights, the part of A above the diagonal, and the offsets of modrelu."""
        return super().parameters(inputs, hidden) | {"offset": (hidden,)}

    def special(self, hidden: int, lag: int, rng: np.random.Generator) -> dict[str, Array]:
        """Random angles in A, and offsets of modrelu."""
        if self.rotation == "henaff":
            angles = rng.uniform(-np.pi, np.pi, size=hidden // 2)
        else:
            angles = -np.tan(rng.uniform(0, np.pi / 2, size=hidden // 2) / 2)
        above = np.zeros((hidden, hidden))
        first = np.arange(0, hidden - 1, 2)
        above[first, first + 1] = angles
        return {"skew": above[np.triu_indices(hidden, 1)], "offset": small_offsets(hidden, rng)}

    def matrix(self, skew_RHH: Tensor) -> Tensor:
        """exp(A).

        Computed for one replica at a time, each in separate memory, because batched matrix products may round
        differently; in double precision, because in single precision only three digits of the gradient are right.
        """
        exponentials = [torch.linalg.matrix_exp(skew_HH.clone()) for skew_HH in skew_RHH.double().unbind(0)]
        return torch.stack(exponentials).to(skew_RHH.dtype)
