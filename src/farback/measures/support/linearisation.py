"""A network as a linear system around its resting state, the state it settles in under zero input.

Shapes: S numbers of the full state (all layers, and h and c of an LSTM), I inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from farback.measures.base import Floats, MeasureRow, SingleInput
from farback.measures.support.own_mode import own_mode
from farback.measures.support.system import System, as_system
from farback.networks.network import Network
from farback.tasks.base import Task

SETTLE_STEPS = 500  # steps under zero input before Newton's method
NEWTON_STEPS = 20  # each doubles the number of correct digits near the solution
REST_TOLERANCE = 1e-10  # largest change in one step at rest, relative to the size of the state
KINK_DISTANCE = 1e-6  # perturbation used to find kinks, relative to the size of the state


class Linearised(SingleInput):
    """The base class of measures of the network linearised at its resting state (all layers, the full state).

    The input enters through one channel; the other channels are zero.
    """

    @override
    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        system = linearisation(network, self.channel)
        try:
            return [] if system is None else self.linear_rows(*system)
        except ValueError:  # the resting state is not stable
            return []

    def linear_rows(self, W_SS: Floats, w_S: Floats) -> list[MeasureRow]:
        """The rows of the linear system h_t = W h_{t-1} + w u_t; a ValueError means that there are none."""
        raise NotImplementedError


@own_mode()
def linearisation(network: Network, channel: int) -> tuple[Floats, Floats] | None:
    """W (S, S) and w (S,) of one replica: derivatives of the next state by the state and by one input, at rest.

    The resting state is where the network settles from its initial state under zero input, refined by Newton's method.
    None if there is no resting state (the network oscillates, wanders, grows or is bidirectional), or if there is no
    derivative because a relu unit rests exactly on its kink, as every relu unit without a bias does.
    """
    if network.architecture.no_full_state:
        return None
    system, inputs = as_system(network).double(), network.architecture.inputs
    with torch.no_grad():
        rest_S = system.carry(torch.zeros(1, SETTLE_STEPS, inputs, dtype=torch.float64))[1][0]
    for _ in range(NEWTON_STEPS):
        if not bool(torch.isfinite(rest_S).all()):
            return None
        W_SS, w_S, next_S = _derivatives(system, rest_S, inputs, channel)
        size = 1 + float(rest_S.abs().max())
        if float((next_S - rest_S).abs().max()) <= REST_TOLERANCE * size:
            smooth = _is_smooth(system, rest_S, KINK_DISTANCE * size, inputs, channel)
            return (W_SS.numpy(), w_S.numpy()) if smooth else None
        step_S, failed = torch.linalg.solve_ex(torch.eye(len(rest_S), dtype=W_SS.dtype) - W_SS, next_S - rest_S)
        if int(failed):
            return None
        rest_S = rest_S + step_S
    return None


def _derivatives(system: System, state_S: Tensor, inputs: int, channel: int) -> tuple[Tensor, Tensor, Tensor]:
    """d next / d state, d next / d input, and the next state, from a batch with one copy per number of the state."""
    S = len(state_S)
    x_BTI = torch.zeros(S, 1, inputs, dtype=state_S.dtype, requires_grad=True)
    state_BS = state_S.detach().repeat(S, 1).requires_grad_()
    next_BS = system.carry(x_BTI, state_BS)[1]
    dx_BTI, W_SS = torch.autograd.grad(next_BS.diagonal().sum(), [x_BTI, state_BS], materialize_grads=True)
    return W_SS, dx_BTI[:, 0, channel], next_BS[0].detach()


def _is_smooth(system: System, state_S: Tensor, distance: float, inputs: int, channel: int) -> bool:
    """Whether small changes of opposite sign, in each number of the state and in the input, have opposite effects."""
    S = len(state_S)
    state_BS = state_S.repeat(2 * S + 3, 1)
    x_BTI = torch.zeros(2 * S + 3, 1, inputs, dtype=state_S.dtype)
    change = distance * torch.eye(S, dtype=state_S.dtype)
    state_BS[:S] += change
    state_BS[S : 2 * S] -= change
    x_BTI[2 * S, 0, channel], x_BTI[2 * S + 1, 0, channel] = distance, -distance
    with torch.no_grad():
        next_BS = system.carry(x_BTI, state_BS)[1]
    effect_BS = next_BS[:-1] - next_BS[-1]
    bend = torch.cat([effect_BS[:S] + effect_BS[S : 2 * S], (effect_BS[2 * S] + effect_BS[2 * S + 1])[None]])
    return float(bend.abs().max()) <= 1e-2 * max(float(effect_BS.abs().max()), 1e-3 * distance)
