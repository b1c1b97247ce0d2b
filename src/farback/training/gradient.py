"""Losses and gradients of a cohort from its flat parameters. Most of an update's time is spent here.

Shapes: R replicas, P parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from farback.kernels.unroll import layer_with_backward
from farback.networks import stretches
from farback.networks.network import Architecture, Network
from farback.training import long_gradient
from farback.training.batches import CohortBatch, ScoredSteps

# The memory that a group of replicas may use between forward and backward pass. It is below the memory that
# `kernels/buffer_pool.py` keeps for the next update. Smaller groups that fit the CPU caches are slower (docs/log.md).
_BYTES = 256_000_000


@dataclass(frozen=True)
class Options:
    """What differs in a training pass: masks of dropout between layers, truncation, and seeds (see `Network`).

    `memory` is how many bytes a pass may keep; beyond it, steps are computed again. It does not change results.
    """

    masks: tuple[Tensor, ...] = ()
    truncate: int | None = None
    seeds: tuple[int, ...] | None = None
    memory: int | None = None

    def rows(self, rows: slice) -> Options:
        """The options of some replicas."""
        seeds = None if self.seeds is None else self.seeds[rows]
        return Options(tuple(mask[rows] for mask in self.masks), self.truncate, seeds, self.memory)


PLAIN = Options()


def network(architecture: Architecture, theta_RP: Tensor, grad: bool = False, options: Options = PLAIN) -> Network:
    """The network with these flat parameters, as views; with `grad`, trained parameters require a gradient."""
    frozen, base, stride, R = architecture.frozen, theta_RP.storage_offset(), theta_RP.stride(0), theta_RP.shape[0]
    parameters = {}
    for name, (shape, strides, start) in architecture.layout.items():
        value = theta_RP.as_strided((R, *shape), (stride, *strides), base + start)
        parameters[name] = value.detach().requires_grad_() if grad and name not in frozen else value
    return Network(architecture, parameters, options.masks, options.truncate, options.seeds)


def group(architecture: Architecture, batch: CohortBatch, memory: int | None = None) -> int:
    """The number of replicas to process at once. Results do not depend on it."""
    if not batch.x_RTBI.is_cpu:
        return len(batch.x_RTBI)
    if architecture.cell.one_by_one:
        return 1
    _, steps, sequences, _ = batch.x_RTBI.shape
    return max(1, min(memory or _BYTES, _BYTES) // (4 * steps * sequences * architecture.kept(steps)))


def gradient(
    architecture: Architecture, theta_RP: Tensor, scored: ScoredSteps, batch: CohortBatch, options: Options = PLAIN
) -> tuple[Tensor, Tensor]:
    """The loss of every replica, (R,), and its gradient, (R, P), which is 0 for frozen parameters."""
    size, steps = group(architecture, batch, options.memory), batch.x_RTBI.shape[1]
    losses, gradients = [], []
    for start in range(0, len(theta_RP), size):
        rows = slice(start, start + size)
        part, own = (batch, options) if size >= len(theta_RP) else (batch.rows(rows), options.rows(rows))
        whole = None if own.truncate else _by_kernel(architecture, theta_RP[rows], scored, part, options.memory)
        if whole is None:
            replicas = network(architecture, theta_RP[rows], grad=True, options=own)
            if stretches.fits(replicas, steps):
                whole = _in_stretches(replicas, scored, part, options.memory)
            else:
                whole = _by_autograd(replicas, scored, part)
        loss_R, gradient_RP = whole
        losses.append(loss_R)
        gradients.append(gradient_RP)
    return (losses[0], gradients[0]) if len(losses) == 1 else (torch.cat(losses), torch.cat(gradients))


def _by_autograd(replicas: Network, scored: ScoredSteps, batch: CohortBatch) -> tuple[Tensor, Tensor]:
    loss_R = scored.loss(replicas, batch)
    trained = {name: value for name, value in replicas.parameters.items() if value.requires_grad}
    ones_R = torch.ones_like(loss_R)
    slopes = torch.autograd.grad(loss_R, list(trained.values()), ones_R, allow_unused=True, materialize_grads=True)
    return loss_R.detach(), _flat(replicas, dict(zip(trained, slopes, strict=True)))


def _in_stretches(
    replicas: Network, scored: ScoredSteps, batch: CohortBatch, memory: int | None
) -> tuple[Tensor, Tensor]:
    R, T, B, _ = batch.x_RTBI.shape
    keeps = memory is None or 4 * R * T * B * replicas.architecture.kept(T) <= memory
    loss_R, slopes = long_gradient.gradient(replicas, scored, batch, keeps)
    return loss_R, _flat(replicas, slopes)


def _flat(replicas: Network, named: dict[str, Tensor]) -> Tensor:
    """The gradient of the flat parameters, (R, P), from those of the trained ones."""
    every = [named[name] if name in named else torch.zeros_like(value) for name, value in replicas.parameters.items()]
    return torch.cat([value.flatten(1) for value in every], 1)


def _by_kernel(
    architecture: Architecture, theta_RP: Tensor, scored: ScoredSteps, batch: CohortBatch, memory: int | None
) -> tuple[Tensor, Tensor] | None:
    """Losses and gradients of a single layer with a fused kernel and a linear readout; None for other networks."""
    if not architecture.is_plain_stack or architecture.depth > 1:
        return None
    sizes = architecture.hidden, architecture.outputs
    index_RN = None if scored.per_sequence is None else batch.index_RN
    starts = architecture.starts
    result = layer_with_backward(architecture.cell, theta_RP, starts, sizes, batch.x_RTBI, index_RN, memory)
    if result is None:
        return None
    output_RNO, backward = result
    loss_RN, slope_RNO = scored.answer.slope(output_RNO, batch.target_RN)
    grad_RP = backward(slope_RNO.mul_(batch.weight_RN.unsqueeze(-1)))
    return (loss_RN * batch.weight_RN).sum(1), grad_RP
