"""Causal reach: what happens to the answer when the input of k steps ago is replaced by another that could have been.

Shapes: B sequences, T steps, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from farback import stats
from farback.measures.base import Row, Untrained
from farback.measures.support.asked_lags import AtLags, checked_lags, steps
from farback.measures.support.regression import Floats
from farback.measures.support.system import System, measured
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Task
from farback.tasks.support.answers import OneOf

THRESHOLD = 0.01  # of the answer's variance
ROUNDING = 1e-12  # of the outputs' size: what varies by less does not vary

Sampler = Callable[[np.random.Generator, int, int], Any]


@dataclass(frozen=True)
class CausalReach:
    """The effect of single inputs on the answer.

    Attributes:
        lag: increasing.
        effect: total-effect Sobol index S_T(k): the share of the answer's variance that goes when the input of k steps
            ago is known to all but the answer. They sum to 1 without interactions, to more with them.
        effect_error: standard error of `effect` over sequences.
        kl: mean divergence, in nats, from the class probabilities to those with the input replaced; nan for answers
            that are no classes.
        loss_increase: by how much the loss rises; nan without targets.
        horizon: from the largest lag whose effect is at least the threshold to the next lag that was tested. An input
            that has no effect changes nothing at all, so that no significance is asked for.
    """

    lag: NDArray[np.int64]
    effect: Floats
    effect_error: Floats
    kl: Floats
    loss_increase: Floats
    horizon: stats.Horizon


def causal_reach(
    system: Any,
    inputs: Any,
    lags: Sequence[int] | None = None,
    *,
    classes: bool = False,
    targets: Any = None,
    step: Any = None,
    sampler: Sampler | None = None,
    draws: int = 1,
    threshold: float = THRESHOLD,
    seed: int = 0,
) -> CausalReach:
    """How much the answer at one step depends on the input k steps before, all other inputs left as they are.

    The input is replaced by that of another sequence at the same lag: a draw from its marginal distribution, so that
    the network sees nothing that could not occur, where inputs do not depend on each other. (Zeros in its place would
    overstate reach.) A system that can be carried on from a state reads what comes before that step only once.

    Args:
        system: see `farback.measures.support.system`.
        inputs: sequences as they occur, (B, T, I).
        lags: which lags; by default all.
        classes: whether outputs are the logits of classes: the answer is then their probabilities, else the outputs.
        targets: the right answers, (B,) classes or (B, O) numbers, for `loss_increase`: nats, or squared error.
        step: readout step, one for all sequences or one for each; by default the last.
        sampler: draws other inputs, (rng, B, lag) -> (B, I), in place of other sequences.
        draws: how many replacements of each input.
        threshold: the effect that counts for the horizon.
        seed: of the replacements.

    Raises:
        ValueError: fewer than two sequences, a lag or step outside them, or a sampler's draw of another shape.

    Source: Jansen 1999, Computer Physics Communications 117; Sobol indices from Saltelli et al. 2010.
    """
    face, x_BTI = measured(system, inputs)
    B, T, _ = x_BTI.shape
    if B < 2 or draws < 1:
        raise ValueError(f"needs two sequences, to take inputs from one another, and one draw; got {B} and {draws}")
    step_B = steps(step, B, T)
    wanted = checked_lags(lags, step_B)
    rng = stream(seed, "measure", "causal_reach")
    with torch.no_grad(), np.errstate(invalid="ignore", over="ignore"):  # answers of a net that exploded
        output_BO = face(x_BTI)[0][torch.arange(B), step_B]
        answer = _Answer(output_BO, classes, None if targets is None else torch.as_tensor(targets))
        found = {}
        for lag, replayed in _replays(face, x_BTI, step_B, wanted):
            changes = []
            for _ in range(draws):
                new_BI = _others(x_BTI, step_B, lag, rng) if sampler is None else _drawn(sampler, rng, x_BTI, lag)
                changes.append(answer.changed(replayed(new_BI)))
            found[lag] = answer.summary(np.mean(changes, 0))
    effect, error, kl, loss = np.array([found[lag] for lag in wanted]).T
    horizon = stats.largest_success(wanted, effect >= threshold).horizon
    return CausalReach(np.array(wanted), effect, error, kl, loss, horizon)


class _Answer:
    """The answers as they were, and how far others are from them."""

    def __init__(self, output_BO: Tensor, classes: bool, target: Tensor | None) -> None:
        self.output_BO, self.classes, self.target = output_BO, classes, target
        self.value_BO = self._value(output_BO)
        centred_BO = self.value_BO - self.value_BO.mean(0)
        self.square_B = (centred_BO.square().sum(1) * len(output_BO) / (len(output_BO) - 1)).double().numpy()
        size = float(self.value_BO.abs().max())
        self.constant = self.square_B.mean() <= (ROUNDING * size) ** 2

    def changed(self, output_BO: Tensor) -> Floats:
        """Squared change, divergence and rise in loss of each sequence, (3, B)."""
        change_B = (self._value(output_BO) - self.value_BO).square().sum(1)
        nothing_B = torch.full_like(change_B, torch.nan)
        kl_B = nothing_B
        if self.classes:
            kl_B = (self.value_BO * (self.output_BO.log_softmax(1) - output_BO.log_softmax(1))).sum(1)
        loss_B = nothing_B if self.target is None else self._loss(output_BO) - self._loss(self.output_BO)
        return np.asarray(torch.stack([change_B, kl_B, loss_B]).double().numpy())

    def summary(self, change_3B: Floats) -> tuple[float, float, float, float]:
        """Effect with its standard error (that of a ratio of two means), mean divergence and rise in loss."""
        half_B, kl, loss = change_3B[0] / 2, float(change_3B[1].mean()), float(change_3B[2].mean())
        if self.constant:
            return 0.0, 0.0, kl, loss
        variance = self.square_B.mean()
        effect = half_B.mean() / variance
        residual_B = half_B - effect * self.square_B
        return float(effect), float(residual_B.std(ddof=1) / variance / len(half_B) ** 0.5), kl, loss

    def _value(self, output_BO: Tensor) -> Tensor:
        return output_BO.softmax(1) if self.classes else output_BO

    def _loss(self, output_BO: Tensor) -> Tensor:
        assert self.target is not None
        if self.classes:
            return -output_BO.log_softmax(1).gather(1, self.target.view(-1, 1)).squeeze(1)
        return (output_BO - self.target.view(len(output_BO), -1)).square().sum(1)


def _replays(face: System, x_BTI: Tensor, step_B: Tensor, lags: list[int]) -> Any:
    """For each lag, largest first: a function from the inputs put in its place, (B, I), to the outputs, (B, O)."""
    carries = _carries(face, x_BTI)
    row_B, state_BS, read = torch.arange(len(x_BTI)), None, 0
    for lag in reversed(lags):
        start = int(step_B.min()) - lag if carries else 0
        if start > read:
            state_BS, read = face.carry(x_BTI[:, read:start], state_BS)[1], start

        def replayed(new_BI: Tensor, lag: int = lag, start: int = start, state_BS: Tensor | None = state_BS) -> Tensor:
            rest_BTI = x_BTI[:, start:].clone()
            rest_BTI[row_B, step_B - lag - start] = new_BI
            output_BTO = face.carry(rest_BTI, state_BS)[0] if carries else face(rest_BTI)[0]
            return output_BTO[row_B, step_B - start]

        yield lag, replayed


def _carries(face: System, x_BTI: Tensor) -> bool:
    """Whether reading two sequences in two parts gives what reading them whole does."""
    x_BTI = x_BTI[:2]
    half = x_BTI.shape[1] // 2
    if not half:
        return False
    try:
        state_BS = face.carry(x_BTI[:, :half])[1]
        parts_BTO = face.carry(x_BTI[:, half:], state_BS)[0]
    except (ValueError, TypeError, RuntimeError):  # one that takes no state, or means something else by it
        return False
    return torch.allclose(parts_BTO, face(x_BTI)[0][:, half:], rtol=1e-4, atol=1e-6, equal_nan=True)


def _others(x_BTI: Tensor, step_B: Tensor, lag: int, rng: np.random.Generator) -> Tensor:
    """The input at that lag of another sequence, never a sequence's own."""
    order_B = torch.from_numpy(rng.permutation(len(x_BTI)))
    donor_B = torch.empty_like(order_B)
    donor_B[order_B] = order_B.roll(1)
    return x_BTI[donor_B, step_B[donor_B] - lag]


def _drawn(sampler: Sampler, rng: np.random.Generator, x_BTI: Tensor, lag: int) -> Tensor:
    new_BI = torch.as_tensor(sampler(rng, len(x_BTI), lag)).to(x_BTI.dtype)
    if new_BI.shape != x_BTI[:, 0].shape:
        raise ValueError(f"the sampler must give inputs {tuple(x_BTI[:, 0].shape)}, got {tuple(new_BI.shape)}")
    return new_BI


class CausalReachMeasure(AtLags):
    """The effect of the inputs before the last asked step on the answer there, on the trial's own task.

    At the lag that the task is asked at, this replaces the cue by that of another sequence.

    Source: Jansen 1999; Saltelli et al. 2010.
    """

    sequences: Annotated[int, Field(ge=2, le=1_000_000)] = 512

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows effect, effect_error and kl for each lag; horizon (its low end, 0 where there is none) belongs to none.

        kl is nan for answers that are no classes.
        """
        return [self._rows(network.replica(index), task, seed) for index, seed in enumerate(seeds)]

    def _rows(self, network: Network, task: Task, seed: int) -> list[Row]:
        batch, last_B, lags = self.asked(task, seed)
        classes = isinstance(task.answer, OneOf)
        found = causal_reach(network, batch.input_BTI, lags, classes=classes, step=last_B, seed=seed)
        curves = {"effect": found.effect, "effect_error": found.effect_error, "kl": found.kl}
        rows = [
            Row(lag, statistic, float(values[at]))
            for at, lag in enumerate(found.lag.tolist())
            for statistic, values in curves.items()
        ]
        return [*rows, Row(-1, "horizon", max(0.0, found.horizon.low))]
