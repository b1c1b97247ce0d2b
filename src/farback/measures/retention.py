"""Retention: whether a trained network still answers correctly at each lag, on fresh sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farback import stats
from farback.measures.base import Count, Floats, Lag, Measure, MeasureRow, curve_rows
from farback.measures.support.system import as_system
from farback.networks.network import Network
from farback.records.record import Several
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Task
from farback.tasks.support.answers import skill

CHUNK_NUMBERS = 250_000  # numbers of the input of one forward pass; the states have many times as many
UNITS = 16  # one bit of an answer takes as much memory as this many numbers of the input


@dataclass(frozen=True)
class Scores:
    """Means over the scored steps, for one network at one lag."""

    accuracy: float
    loss: float
    skill: float
    remembered: bool


@dataclass(frozen=True)
class Retention:
    """How well one network answers at each tested lag.

    Attributes:
        lag: test lags, increasing.
        skill: 0 = chance, 1 = perfect, at each lag.
        accuracy: share of correct answers.
        loss: mean loss, in nats or as squared error.
        remembered: whether accuracy (classes) or R2 (real values) is at least half-way from chance to perfect.
        horizon: from the last lag before the first failure to that failure; censored if no lag fails, or if all fail.
        monotone: whether no lag succeeds after the first failure. The horizon ends at the *first* failure in any case.
    """

    lag: NDArray[np.int64]
    skill: Floats
    accuracy: Floats
    loss: Floats
    remembered: NDArray[np.bool_]
    horizon: stats.Horizon
    monotone: bool

    def extrapolation(self, trained: float) -> float:
        """The lag before the first failure, divided by the training lag; 0 if the smallest lag fails.

        The quotient is a lower bound if no tested lag fails (`horizon.right`).
        """
        return max(0.0, self.horizon.low) / trained

    def beyond(self, trained: float) -> float:
        """Mean accuracy over the test lags above the training lag (Deletang et al. 2023); nan if there are none."""
        longer = self.accuracy[self.lag > trained]
        return float(longer.mean()) if len(longer) else float("nan")

    def within(self, trained: float) -> bool:
        """Whether the network succeeds at every tested lag up to its training lag; many fail at shorter lags."""
        return bool(self.remembered[self.lag <= trained].all())


def retention(system: Any, task: Task, lags: Sequence[int], sequences: int = 1000, seed: int = 0) -> Retention:
    """Test one network on a task at each lag, on fresh sequences.

    Args:
        system: see `farback.measures`; its outputs are the answers (logits of the classes, or one number).
        task: the task; its own lag has no effect.
        sequences: number of sequences per lag.

    Raises:
        ValueError: no lags, no sequences, or outputs that do not fit the task's answer.
    """
    if not len(lags) or sequences < 1:
        raise ValueError(f"retention needs at least one lag and one sequence, got {list(lags)} and {sequences}")
    wrapped = as_system(system)
    tested = sorted(set(lags))
    scores = [_scores(wrapped, task.at(lag).held_out("test"), sequences, seed) for lag in tested]
    names = ("skill", "accuracy", "loss", "remembered")
    curves = {name: np.array([getattr(each, name) for each in scores]) for name in names}
    first_failure = stats.first_failure(np.array(tested), curves["remembered"])
    return Retention(np.array(tested), **curves, horizon=first_failure.horizon, monotone=first_failure.monotone)


def _scores(system: Any, task: Task, sequences: int, seed: int) -> Scores:
    accuracy, loss, count = 0.0, 0.0, 0
    for batch in _chunks(task, sequences, seed):
        with torch.no_grad():
            output_BTO = system(batch.input_BTI)[0]
        if output_BTO.shape[-1] != task.answer.outputs:
            raise ValueError(f"{task.name} needs {task.answer.outputs} outputs, the system has {output_BTO.shape[-1]}")
        scored_BT = scored_steps(batch)
        output_NO, target_N = output_BTO[scored_BT], batch.target_BT[scored_BT]
        accuracy += float(task.answer.correct(output_NO, target_N).double().sum())
        loss += float(task.answer.loss(output_NO, target_N).double().sum())
        count += len(target_N)
    return scored(task, accuracy / count, loss / count)


def scored(task: Task, accuracy: float, loss: float) -> Scores:
    """Mean scores relative to the task's chance level."""
    chance = task.chance()
    return Scores(accuracy, loss, skill(loss, chance), task.answer.remembered(accuracy, loss, chance))


def scored_steps(batch: Batch) -> Tensor:
    """Which steps are scored, (B, T): steps with an answer that needs memory, or all with an answer if none does."""
    needed = batch.lag_BT > 0
    return needed if bool(needed.any()) else batch.lag_BT >= 0


def _chunks(task: Task, sequences: int, seed: int) -> Iterator[Batch]:
    """Fresh test sequences, in parts of limited size; the size depends on the task alone."""
    rng = stream(seed, "test", task.lag)
    example = task.sample(stream(0, "probe"), 1)
    numbers = example.input_BTI.numel()
    if example.target_BT.ndim > 2:  # each bit of an answer may have hidden units of its own
        numbers += UNITS * example.target_BT.numel()
    size = max(1, min(sequences, CHUNK_NUMBERS // max(1, numbers)))
    for start in range(0, sequences, size):
        yield task.sample(rng, min(size, sequences - start))


class RetentionMeasure(Measure):
    """Skill and accuracy of a trained network at every test lag, on fresh sequences, at the steps that need an answer.

    The lag that the network was trained at is always included.

    Source: the usual test of delayed recall, up to the first failure; half-way from chance to perfect is a success.
    """

    lags: Several[Lag] = ()
    sequences: Count = 1000

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are skill, accuracy, loss, success, chance_accuracy for each lag."""
        curve = retention(network, task, [*self.lags, task.lag], self.sequences, seed)
        curves = {
            "skill": curve.skill,
            "accuracy": curve.accuracy,
            "loss": curve.loss,
            "success": curve.remembered,
            "chance_accuracy": [task.at(int(lag)).chance().accuracy for lag in curve.lag],
        }
        return curve_rows(curve.lag, curves)

    def live(self, rows: Sequence[MeasureRow]) -> dict[str, float]:
        """The horizon: the last lag before the first failure, 0 if the smallest lag fails."""
        passed = {row.lag: row.value > 0 for row in rows if row.statistic == "success"}
        return {"horizon": max(0.0, stats.first_failure(list(passed), list(passed.values())).horizon.low)}

    def check(self, task: Task) -> None:
        """Every lag must be possible; if the task asks another question at each lag, only its own lag is possible."""
        others = [lag for lag in self.lags if lag != task.lag]
        if others and not task.mixes:
            raise ValueError(
                f"a network trained on {task.name} at lag {task.lag} cannot be tested at other lags: leave out {others}"
            )
        for lag in self.lags:
            task.at(lag)
