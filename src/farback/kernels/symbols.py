"""Inputs of long sequences as indices into a table of rows: one byte a step instead of I numbers.

Shapes: R replicas, T steps, B sequences, I inputs, C different rows, at most 256.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Symbols:
    """The inputs `rows_CI[code_RTB]`, (R, T, B, I), in the precision of the rows; the codes are uint8."""

    code_RTB: Tensor
    rows_CI: Tensor

    @property
    def shape(self) -> torch.Size:
        """The shape of the inputs, (R, T, B, I)."""
        return torch.Size((*self.code_RTB.shape, self.rows_CI.shape[1]))

    @property
    def is_cpu(self) -> bool:
        """Whether kernels can read them."""
        return self.code_RTB.is_cpu

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.code_RTB.device

    def __len__(self) -> int:
        return len(self.code_RTB)

    def __getitem__(self, replicas: slice | list[int]) -> Symbols:
        """The inputs of some replicas."""
        return Symbols(self.code_RTB[replicas], self.rows_CI)

    def contiguous(self) -> Symbols:
        """The same inputs in contiguous memory."""
        return Symbols(self.code_RTB.contiguous(), self.rows_CI.contiguous())

    def to(self, device: str) -> Symbols:
        """The same inputs on a device."""
        return Symbols(self.code_RTB.to(device), self.rows_CI.to(device))


def steps_of(x_RTBI: Tensor | Symbols, first: int, last: int) -> Tensor:
    """The inputs of the steps from `first` to before `last`, as numbers."""
    if not isinstance(x_RTBI, Symbols):
        return x_RTBI[:, first:last]
    code_RTB = x_RTBI.code_RTB[:, first:last]
    return x_RTBI.rows_CI.index_select(0, code_RTB.flatten().int()).view(*code_RTB.shape, -1)
