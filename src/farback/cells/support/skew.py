"""What cells with a skew-symmetric matrix share: its H (H - 1) / 2 free numbers, and one matrix for all steps.

Shapes: R replicas, T steps, B sequences, I inputs, H hidden units.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from farback.cells.base import Parameters, State, SteppedCell, linear, product


class SkewCell(SteppedCell):
    """A cell whose recurrent matrix is made of a skew-symmetric one, once for all steps.

    The parameter `skew` is the part above the diagonal, row by row.
    """

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Input weights, and the part of the skew-symmetric matrix above the diagonal."""
        return {"weight_ih": (hidden, inputs), "bias_ih": (hidden,), "skew": (hidden * (hidden - 1) // 2,)}

    def project(self, p: Parameters, x_RTBI: Tensor) -> Tensor:
        """W_ih x + b_ih."""
        return linear(x_RTBI, p["weight_ih"], p.get("bias_ih"))

    def flops(self, inputs: int, hidden: int) -> int:
        """With the matrix, which is made once for all steps: its making is left out."""
        return super().flops(inputs, hidden) + 2 * hidden * hidden

    @abstractmethod
    def matrix(self, skew_RHH: Tensor) -> Tensor:
        """The recurrent matrix, (R, H, H)."""

    @abstractmethod
    def moved(self, p: Parameters, h_RBH: Tensor, drive_RBH: Tensor) -> Tensor:
        """The next state, given the recurrent matrix times the state, plus what the inputs contribute."""

    def unroll(self, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
        """Loop over the steps with one matrix."""
        (h_RBH,) = state
        matrix_RHH = self.matrix(skew_symmetric(p["skew"], h_RBH.shape[-1]))
        outputs = []
        for gates_RBG in gates_RTBG.unbind(1):
            h_RBH = self.moved(p, h_RBH, gates_RBG + product(h_RBH, matrix_RHH, None))
            outputs.append(h_RBH)
        return torch.stack(outputs, 1), (h_RBH,)

    def step(self, p: Parameters, gates_RBG: Tensor, state: State) -> State:
        """One step."""
        return self.unroll(p, gates_RBG.unsqueeze(1), state)[1]


def skew_symmetric(above_RE: Tensor, hidden: int) -> Tensor:
    """The matrices (R, H, H) with these entries above the diagonal, row by row, and A' = -A."""
    rows, columns = torch.triu_indices(hidden, hidden, 1, device=above_RE.device)
    upper_RHH = above_RE.new_zeros(len(above_RE), hidden, hidden).index_put(
        (torch.arange(len(above_RE), device=above_RE.device)[:, None], rows, columns), above_RE
    )
    return upper_RHH - upper_RHH.mT
