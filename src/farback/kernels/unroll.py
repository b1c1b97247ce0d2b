"""One door to every recurrence, fused where there is a kernel for it, else stepped; to products; and to updates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
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


def here(x: Tensor) -> bool:
    """Whether a tensor is where the kernels compute."""
    return x.is_cpu


def unroll(cell: Recurrence, p: Parameters, gates_RTBG: Tensor, state: State) -> tuple[Tensor, State]:
    """Outputs (R, T, B, H) of all steps, and the state after the last.

    Kernels are for the CPU; elsewhere, and for a cell that has none, the cell's own `unroll` computes the same.
    """
    if cell.kernel is None or not here(gates_RTBG):
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
    if cell.kernel is not None and here(x_RTBI) and cell.kernel.split()[0] in _LAYERS:
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
    from farback.kernels import autograd

    return autograd.layer(_form(kernel), x, gates, _weights(p, gates is None), state, index)


def _form(kernel: str) -> Any:
    from farback.kernels import elman, gru, lstm

    name, _, option = kernel.partition(" ")
    return {"gru": gru.FORM, "lstm": lstm.FORM}[name] if name != "elman" else elman.form(option)


def _weights(p: Parameters, with_input: bool) -> Any:
    from farback.kernels.autograd import Weights

    ih = (p["weight_ih"], p.get("bias_ih")) if with_input else (None, None)
    return Weights(ih[0], p["weight_hh"], ih[1], p.get("bias_hh"))


Back = Callable[[Tensor], Tensor]
"""From the gradient of the answers to that of the flat parameters, (R, P)."""


def with_back(
    cell: Recurrence,
    flat_RP: Tensor,
    starts: Mapping[str, int],
    sizes: tuple[int, int],
    x_RTBI: Tensor,
    index_RN: Tensor | None,
) -> tuple[Tensor, Back] | None:
    """A layer from rest and a readout, (R, N, O), and how to go back; None where autograd is needed.

    See `kernels/learning.py`; `sizes` are hidden units and outputs.
    """
    if cell.kernel is None or not here(x_RTBI) or cell.kernel.split()[0] not in _LAYERS:
        return None
    from farback.kernels import explicit_gradient

    return explicit_gradient.answered(_form(cell.kernel), flat_RP, starts, *sizes, x_RTBI, index_RN)


def product(x_RNI: Tensor, weight_RGI: Tensor, bias_RG: Tensor | None) -> Tensor:
    """`x W' + b` for every replica, (R, N, G); see `kernels/linear.py`."""
    from farback.kernels.linear import linear

    return linear(x_RNI, weight_RGI, bias_RG)


def supported(*tensors: Tensor) -> bool:
    """Whether `clip` and `adam` can compute on these: contiguous, in memory, float32 or float64."""
    return all(t.is_cpu and t.dtype in (torch.float32, torch.float64) and t.is_contiguous() for t in tensors)


def clip(grad_RP: Tensor, limit_R1: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient scaled down to each replica's limit, and the norms before, (R,); see `kernels/updates.py`."""
    from farback.kernels import optimizer_steps

    return optimizer_steps.clip(grad_RP, limit_R1)


def adam(theta: Tensor, grad: Tensor, first: Tensor, second: Tensor, rules: dict[str, Tensor], count: int) -> None:
    """One Adam step of all replicas, in place; see `kernels/updates.py`."""
    from farback.kernels import optimizer_steps

    optimizer_steps.adam(theta, grad, first, second, rules, count)
