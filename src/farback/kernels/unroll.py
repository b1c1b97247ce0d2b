"""One door to every recurrence: fused where there is a kernel for it, stepped where there is none; and to products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

Parameters = Mapping[str, Tensor]
State = tuple[Tensor, ...]


class Recurrence(Protocol):
    """What `unroll` asks of a cell; of one whose kernel is "diagonal", `DiagonalCell.scan` too."""

    @property
    def kernel(self) -> str | None:
        """The fused kernel's name, with an option behind a space: "gru", "elman tanh"; None is stepped.

        elman, gru and lstm take the input in too: such a cell projects it as `W_ih x + b_ih`.
        """

    def project(self, p: Any, x_RTBI: Tensor) -> Tensor:
        """What the inputs contribute, for all steps at once."""

    def unroll(self, p: Any, gates_RTBG: Tensor, state: Any) -> tuple[Tensor, State]:
        """The recurrence without a kernel."""


def unroll(cell: Recurrence, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
    """Outputs (R, T, B, H) of all steps, and the state after the last.

    Kernels are for the CPU; elsewhere, and for a cell that has none, the cell's own `unroll` computes the same.
    """
    if cell.kernel is None or gates_RTBG.device.type != "cpu":
        return cell.unroll(p, gates_RTBG, state)
    if cell.kernel.startswith("diagonal"):
        from farback.kernels.diagonal import diagonal  # numba takes a second to import: only where it is used

        found: tuple[Tensor, State] = cell.scan(p, gates_RTBG, state, diagonal)  # type: ignore[attr-defined]
        return found
    return _fused(cell.kernel, p, None, gates_RTBG, state, None)


def layer(
    cell: Recurrence, p: Parameters, x_RTBI: Tensor, state: State, index_RN: Tensor | None = None
) -> tuple[Tensor, State]:
    """A layer from its inputs on: outputs (R, T, B, H) of all steps, and the state after the last.

    With `index_RN`, which ascends and counts the T * B outputs, only those are given, (R, N, H): where few are asked
    for, neither they nor their gradients are ever laid out over all steps.
    """
    if cell.kernel is not None and x_RTBI.device.type == "cpu" and cell.kernel.split()[0] in _LAYERS:
        return _fused(cell.kernel, p, x_RTBI, None, state, index_RN)
    h_RTBH, state = unroll(cell, p, cell.project(p, x_RTBI), state)
    return h_RTBH if index_RN is None else picked(h_RTBH, index_RN), state


def picked(h_RTBH: Tensor, index_RN: Tensor) -> Tensor:
    """Some of the T * B outputs, (R, N, H)."""
    return h_RTBH.flatten(1, 2).gather(1, index_RN.unsqueeze(-1).expand(-1, -1, h_RTBH.shape[-1]))


_LAYERS = ("elman", "gru", "lstm")


def _fused(
    kernel: str, p: Parameters, x: Tensor | None, gates: Tensor | None, state: State, index: Tensor | None
) -> tuple[Tensor, State]:
    from farback.kernels import elman, gru, lstm
    from farback.kernels.recurrence import Weights
    from farback.kernels.recurrence import layer as fused

    name, _, option = kernel.partition(" ")
    form = {"gru": gru.FORM, "lstm": lstm.FORM}[name] if name != "elman" else elman.form(option)
    ih = (p["weight_ih"], p.get("bias_ih")) if gates is None else (None, None)
    return fused(form, x, gates, Weights(ih[0], p["weight_hh"], ih[1], p.get("bias_hh")), state, index)


def product(x_RNI: Tensor, weight_RGI: Tensor, bias_RG: Tensor | None) -> Tensor:
    """`x W' + b` for every replica, (R, N, G); see `kernels/linear.py`."""
    from farback.kernels.linear import linear

    return linear(x_RNI, weight_RGI, bias_RG)
