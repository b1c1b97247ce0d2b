"""The derivative of the full state by the full state one step before, at every step of a sequence.

Shapes: B sequences, T steps, S numbers of the full state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from farback.measures.support.system import System, measured

LARGEST = 512  # units up to which Jacobians are taken whole: 2 MB a sequence and step
BLOCK_NUMBERS = 8_000_000  # of Jacobians held at a time, so that long sequences do not need gigabytes


def run(system: Any, inputs: Any) -> tuple[System, Tensor, Tensor]:
    """A system, its inputs, and its full states (B, T, S) on them, in double precision.

    Raises:
        ValueError: fewer than two steps; a system that cannot be carried on from a state.
    """
    face, x_BTI = measured(system, inputs)
    if x_BTI.shape[1] < 2:
        raise ValueError("a Jacobian leads from one step to the next: needs sequences of at least two steps")
    with torch.no_grad():
        return face, x_BTI, face.trajectory(x_BTI)


def blocks(face: System, x_BTI: Tensor, state_BTS: Tensor, backwards: bool) -> Iterator[Tensor]:
    """All T - 1 Jacobians ds_{t+1} / ds_t, some steps (B, t, S, S) at a time; from the last step on if `backwards`."""
    B, T, S = state_BTS.shape
    size = max(1, BLOCK_NUMBERS // (B * S * S))
    starts = range(0, T - 1, size)
    for start in reversed(starts) if backwards else starts:
        end = min(start + size, T - 1)
        found = jacobian(face, x_BTI[:, start + 1 : end + 1].flatten(0, 1), state_BTS[:, start:end].flatten(0, 1))
        J_BtSS = found.view(B, end - start, S, S)
        yield J_BtSS.flip(1) if backwards else J_BtSS


def jacobian(face: System, x_NI: Tensor, state_NS: Tensor) -> Tensor:
    """The derivative (N, S, S) of the next state by the state, for N states at once: one backward pass a row."""
    state_NS = state_NS.detach().clone().requires_grad_()
    with torch.enable_grad():
        after_NS = face.carry(x_NI.unsqueeze(1), state_NS)[1]
    J_NSS = torch.zeros(*after_NS.shape, state_NS.shape[1], dtype=state_NS.dtype)
    if after_NS.requires_grad:
        for row in range(after_NS.shape[1]):
            (grad,) = torch.autograd.grad(after_NS[:, row].sum(), state_NS, retain_graph=True, allow_unused=True)
            if grad is not None:
                J_NSS[:, row] = grad
    return J_NSS


def pulled(face: System, x_BI: Tensor, state_BS: Tensor, rows_BMS: Tensor) -> Tensor:
    """Rows times the Jacobian, (B, M, S): one backward pass for all of them, on M copies of the states."""
    B, M, S = rows_BMS.shape
    state_NS = state_BS.repeat_interleave(M, 0).detach().requires_grad_()
    with torch.enable_grad():
        after_NS = face.carry(x_BI.repeat_interleave(M, 0).unsqueeze(1), state_NS)[1]
    if not after_NS.requires_grad:
        return torch.zeros_like(rows_BMS)
    (grad,) = torch.autograd.grad(after_NS, state_NS, rows_BMS.reshape(B * M, S), allow_unused=True)
    return torch.zeros_like(rows_BMS) if grad is None else grad.view(B, M, S)
