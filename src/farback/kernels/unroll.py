"""One door to every recurrence: fused where there is a kernel for it, stepped where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor


class Recurrence(Protocol):
    """What `unroll` asks of a cell."""

    @property
    def kernel(self) -> str | None:
        """The fused kernel's name."""

    def unroll(self, p: Mapping[str, Tensor], gates: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Any]:
        """The stepped recurrence."""


def unroll(
    cell: Recurrence, p: Mapping[str, Tensor], gates_RTBG: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs (R, T, B, H) of all steps, and the state after the last."""
    return cell.unroll(p, gates_RTBG, state)
