"""Losses and gradients of long sequences, in stretches of steps that carry the state.

The gradient is the sum of those of the stretches, from the last to the first. Each stretch is kept from the forward
pass to the backward pass, or computed again: the same code runs on the same numbers, so no bit depends on it.

Shapes: R replicas, T steps, B sequences, I inputs, H outputs of the top layer, N scored steps, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from farback.kernels.symbols import steps_of
from farback.networks.network import Network, NetworkState
from farback.networks.stretches import Span, bounds, part_of, spans
from farback.training.batches import CohortBatch, ScoredSteps


def gradient(
    network: Network, scored: ScoredSteps, batch: CohortBatch, keeps: bool
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of every replica, (R,), and its gradient by each trained parameter of the network.

    `keeps` says whether the stretches are kept for the backward pass.
    """
    trained = {name: value for name, value in network.parameters.items() if value.requires_grad}
    start = network.initial(steps_of(batch.x_RTBI, 0, 1))
    state, every = _detached(start), spans(batch.x_RTBI.shape[1])
    states: list[NetworkState] = []
    kept: list[_Stretch] = []
    for span in every:
        states.append(state)
        if keeps or span == every[-1]:
            kept.append(_Stretch.of(network, scored, batch, span, state))
            state = _detached(kept[-1].last)
        else:
            with torch.no_grad():
                state = part_of(network, span).run(steps_of(batch.x_RTBI, *span), state)[1]
    loss_R = torch.zeros(len(batch.x_RTBI), dtype=torch.float32, device=batch.x_RTBI.device)
    total = {name: torch.zeros_like(value) for name, value in trained.items()}
    slopes: list[Tensor] | None = None
    for span, before in zip(reversed(every), reversed(states), strict=True):
        if slopes is None and not kept and not _scored(batch, span):
            continue  # nothing depends on the last steps
        stretch = kept.pop() if kept else _Stretch.of(network, scored, batch, span, before)
        if stretch.loss_R is not None:
            loss_R = loss_R + stretch.loss_R.detach()
        slopes = stretch.backward(trained, total, slopes)
    if slopes is not None and network.architecture.learned_state:
        _add(total, trained, _values(start), slopes)
    return loss_R, total


@dataclass(frozen=True)
class _Stretch:
    """A stretch with its graph: the state before it, and the loss (None where nothing is scored) and state after."""

    before: list[Tensor]
    last: NetworkState
    loss_R: Tensor | None

    @classmethod
    def of(cls, network: Network, scored: ScoredSteps, batch: CohortBatch, span: Span, state: NetworkState) -> _Stretch:
        leaves = _map(state, lambda value: value.detach().requires_grad_())
        h_RTBH, last = part_of(network, span).run(steps_of(batch.x_RTBI, *span), leaves)
        return cls(_values(leaves), last, _loss(network, scored, batch, span, h_RTBH))

    def backward(
        self, trained: dict[str, Tensor], total: dict[str, Tensor], slopes: Sequence[Tensor] | None
    ) -> list[Tensor] | None:
        """Add the gradients of the parameters to `total`; return that of the state before, given that of the last."""
        if self.loss_R is None and slopes is None:
            return None
        ends, given = [], []
        if self.loss_R is not None:
            ends, given = [self.loss_R], [torch.ones_like(self.loss_R)]
        if slopes is not None:
            pairs = zip(_values(self.last), slopes, strict=True)
            for value, slope in pairs:
                if value.requires_grad:
                    ends, given = [*ends, value], [*given, slope]
        return _add(total, trained, ends, given, self.before)


def _add(
    total: dict[str, Tensor],
    trained: dict[str, Tensor],
    ends: list[Tensor],
    slopes: list[Tensor],
    others: Sequence[Tensor] = (),
) -> list[Tensor]:
    """Add the gradients of the parameters to `total`; return those of other tensors."""
    wanted = [*trained.values(), *others]
    found = torch.autograd.grad(ends, wanted, slopes, allow_unused=True, materialize_grads=True)
    for name, value in zip(trained, found, strict=False):
        total[name] += value
    return list(found[len(trained) :])


def _scored(batch: CohortBatch, span: Span) -> list[tuple[int, int]]:
    """Where the scored steps of a stretch stand in each replica's index; empty if none is scored."""
    B = batch.x_RTBI.shape[2]
    scores_R = bounds(batch.index_RN, span[0] * B, span[1] * B)
    return scores_R if any(begin < end for begin, end in scores_R) else []


def _loss(network: Network, scored: ScoredSteps, batch: CohortBatch, span: Span, h_RTBH: Tensor) -> Tensor | None:
    """The share of the loss of every replica that is due to these steps; None if none of them is scored."""
    scores_R = _scored(batch, span)
    if not scores_R:
        return None
    first, last = (step * batch.x_RTBI.shape[2] for step in span)
    output_RNO = network.readout(h_RTBH.flatten(1, 2))
    target_RN = batch.target_RN.new_zeros(len(scores_R), last - first, *batch.target_RN.shape[2:])
    weight_RN = batch.weight_RN.new_zeros(len(scores_R), last - first)
    for r, (begin, end) in enumerate(scores_R):
        at = batch.index_RN[r, begin:end] - first
        target_RN[r, at], weight_RN[r, at] = batch.target_RN[r, begin:end], batch.weight_RN[r, begin:end]
    return (scored.answer.loss(output_RNO, target_RN) * weight_RN).sum(1)


def _values(state: NetworkState) -> list[Tensor]:
    return [value for layer in state for value in layer]


def _map(state: NetworkState, function: Callable[[Tensor], Tensor]) -> NetworkState:
    return tuple(type(layer)(map(function, layer)) for layer in state)


def _detached(state: NetworkState) -> NetworkState:
    return _map(state, Tensor.detach)
