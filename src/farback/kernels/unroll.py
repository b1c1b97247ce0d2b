"""One door to every recurrence: fused where there is a kernel for it, stepped where there is none; and to products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor

Parameters = Mapping[str, Tensor]
State = tuple[Tensor, ...]


class Recurrence(Protocol):
    """What `unroll` asks of a cell; of one whose kernel is "diagonal", `DiagonalCell.scan` too."""

    @property
    def kernel(self) -> str | None:
        """The fused kernel's name, with an option behind a space: "gru", "elman tanh"; None is stepped."""

    def unroll(self, p: Any, gates_RTBG: Tensor, state: Any) -> tuple[Tensor, State]:
        """The recurrence without a kernel."""


def unroll(cell: Recurrence, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
    """Outputs (R, T, B, H) of all steps, and the state after the last.

    Kernels are for the CPU; elsewhere, and for a cell that has none, the cell's own `unroll` computes the same.
    """
    if cell.kernel is None or gates_RTBG.device.type != "cpu":
        return cell.unroll(p, gates_RTBG, state)
    name, _, option = cell.kernel.partition(" ")
    return FUSED[name](cell, p, gates_RTBG, state, option)


def product(x_RNI: Tensor, weight_RGI: Tensor, bias_RG: Tensor | None) -> Tensor:
    """`x W' + b` for every replica, (R, N, G); see `kernels/linear.py`."""
    from farback.kernels.linear import linear

    return linear(x_RNI, weight_RGI, bias_RG)


def _elman(cell: Any, p: Parameters, gates_RTBG: Tensor, state: State, option: str) -> tuple[Tensor, State]:
    from farback.kernels.elman import elman  # numba takes a second to import: only where it is used

    h_RTBH = elman(gates_RTBG, p["weight_hh"], p.get("bias_hh"), state[0], option)
    return h_RTBH, (h_RTBH[:, -1],)


def _gru(cell: Any, p: Parameters, gates_RTBG: Tensor, state: State, option: str) -> tuple[Tensor, State]:
    from farback.kernels.gru import gru

    h_RTBH = gru(gates_RTBG, p["weight_hh"], p.get("bias_hh"), state[0])
    return h_RTBH, (h_RTBH[:, -1],)


def _lstm(cell: Any, p: Parameters, gates_RTBG: Tensor, state: State, option: str) -> tuple[Tensor, State]:
    from farback.kernels.lstm import lstm

    h_RTBH, c_RBH = lstm(gates_RTBG, p["weight_hh"], p.get("bias_hh"), *state)
    return h_RTBH, (h_RTBH[:, -1], c_RBH)


def _diagonal(cell: Any, p: Parameters, gates_RTBG: Tensor, state: State, option: str) -> tuple[Tensor, State]:
    from farback.kernels.diagonal import diagonal

    found: tuple[Tensor, State] = cell.scan(p, gates_RTBG, state, diagonal)
    return found


FUSED: dict[str, Callable[[Any, Parameters, Tensor, State, str], tuple[Tensor, State]]] = {
    "diagonal": _diagonal,
    "elman": _elman,
    "gru": _gru,
    "lstm": _lstm,
}
