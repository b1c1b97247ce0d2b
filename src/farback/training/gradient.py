"""Losses and gradients of a cohort from its flat parameters: the part of an update that takes the time.

Shapes: R replicas, P parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor

from farback.kernels.unroll import with_back
from farback.networks.network import Architecture, Network
from farback.training.batches import Asked, Questions

# What a group of replicas may keep between forward and backward: a bound on memory, and below what `kernels/memory.py`
# keeps for the next update. Groups that fit the caches are slower than whole cohorts (docs/log.md).
_BYTES = 256_000_000


def network(architecture: Architecture, theta_RP: Tensor, grad: bool = False) -> Network:
    """The network that flat parameters stand for; with `grad`, those that are trained ask for a gradient."""
    frozen, base, stride, R = architecture.frozen, theta_RP.storage_offset(), theta_RP.stride(0), theta_RP.shape[0]
    parameters = {}
    for name, (shape, strides, start) in architecture.layout.items():
        value = theta_RP.as_strided((R, *shape), (stride, *strides), base + start)
        parameters[name] = value.detach().requires_grad_() if grad and name not in frozen else value
    return Network(architecture, parameters)


def group(architecture: Architecture, questions: Questions) -> int:
    """How many replicas to take at once; their numbers do not depend on it."""
    if not questions.x_RTBI.is_cpu:
        return len(questions.x_RTBI)
    _, steps, batch, _ = questions.x_RTBI.shape
    units = architecture.depth * architecture.directions * architecture.hidden
    numbers = units * (len(architecture.cell.gates) + 2)  # a unit's gates, its state, and room for its input
    return max(1, _BYTES // (4 * steps * batch * architecture.sites * numbers))


def gradient(architecture: Architecture, theta_RP: Tensor, asked: Asked, questions: Questions) -> tuple[Tensor, Tensor]:
    """The loss of every replica, (R,), and its gradient, (R, P): zero for what is frozen."""
    size = group(architecture, questions)
    losses, gradients = [], []
    for start in range(0, len(theta_RP), size):
        rows = slice(start, start + size)
        some = questions if size >= len(theta_RP) else Questions(*(part[rows] for part in questions))
        loss_R, gradient_RP = _by_hand(architecture, theta_RP[rows], asked, some) or _by_autograd(
            network(architecture, theta_RP[rows], grad=True), asked, some
        )
        losses.append(loss_R)
        gradients.append(gradient_RP)
    return (losses[0], gradients[0]) if len(losses) == 1 else (torch.cat(losses), torch.cat(gradients))


def _by_autograd(replicas: Network, asked: Asked, questions: Questions) -> tuple[Tensor, Tensor]:
    loss_R = asked.loss(replicas, questions)
    trained = {name: value for name, value in replicas.parameters.items() if value.requires_grad}
    ones_R = torch.ones_like(loss_R)
    found = torch.autograd.grad(loss_R, list(trained.values()), ones_R, allow_unused=True, materialize_grads=True)
    named = dict(zip(trained, found, strict=True))
    # Every rule leaves a parameter whose gradients are all zero exactly as it is: so what is frozen stays drawn.
    every = [named[name] if name in named else torch.zeros_like(value) for name, value in replicas.parameters.items()]
    return loss_R.detach(), torch.cat([value.flatten(1) for value in every], 1)


def _by_hand(
    architecture: Architecture, theta_RP: Tensor, asked: Asked, questions: Questions
) -> tuple[Tensor, Tensor] | None:
    """The same for one fused layer with a readout, or None where that is not so."""
    if not architecture.plain:
        return None
    sizes = architecture.hidden, architecture.outputs
    index_RN = None if asked.each is None else questions.index_RN
    found = with_back(architecture.cell, theta_RP, architecture.starts, sizes, questions.x_RTBI, index_RN)
    if found is None:
        return None
    output_RNO, back = found
    loss_RN, slope_RNO = asked.answer.slope(output_RNO, questions.target_RN)
    grad_RP = back(slope_RNO.mul_(questions.weight_RN.unsqueeze(-1)))
    return (loss_RN * questions.weight_RN).sum(1), grad_RP
