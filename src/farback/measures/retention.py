"""Retention: what one trained network still knows, lag by lag, on fresh sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from farback import stats
from farback.measures.base import Measure, Row, Untrained
from farback.measures.support.system import as_system
from farback.networks.network import Network
from farback.records.record import Several
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Task
from farback.tasks.support.answers import skill

CHUNK_NUMBERS = 250_000  # inputs of one forward pass, whose states are many times as many
UNITS = 16  # what a bit of an answer counts, in inputs


@dataclass(frozen=True)
class Scores:
    """Means over the asked steps that need memory, of one network on one lag."""

    accuracy: float
    loss: float
    skill: float
    remembered: bool


@dataclass(frozen=True)
class Retention:
    """A retention curve.

    Attributes:
        lag: test lags, increasing.
        skill: 0 = chance, 1 = perfect, at each lag.
        accuracy: share of right answers.
        loss: nats, or squared error.
        remembered: whether accuracy (classes) or R2 (real values) is half-way from chance to perfect or better.
        horizon: from the last lag before the first failure to that failure; censored when nothing fails, or all does.
        monotone: whether every lag up to the last success succeeds. If not, the horizon is the *first* failure.
    """

    lag: NDArray[np.int64]
    skill: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    loss: NDArray[np.float64]
    remembered: NDArray[np.bool_]
    horizon: stats.Horizon
    monotone: bool

    def extrapolation(self, trained: float) -> float:
        """The largest lag up to which all are remembered, in units of the lag trained at; 0 where the smallest fails.

        At least that where `horizon.right`: nothing tested fails.
        """
        return max(0.0, self.horizon.low) / trained

    def beyond(self, trained: float) -> float:
        """Mean accuracy over the lags longer than those trained at, as Deletang et al. 2023 score; nan without any."""
        longer = self.accuracy[self.lag > trained]
        return float(longer.mean()) if len(longer) else float("nan")

    def within(self, trained: float) -> bool:
        """Whether every tested lag up to the one trained at is remembered: nets often fail at shorter ones."""
        return bool(self.remembered[self.lag <= trained].all())


def retention(system: Any, task: Task, lags: Sequence[int], sequences: int = 1000, seed: int = 0) -> Retention:
    """Ask one network for the cue at every lag, on fresh sequences.

    Args:
        system: see `farback.measures`; its outputs at a step are the answer (logits of the classes, or one number).
        task: the task; its own lag does not matter.
        lags: test lags, in steps.
        sequences: how many sequences a lag.
        seed: of the test stream.

    Raises:
        ValueError: no lags, or outputs that do not fit the task's answer.
    """
    if not len(lags) or sequences < 1:
        raise ValueError(f"needs at least one lag and one sequence, got lags {list(lags)} and {sequences} sequences")
    call = as_system(system)
    curve = []
    for lag in sorted(set(lags)):
        asked = task.at(lag).held_out("test")
        accuracy, loss, count = 0.0, 0.0, 0
        for part in _chunks(asked, sequences, seed):
            with torch.no_grad():
                output_BTO = call(part.input_BTI)[0]
            if output_BTO.shape[-1] != task.answer.outputs:
                raise ValueError(
                    f"{task.name} needs {task.answer.outputs} outputs, the system gives {output_BTO.shape[-1]}"
                )
            needed = needs_memory(part)
            output_NO, target_N = output_BTO[needed], part.target_BT[needed]
            accuracy += float(task.answer.correct(output_NO, target_N).double().sum())
            loss += float(task.answer.loss(output_NO, target_N).double().sum())
            count += len(target_N)
        curve.append((lag, scored(asked, accuracy / count, loss / count)))
    remembered = np.array([scores.remembered for _, scores in curve])
    tested = np.array([lag for lag, _ in curve])
    first_failure = stats.first_failure(tested, remembered)
    return Retention(
        tested,
        np.array([scores.skill for _, scores in curve]),
        np.array([scores.accuracy for _, scores in curve]),
        np.array([scores.loss for _, scores in curve]),
        remembered,
        first_failure.horizon,
        first_failure.monotone,
    )


def scored(task: Task, accuracy: float, loss: float) -> Scores:
    """Mean scores against the task's chance level."""
    chance = task.chance()
    return Scores(accuracy, loss, skill(loss, chance), task.answer.remembered(accuracy, loss, chance))


def needs_memory(batch: Batch) -> Tensor:
    """The asked steps that are scored, (B, T): those that need memory, or all where none does."""
    needed = batch.lag_BT > 0
    return needed if bool(needed.any()) else batch.lag_BT >= 0


def _chunks(task: Task, sequences: int, seed: int) -> list[Batch]:
    """Fresh test sequences, in parts of bounded size that depend on the task alone."""
    rng = stream(seed, "test", task.lag)
    probe = task.sample(stream(0, "probe"), 1)
    numbers = probe.input_BTI.numel()
    if probe.target_BT.ndim > 2:  # each bit of an answer may have cells of its own
        numbers += UNITS * probe.target_BT.numel()
    size = max(1, min(sequences, CHUNK_NUMBERS // max(1, numbers)))
    return [task.sample(rng, min(size, sequences - done)) for done in range(0, sequences, size)]


class RetentionMeasure(Measure):
    """Skill and accuracy of one trained network at every test lag, on fresh sequences, asked steps only.

    The lag that the network was trained at is always among them.

    Source: the first-failure protocol of delayed recall; the success criterion is half-way from chance to perfect.
    """

    lags: Several[Annotated[int, Field(ge=0, le=100_000)]] = ()
    sequences: Annotated[int, Field(ge=1, le=1_000_000)] = 1000

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows skill, accuracy, loss, success, chance_accuracy for each lag."""
        rows: list[list[Row]] = []
        for index, seed in enumerate(seeds):
            curve = retention(network.replica(index), task, [*self.lags, task.lag], self.sequences, seed)
            rows.append([])
            for at, lag in enumerate(curve.lag.tolist()):
                chance = task.at(lag).chance()
                values = {
                    "skill": curve.skill[at],
                    "accuracy": curve.accuracy[at],
                    "loss": curve.loss[at],
                    "success": curve.remembered[at],
                    "chance_accuracy": chance.accuracy,
                }
                rows[-1] += [Row(lag, statistic, float(value)) for statistic, value in values.items()]
        return rows

    def live(self, rows: Sequence[Row]) -> dict[str, float]:
        """The horizon: the last lag before the first failure, 0 where the smallest lag fails."""
        passed = {row.lag: row.value > 0 for row in rows if row.statistic == "success"}
        return {"horizon": max(0.0, stats.first_failure(list(passed), list(passed.values())).horizon.low)}

    def check(self, task: Task) -> None:
        """A task that asks another question at every lag can only be tested at its own; every lag must be possible."""
        others = [lag for lag in self.lags if lag != task.lag]
        if others and not task.mixes:
            raise ValueError(f"a net trained on {task.name} at lag {task.lag} cannot be asked at other lags ({others})")
        for lag in self.lags:
            task.at(lag)
