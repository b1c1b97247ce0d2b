"""The base class of cells with a skew-symmetric matrix, which has H (H - 1) / 2 free entries."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from typing_extensions import override

from farback.cells.base import Parameters
from farback.cells.support.pointwise_cell import PointwiseCell


class SkewCell(PointwiseCell):
    """A cell whose recurrent matrix is computed from a skew-symmetric matrix, once for all steps.

    The parameter `skew` holds the entries of the skew-symmetric matrix above its diagonal, row by row.
    """

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Input weights and biases, and the part of the skew-symmetric matrix above the diagonal."""
        return super().parameters(inputs, hidden) | {"skew": (hidden * (hidden - 1) // 2,)}

    def flops(self, inputs: int, hidden: int) -> int:
        """Adds the product with the matrix. Computing the matrix, once for all steps, is not counted."""
        return super().flops(inputs, hidden) + 2 * hidden * hidden

    @abstractmethod
    def matrix(self, skew_RHH: Tensor) -> Tensor:
        """The recurrent matrices, (R, H, H), from the skew-symmetric ones."""

    @override
    def matrices(self, p: Parameters) -> tuple[Tensor, ...]:
        return (self.matrix(skew_symmetric(p["skew"], p["weight_ih"].shape[1])),)


def skew_symmetric(above_RE: Tensor, hidden: int) -> Tensor:
    """The skew-symmetric matrices, (R, H, H), with these entries above the diagonal, row by row."""
    rows, columns = torch.triu_indices(hidden, hidden, 1, device=above_RE.device)
    upper_RHH = above_RE.new_zeros(len(above_RE), hidden, hidden).index_put(
        (torch.arange(len(above_RE), device=above_RE.device)[:, None], rows, columns), above_RE
    )
    return upper_RHH - upper_RHH.mT
