"""Causal reach: how much the answer changes if the input k steps ago is replaced by another possible input.

Shapes: B sequences, T steps, I inputs, O outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from farback import stats
from farback.measures.base import Floats, MeasureRow, curve_rows
from farback.measures.support.lag_selection import AtLags, readout_steps, sorted_lags
from farback.measures.support.long_samples import parts, runs_in_parts
from farback.measures.support.numbers import real, whole_numbers
from farback.measures.support.own_mode import own_mode
from farback.measures.support.system import System, measured
from farback.measures.support.torch_systems import NetworkSystem
from farback.networks.network import Network
from farback.stats.horizons import at_least
from farback.system.random_streams import stream
from farback.tasks.base import Task
from farback.tasks.support.answers import OneOf

THRESHOLD = 0.01  # share of the answer's variance
ROUNDING = 1e-12  # answers with a smaller standard deviation, relative to their size, are constant

Sampler = Callable[[np.random.Generator, int, int], Any]


@dataclass(frozen=True)
class CausalReach:
    """The effect of single inputs on the answer.

    Attributes:
        lag: increasing.
        effect: total-effect Sobol index S_T(k): the share of the answer's variance that remains if all inputs except
            the one k steps ago are known. Over all lags they sum to 1 if inputs do not interact, and else to more.
        effect_error: standard error of `effect` over sequences.
        kl: mean KL divergence, in nats, from the original class probabilities to those after the replacement; nan if
            the outputs are not classes.
        loss_increase: mean increase of the loss; nan without targets.
        horizon: from the largest lag with an effect of at least the threshold to the next tested lag. A significance
            test is not needed, because an input without effect does not change the answer at all. Unknown if the
            answers are not finite.
    """

    lag: NDArray[np.int64]
    effect: Floats
    effect_error: Floats
    kl: Floats
    loss_increase: Floats
    horizon: stats.Horizon


@own_mode()
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
    """How much the answer at one step depends on the input k steps before, with all other inputs unchanged.

    The input is replaced by the input of another sequence at the same lag, which is a draw from its marginal
    distribution. If inputs are independent, the network sees only sequences that can occur. (Replacing by zeros would
    overestimate the reach.) If the system can resume from a state, the steps before the replaced input run only once.

    Args:
        system: see `farback.measures.support.system`.
        inputs: a sample of sequences, (B, T, I).
        lags: by default all.
        classes: whether outputs are logits of classes. If so, the answer is the class probabilities, else the outputs.
        targets: the correct answers, (B,) classes or (B, O) numbers, for `loss_increase`: nats, or squared error.
        step: readout step, one for all sequences or one for each; by default the last.
        sampler: draws the replacements, (rng, B, lag) -> (B, I), instead of other sequences.
        draws: number of replacements of each input.
        threshold: smallest effect that counts for the horizon.
        seed: the seed of the replacements.

    Raises:
        ValueError: fewer than two sequences, no draws, a lag or step outside the sequences, or a bad sampler result.

    Source: Jansen 1999, Computer Physics Communications 117; Sobol indices from Saltelli et al. 2010.
    """
    wrapped, x_BTI = measured(system, inputs)
    B, T, _ = x_BTI.shape
    if B < 2 or draws < 1:
        raise ValueError(f"causal_reach needs at least two sequences and one draw, got {B} and {draws}")
    step_B = readout_steps(step, B, T)
    lags = sorted_lags(lags, step_B)
    rng = stream(seed, "measure", "causal_reach")
    with torch.no_grad(), np.errstate(invalid="ignore", over="ignore"):  # outputs of a diverged network
        output_BO = wrapped(x_BTI)[0][torch.arange(B), step_B]
        original = _Answers(output_BO, classes, None if targets is None else _targets(targets, output_BO, classes))
        effects = {}
        for lag, rerun in _reruns(wrapped, x_BTI, step_B, lags):
            changes = []
            for _ in range(draws):
                new_BI = _others(x_BTI, step_B, lag, rng) if sampler is None else _drawn(sampler, rng, x_BTI, lag)
                changes.append(original.changes(rerun(new_BI)))
            effects[lag] = original.effect(np.mean(changes, 0))
    return _reach(lags, effects, threshold)


def _reach(lags: list[int], effects: Mapping[int, tuple[float, float, float, float]], threshold: float) -> CausalReach:
    effect, error, kl, loss = np.array([effects[lag] for lag in lags]).T
    horizon = stats.largest_success(lags, at_least(effect, threshold)).horizon
    return CausalReach(np.array(lags), effect, error, kl, loss, horizon)


def _in_parts(
    system: System, inputs: Iterable[tuple[int, Tensor]], end: int, lags: list[int], classes: bool, seed: int
) -> CausalReach:
    """`causal_reach` at step `end`, the last one, of sequences that are given in parts (B, T, I) with their first step.

    At each lag a copy of the state is made, which goes on from the replaced input beside the original.
    """
    rng = stream(seed, "measure", "causal_reach")

    def run(x_BTI: Tensor, state_CS: Tensor | None) -> tuple[Tensor, Tensor]:
        """The last outputs and the states of the original and of each copy, B rows each."""
        copies = 1 if state_CS is None else len(state_CS) // len(x_BTI)
        output_CTO, state_CS = system.carry(x_BTI.repeat(copies, 1, 1), state_CS)
        return output_CTO[:, -1], state_CS

    output_CO = state_CS = None
    with torch.no_grad(), np.errstate(invalid="ignore", over="ignore"):
        for first, x_BTI in inputs:
            B, begin = len(x_BTI), 0
            for step in sorted(end - lag - first for lag in lags if 0 <= end - lag - first < x_BTI.shape[1]):
                if step > begin:
                    _, state_CS = run(x_BTI[:, begin:step], state_CS)
                before_BS = None if state_CS is None else state_CS[:B]
                output_CO, state_CS = run(x_BTI[:, step : step + 1], state_CS)
                new_BI = _others(x_BTI, torch.full((B,), step), 0, rng)
                output_BTO, copy_BS = system.carry(new_BI.unsqueeze(1), before_BS)
                output_CO, state_CS = torch.cat([output_CO, output_BTO[:, -1]]), torch.cat([state_CS, copy_BS])
                begin = step + 1
            if begin < x_BTI.shape[1]:
                output_CO, state_CS = run(x_BTI[:, begin:], state_CS)
        assert output_CO is not None  # there is a part
        original_BO, *copies = torch.split(output_CO, B)
        original = _Answers(original_BO, classes, None)
        effects = {lag: original.effect(original.changes(copy)) for lag, copy in zip(lags[::-1], copies, strict=True)}
    return _reach(lags, effects, THRESHOLD)


class _Answers:
    """The answers to the original sequences, compared with answers after a replacement."""

    def __init__(self, output_BO: Tensor, classes: bool, target: Tensor | None) -> None:
        self.output_BO, self.classes, self.target = output_BO, classes, target
        largest = float(output_BO.abs().max())
        # a power of two, so that squares of huge or tiny answers neither overflow nor vanish, and all digits are kept
        self.unit = 2.0 ** -math.frexp(largest)[1] if 1e-300 < largest < math.inf else 1.0
        self.answer_BO = self._answer(output_BO)
        centred_BO = self.answer_BO - self.answer_BO.mean(0)
        self.square_B = (centred_BO.square().sum(1) * len(output_BO) / (len(output_BO) - 1)).double().numpy()
        self.constant = self.square_B.mean() <= (ROUNDING * float(self.answer_BO.abs().max())) ** 2

    def changes(self, output_BO: Tensor) -> Floats:
        """Squared change of the answer, KL divergence and increase of the loss of each sequence, (3, B)."""
        change_B = (self._answer(output_BO) - self.answer_BO).square().sum(1)
        kl_B = loss_B = torch.full_like(change_B, torch.nan)
        if self.classes:
            kl_B = (self.answer_BO * (self.output_BO.log_softmax(1) - output_BO.log_softmax(1))).sum(1)
        if self.target is not None:
            loss_B = self._loss(output_BO, self.target) - self._loss(self.output_BO, self.target)
        return np.asarray(torch.stack([change_B, kl_B, loss_B]).double().numpy())

    def effect(self, changes_3B: Floats) -> tuple[float, float, float, float]:
        """The effect, its standard error (as a ratio of two means), the mean KL divergence and the increase of loss."""
        half_B, kl, loss = changes_3B[0] / 2, float(changes_3B[1].mean()), float(changes_3B[2].mean())
        if self.constant:
            return 0.0, 0.0, kl, loss
        variance = self.square_B.mean()
        effect = half_B.mean() / variance
        residual_B = half_B - effect * self.square_B
        return float(effect), float(residual_B.std(ddof=1) / variance / len(half_B) ** 0.5), kl, loss

    def _answer(self, output_BO: Tensor) -> Tensor:
        return output_BO.softmax(1) if self.classes else output_BO * self.unit

    def _loss(self, output_BO: Tensor, target: Tensor) -> Tensor:
        if self.classes:
            return -output_BO.log_softmax(1).gather(1, target.view(-1, 1)).squeeze(1)
        return (output_BO - target.view(len(output_BO), -1)).square().sum(1)


def _targets(targets: Any, output_BO: Tensor, classes: bool) -> Tensor:
    """Classes (B,) or numbers (B, O) as a tensor. Raises ValueError: other shapes, or a class that does not exist."""
    B, outputs = output_BO.shape
    if not classes:
        values = real("targets", targets)
        if values.size != B * outputs:
            raise ValueError(f"targets must be numbers ({B}, {outputs}), got shape {values.shape}")
        return torch.from_numpy(values).to(output_BO.dtype)
    labels = whole_numbers("targets", targets)
    if len(labels) != B or min(labels) < 0 or max(labels) >= outputs:
        raise ValueError(f"targets must be {B} classes from 0 to {outputs - 1}, got {targets!r}")
    return torch.tensor(labels)


Rerun = Callable[[Tensor], Tensor]  # replacement inputs (B, I) to outputs at the readout steps (B, O)


def _reruns(system: System, x_BTI: Tensor, step_B: Tensor, lags: list[int]) -> Iterator[tuple[int, Rerun]]:
    """For each lag, largest first, a function that runs the sequences with the inputs at this lag replaced."""
    resumes = not system.unresumable(x_BTI)
    row_B, state_BS, done = torch.arange(len(x_BTI)), None, 0
    for lag in reversed(lags):
        start = int(step_B.min()) - lag if resumes else 0
        if start > done:
            state_BS, done = system.carry(x_BTI[:, done:start], state_BS)[1], start

        def rerun(new_BI: Tensor, lag: int = lag, start: int = start, state_BS: Tensor | None = state_BS) -> Tensor:
            rest_BTI = x_BTI[:, start:].clone()
            rest_BTI[row_B, step_B - lag - start] = new_BI
            output_BTO = system.carry(rest_BTI, state_BS)[0] if resumes else system(rest_BTI)[0]
            return output_BTO[row_B, step_B - start]

        yield lag, rerun


def _others(x_BTI: Tensor, step_B: Tensor, lag: int, rng: np.random.Generator) -> Tensor:
    """For each sequence, the input of another sequence at this lag."""
    order_B = torch.from_numpy(rng.permutation(len(x_BTI)))
    donor_B = torch.empty_like(order_B)
    donor_B[order_B] = order_B.roll(1)
    return x_BTI[donor_B, step_B[donor_B] - lag]


def _drawn(sampler: Sampler, rng: np.random.Generator, x_BTI: Tensor, lag: int) -> Tensor:
    new_BI = torch.as_tensor(sampler(rng, len(x_BTI), lag)).to(x_BTI.dtype)
    if new_BI.shape != x_BTI[:, 0].shape:
        raise ValueError(f"the sampler must return inputs {tuple(x_BTI[:, 0].shape)}, got {tuple(new_BI.shape)}")
    return new_BI


class CausalReachMeasure(AtLags):
    """The effect of each input before the last scored step on the answer at that step, on the trial's own task.

    At the task's lag, the cue is replaced by the cue of another sequence.

    Source: Jansen 1999; Saltelli et al. 2010.
    """

    sequences: Annotated[int, Field(ge=2, le=1_000_000)] = 512

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are effect, effect_error, kl (nan unless answers are classes) by lag; horizon (lower end)."""
        classes = isinstance(task.answer, OneOf)
        rows: list[MeasureRow] = []
        for one in self.alone(task):
            longer = one.longer(task)
            if runs_in_parts(network, longer):
                lags = one.lags_below(longer.lag, longer.lag)
                inputs = parts(one, network, longer, seed, copies=1 + len(lags))
                result = _in_parts(NetworkSystem(network).double(), inputs, longer.lag, lags, classes, seed)
            else:
                batch, last_B, lags = one.readouts(task, seed)
                result = causal_reach(network, batch.input_BTI, lags, classes=classes, step=last_B, seed=seed)
            curves = {"effect": result.effect, "effect_error": result.effect_error, "kl": result.kl}
            rows += curve_rows(result.lag, curves)
        return rows + self.horizon_row(rows, "effect", THRESHOLD)
