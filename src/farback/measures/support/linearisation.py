"""A network as a linear system, around the state it comes to rest in without input.

Shapes: S numbers of the full state (all layers, and h and c of an LSTM), I inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from farback.measures.support.regression import Floats
from farback.measures.support.system import System, as_system
from farback.networks.network import Network

SETTLE = 500  # steps without input, before Newton's method
NEWTON = 20  # it doubles the digits each time, from a state that is near
AT_REST = 1e-10  # of the state's size: what a step may still change
NUDGE = 1e-6  # how far a kink is looked for, relative to the state's size


def linearisation(network: Network, channel: int) -> tuple[Floats, Floats] | None:
    """W (S, S) and w (S,) of one replica: how the full state and one input channel move the next state, at rest.

    The rest state is where the network settles under zero input from its own first state, made exact by Newton's
    method. None where there is none (it oscillates, wanders or grows; or it is bidirectional and carries no state), and
    where it has no derivative: a relu unit that rests on its kink, as all do without biases.
    """
    if network.architecture.bidirectional:
        return None
    system = as_system(network).double()
    with torch.no_grad():
        rest_S = system.carry(torch.zeros(1, SETTLE, network.architecture.inputs, dtype=torch.float64))[1][0]
    for _ in range(NEWTON):
        if not bool(torch.isfinite(rest_S).all()):
            return None
        W_SS, w_S, after_S = _slopes(system, rest_S, network.architecture.inputs, channel)
        size = 1 + float(rest_S.abs().max())
        if float((after_S - rest_S).abs().max()) <= AT_REST * size:
            smooth = _smooth(system, rest_S, NUDGE * size, network.architecture.inputs, channel)
            return (W_SS.numpy(), w_S.numpy()) if smooth else None
        step_S, failed = torch.linalg.solve_ex(torch.eye(len(rest_S), dtype=W_SS.dtype) - W_SS, after_S - rest_S)
        if int(failed):
            return None
        rest_S = rest_S + step_S
    return None


def _slopes(system: System, state_S: Tensor, inputs: int, channel: int) -> tuple[Tensor, Tensor, Tensor]:
    """d next / d state, d next / d input, and the next state: one sequence for each number of the next state."""
    S = len(state_S)
    x_BTI = torch.zeros(S, 1, inputs, dtype=state_S.dtype, requires_grad=True)
    before_BS = state_S.detach().repeat(S, 1).requires_grad_()
    after_BS = system.carry(x_BTI, before_BS)[1]
    dx, dstate = torch.autograd.grad(after_BS.diagonal().sum(), [x_BTI, before_BS], allow_unused=True)
    W_SS = torch.zeros(S, S, dtype=state_S.dtype) if dstate is None else dstate
    w_S = torch.zeros(S, dtype=state_S.dtype) if dx is None else dx[:, 0, channel]
    return W_SS, w_S, after_BS[0].detach()


def _smooth(system: System, state_S: Tensor, nudge: float, inputs: int, channel: int) -> bool:
    """Whether the step answers a nudge to either side alike, in every number of the state and in the input."""
    S = len(state_S)
    state_BS = state_S.repeat(2 * S + 3, 1)
    x_BTI = torch.zeros(2 * S + 3, 1, inputs, dtype=state_S.dtype)
    either = nudge * torch.eye(S, dtype=state_S.dtype)
    state_BS[:S] += either
    state_BS[S : 2 * S] -= either
    x_BTI[2 * S, 0, channel], x_BTI[2 * S + 1, 0, channel] = nudge, -nudge
    with torch.no_grad():
        moved_BS = system.carry(x_BTI, state_BS)[1]
    moved_BS = moved_BS[:-1] - moved_BS[-1]
    bend = torch.cat([moved_BS[:S] + moved_BS[S : 2 * S], (moved_BS[2 * S] + moved_BS[2 * S + 1])[None]])
    return float(bend.abs().max()) <= 1e-2 * max(float(moved_BS.abs().max()), 1e-3 * nudge)
