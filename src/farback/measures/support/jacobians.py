"""Jacobians of the full state with respect to the full state one step earlier.

Shapes: B sequences, T steps, S numbers of the full state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from farback.measures.base import Count, Sampled
from farback.measures.support.callable_system import CallableSystem
from farback.measures.support.graph_check import require_graph
from farback.measures.support.system import System, measured
from farback.networks.network import Network
from farback.tasks.base import Task

LARGEST_STATE = 512  # largest state for which whole Jacobians are computed: 2 MB per sequence and step
FEW = 4  # states at which the graph of a callable is checked
BLOCK_NUMBERS = 8_000_000  # numbers of Jacobians in memory at once, so that long sequences do not need gigabytes


class StateMeasure(Sampled):
    """The base class of measures of the full state along sequences of the task."""

    sequences: Count = 4

    def inputs(self, network: Network, task: Task, seed: int) -> Tensor | None:
        """Sequences (B, T, I); None for a bidirectional network, which carries no state, or sequences of one step."""
        x_BTI = self.sample(task, seed).input_BTI
        return None if network.architecture.no_full_state or x_BTI.shape[1] < 2 else x_BTI


def state_trajectory(system: Any, inputs: Any) -> tuple[System, Tensor, Tensor]:
    """A system, its inputs, and its full states (B, T, S) along them, in double precision.

    Raises:
        ValueError: fewer than two steps, a system that cannot resume from a state, or a callable whose next state
            depends on the state but leaves PyTorch's graph.
    """
    wrapped, x_BTI = measured(system, inputs)
    if x_BTI.shape[1] < 2:
        raise ValueError("inputs must have at least two steps: a Jacobian relates the states of consecutive steps")
    if reason := wrapped.unresumable(x_BTI):
        raise ValueError(reason)
    with torch.no_grad():
        state_BTS = wrapped.trajectory(x_BTI)
    if isinstance(wrapped, CallableSystem):
        _require_graph(wrapped, x_BTI[:, -1], state_BTS[:, -2])
    return wrapped, x_BTI, state_BTS


def _require_graph(system: System, x_BI: Tensor, state_BS: Tensor) -> None:
    """Raise ValueError if the next state depends on the state without a gradient for it."""
    x_BI, state_BS = x_BI[:FEW], state_BS[:FEW].detach()
    weight_S = torch.linspace(1, 2, state_BS.shape[1], dtype=state_BS.dtype)

    def value(state_BS: Tensor) -> Tensor:
        return (system.carry(x_BI.unsqueeze(1), state_BS)[1] * weight_S).sum()

    def gradient(state_BS: Tensor) -> Tensor:
        return rows_times_jacobian(system, x_BI, state_BS, weight_S.expand(len(state_BS), 1, -1))[:, 0]

    require_graph(value, gradient, state_BS, "the state")


def jacobian_blocks(system: System, x_BTI: Tensor, state_BTS: Tensor, backwards: bool) -> Iterator[Tensor]:
    """All T - 1 Jacobians ds_{t+1} / ds_t, in blocks of t steps, (B, t, S, S); last step first if `backwards`."""
    B, T, S = state_BTS.shape
    size = max(1, BLOCK_NUMBERS // (B * S * S))
    starts = range(0, T - 1, size)
    for start in reversed(starts) if backwards else starts:
        end = min(start + size, T - 1)
        J_NSS = jacobian(system, x_BTI[:, start + 1 : end + 1].flatten(0, 1), state_BTS[:, start:end].flatten(0, 1))
        J_BtSS = J_NSS.view(B, end - start, S, S)
        yield J_BtSS.flip(1) if backwards else J_BtSS


def jacobian(system: System, x_NI: Tensor, state_NS: Tensor) -> Tensor:
    """The derivative (N, S, S) of the next state by the state, for N states at once: one backward pass per row."""
    state_NS = state_NS.detach().clone().requires_grad_()
    next_NS = system.carry(x_NI.unsqueeze(1), state_NS)[1]
    if not next_NS.requires_grad:
        return torch.zeros(*next_NS.shape, state_NS.shape[1], dtype=state_NS.dtype)
    rows = [
        torch.autograd.grad(next_NS[:, row].sum(), state_NS, retain_graph=True, materialize_grads=True)[0]
        for row in range(next_NS.shape[1])
    ]
    return torch.stack(rows, 1)


def rows_times_jacobian(system: System, x_BI: Tensor, state_BS: Tensor, rows_BMS: Tensor) -> Tensor:
    """M row vectors times the Jacobian, (B, M, S), by one backward pass on M copies of the states."""
    B, M, S = rows_BMS.shape
    state_NS = state_BS.repeat_interleave(M, 0).detach().requires_grad_()
    next_NS = system.carry(x_BI.repeat_interleave(M, 0).unsqueeze(1), state_NS)[1]
    if not next_NS.requires_grad:
        return torch.zeros_like(rows_BMS)
    return torch.autograd.grad(next_NS, state_NS, rows_BMS.reshape(B * M, S), materialize_grads=True)[0].view(B, M, S)
