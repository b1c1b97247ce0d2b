"""Retention: whether a trained network still answers correctly at each lag, on test sequences.

The score at lag k is the mean over answers that need a lag of exactly k (`Batch.lag_BT`), in sequences of the task at
lag k. Where a task mixes answers of many lags, sequences are drawn in which one answer needs lag k
(`Task.sample_exact`). Chance does not depend on the lag: it is the best guess from the present input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from farback import stats
from farback.measures.base import Count, Floats, Lag, Measure, MeasureRow, curve_rows, summary_rows
from farback.measures.support.numbers import whole, whole_numbers
from farback.measures.support.own_mode import own_mode
from farback.measures.support.streaming import Step, resumable
from farback.measures.support.system import System, as_system
from farback.networks.network import Network
from farback.networks.stretches import LONG
from farback.records.record import Several, Since
from farback.system.random_streams import stream
from farback.tasks.base import LONGEST_LAG, Batch, Task
from farback.tasks.support.draws import retention_batches
from farback.tasks.support.scores import Scores, scored, scored_steps

# Where lags are searched up to a `limit`:
CLOSE = 1.1  # the search ends when the first lag that fails is at most this many times the last that passes
STEPS = 1_000_000  # sequences times steps of one test; longer tests have fewer sequences,
FEWEST = 64  # but at least so many: the standard error of an accuracy is then at most 0.06
WHOLE_LIMIT = 10_000  # largest lag of systems that cannot run in parts, whose states are all in memory
PART_NUMBERS = 1_000_000  # numbers of the input of one part,
DRAWN_NUMBERS = 10_000_000  # and of whole sequences, where a task cannot be drawn in parts
WIDTH = 32  # a step counts as at least this many numbers, because its states take memory too


@dataclass(frozen=True)
class Retention:
    """How well one network answers at each tested lag.

    Attributes:
        lag: test lags, increasing.
        skill: 0 = chance, 1 = perfect, at each lag.
        accuracy: share of correct answers.
        loss: mean loss, in nats or as squared error.
        remembered: whether accuracy (classes) or R2 (real values) is at least half-way from chance to perfect.
        horizon: from the last lag before the first failure to that failure; censored if no lag fails, or if all fail;
            unknown if no lag has a score. A lag at which the task asks nothing has the score nan, and does not count.
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
        return self.horizon.remembered / trained

    def beyond(self, trained: float) -> float:
        """Mean accuracy over the test lags above the training lag (Deletang et al. 2023); nan if there are none."""
        longer = self.accuracy[self.lag > trained]
        return float(longer.mean()) if len(longer) else float("nan")

    def within(self, trained: float) -> bool:
        """Whether the network succeeds at every tested lag up to its training lag; many fail at shorter lags."""
        return bool(self.remembered[self.lag <= trained].all())


@own_mode()
def retention(
    system: Any, task: Task, lags: Sequence[int], sequences: int = 1000, seed: int = 0, *, limit: int | None = None
) -> Retention:
    """Test one network on a task at each lag, on test sequences.

    With a `limit`, more lags are tested: they double from the largest lag until the network fails or the limit is
    reached, or halve from the smallest if that fails; then bisection in the logarithm of the lag narrows the horizon to
    10 % (or one step). These tests have fewer sequences at long lags, 10 ** 6 steps in all but at least 64 sequences,
    and run in parts with carried state, in memory that does not depend on the lag for tasks that can be drawn in parts
    (recall, hold). A system that cannot carry its state (a bidirectional network, a callable without a state) runs on
    whole sequences, at lags up to 10 000.

    Args:
        system: see `farback.measures`; its outputs are the answers (logits of the classes, or one number).
        task: the task; its own lag has no effect.
        sequences: number of sequences per lag.
        limit: the largest lag to search, by default none: only `lags` are tested.

    Raises:
        ValueError: no lags, no sequences, a limit below 1 or of a task that cannot change its lag, or outputs that do
            not fit the task's answer.
    """
    tested, sequences = sorted(set(whole_numbers("lags", lags))), whole("sequences", sequences)
    if not tested or sequences < 1:
        raise ValueError(f"retention needs at least one lag and one sequence, got {tested} and {sequences}")
    wrapped = as_system(system)
    scores = {lag: _at_lag(wrapped, task, lag, sequences, seed) for lag in tested}
    if limit is not None:
        limit = whole("limit", limit)
        _check_limit(task, limit)
        _search(scores, wrapped, task, sequences, seed, limit)
    tested = sorted(scores)
    names = ("skill", "accuracy", "loss", "remembered")
    curves = {name: np.array([getattr(scores[lag], name) for lag in tested]) for name in names}
    first_failure = stats.first_failure(tested, [_known(scores).get(lag, math.nan) for lag in tested])
    return Retention(np.array(tested), **curves, horizon=first_failure.horizon, monotone=first_failure.monotone)


@own_mode()
def mean_scores(system: Any, task: Task, sequences: int = 1000, seed: int = 0) -> Scores:
    """Scores over all answers that need memory, whatever their lag, of test sequences of the task."""
    return _scores(as_system(system), task.held_out("test"), sequences, seed, every_lag=True)


class _Mean:
    """The mean accuracy and loss of a system's answers on a task, over batches."""

    def __init__(self, task: Task, every_lag: bool = False) -> None:
        self.task, self.every_lag = task, every_lag
        self.accuracy, self.loss, self.count = 0.0, 0.0, 0

    def add(self, output_BTO: Tensor, batch: Batch) -> None:
        answer = self.task.answer
        if output_BTO.shape[-1] != answer.outputs:
            raise ValueError(f"{self.task.name} needs {answer.outputs} outputs, the system has {output_BTO.shape[-1]}")
        scored_BT = scored_steps(batch) if self.every_lag else batch.lag_BT == self.task.lag
        output_NO, target_N = output_BTO[scored_BT], batch.target_BT[scored_BT]
        self.accuracy += float(answer.correct(output_NO, target_N).double().sum())
        self.loss += float(answer.loss(output_NO, target_N).double().sum())
        self.count += len(target_N)

    def scores(self) -> Scores:
        if not self.count:
            return Scores(math.nan, math.nan, math.nan, False)
        return scored(self.task, self.accuracy / self.count, self.loss / self.count)


def _scores(system: System, task: Task, sequences: int, seed: int, every_lag: bool = False) -> Scores:
    """Scores on whole sequences."""
    mean = _Mean(task, every_lag)
    for batch in retention_batches(task, sequences, seed, every_lag):
        with torch.no_grad():
            mean.add(system(batch.input_BTI)[0], batch)
    return mean.scores()


def _at_lag(system: System, task: Task, lag: int, sequences: int, seed: int) -> Scores:
    """Scores at a lag: in parts where whole sequences would be long."""
    own = task.at(lag).held_out("test")
    step = _step(system, task, lag) if lag > LONG and task.draws_in_parts else None
    return _scores_in_parts(step, own, sequences, seed) if step else _scores(system, own, sequences, seed)


def _step(system: System, task: Task, limit: int, least: int = 2) -> Step | None:
    """The system as it runs in parts; None if it needs whole sequences."""
    probe = task.at(min(limit, max(least, task.least)))
    return resumable(system, probe.sample(stream(0, "probe"), 2).input_BTI)


def _scores_in_parts(step: Step, task: Task, sequences: int, seed: int) -> Scores:
    """Scores on sequences that are run in parts, with carried state."""
    mean, rng = _Mean(task), stream(seed, "test", task.lag)
    width = max(WIDTH, task.inputs)
    size = sequences if task.draws_in_parts else max(1, min(sequences, DRAWN_NUMBERS // (task.inputs * (task.lag + 1))))
    steps = max(1, PART_NUMBERS // (width * size))
    for start in range(0, sequences, size):
        state = None
        for batch in task.sample_in_parts(rng, min(size, sequences - start), steps):
            with torch.no_grad():
                output_BTO, state = step(batch.input_BTI, state)
            mean.add(output_BTO, batch)
    return mean.scores()


def _search(scores: dict[int, Scores], system: System, task: Task, sequences: int, seed: int, limit: int) -> None:
    """Test more lags, up to the limit, until the horizon is narrow."""
    step = _step(system, task, limit, max(2, *scores))
    limit = limit if step else min(limit, WHOLE_LIMIT)
    while (lag := next_lag(_known(scores), task.least, limit)) is not None:
        own, count = task.at(lag).held_out("test"), min(sequences, max(FEWEST, STEPS // lag))
        scores[lag] = _scores_in_parts(step, own, count, seed) if step else _scores(system, own, count, seed)
        if lag not in _known(scores):
            return


def _known(scores: Mapping[int, Scores]) -> dict[int, bool]:
    """Whether each lag that has a score is remembered."""
    return {lag: one.remembered for lag, one in scores.items() if not math.isnan(one.accuracy)}


def next_lag(passed: Mapping[int, bool], least: int, limit: int) -> int | None:
    """The lag to test next, after the outcomes so far; None if the horizon is narrow or lies beyond the limit."""
    if not passed:
        return None
    horizon = stats.first_failure(list(passed), list(passed.values())).horizon
    if horizon.right and max(passed) >= limit:
        return None
    if horizon.right:
        lag = min(max(1, least, 2 * max(passed)), limit)
    elif horizon.low < 1:  # only a lag of 1 or more needs memory
        lag = max(1, least, int(horizon.high) // 2)
    elif horizon.high <= CLOSE * horizon.low:
        return None
    else:
        lag = round(math.sqrt(horizon.low * horizon.high))
    return None if lag in passed else lag


def _check_limit(task: Task, limit: int) -> None:
    """Raise ValueError unless the task can be asked at every lag up to the limit."""
    if limit < 1:
        raise ValueError(f"limit must be a lag of 1 or more, got {limit}")
    if not task.mixes:
        raise ValueError(f"{task.name} asks another question at each lag, so lags cannot be searched: leave out limit")
    task.at(limit)


class RetentionMeasure(Measure):
    """Skill and accuracy of a trained network at every test lag, on test sequences.

    The score at a lag is the mean over the answers that need exactly this lag. The lag that the network was trained at
    is always included. Data that do not say which lags their answers need have one score, over all answers, at no lag.
    With `limit` more lags are tested: from the largest of these they double until the network fails or the limit is
    reached; then bisection narrows the horizon to 10 %. Tests at long lags have fewer sequences, 64 from lag 15 625 on.
    A bidirectional network is searched up to lag 10 000 only.

    Source: the usual test of delayed recall, up to the first failure; half-way from chance to perfect is a success.
    """

    lags: Several[Lag] = ()
    sequences: Count = 1000
    limit: Annotated[Annotated[int, Field(ge=1, le=LONGEST_LAG)] | None, Since("0.2.0")] = None

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are skill, accuracy, loss, success, chance_accuracy for each lag at which the task asks."""
        if not task.has_lags:
            own = mean_scores(network, task, self.sequences, seed)
            chance_accuracy = task.held_out("test").chance().accuracy
            scores = {"skill": own.skill, "accuracy": own.accuracy, "loss": own.loss, "success": own.remembered}
            return summary_rows(**scores, chance_accuracy=chance_accuracy)
        curve = retention(network, task, [*self.lags, task.lag], self.sequences, seed, limit=self.limit)
        curves = {
            "skill": curve.skill,
            "accuracy": curve.accuracy,
            "loss": curve.loss,
            "success": curve.remembered,
            "chance_accuracy": [task.at(int(lag)).held_out("test").chance().accuracy for lag in curve.lag],
        }
        return [row for row in curve_rows(curve.lag, curves) if row.lag in curve.lag[~np.isnan(curve.accuracy)]]

    def live(self, rows: Sequence[MeasureRow]) -> dict[str, float]:
        """The horizon: the last lag before the first failure, 0 if the smallest lag fails; without lags the scores."""
        passed = {row.lag: row.value > 0 for row in rows if row.statistic == "success" and row.lag >= 0}
        if not passed:
            return super().live(rows)
        return {"horizon": stats.first_failure(list(passed), list(passed.values())).horizon.remembered}

    def check(self, task: Task) -> None:
        """Every lag must be possible; if the task asks another question at each lag, only its own lag is possible."""
        if not task.has_lags and (self.lags or self.limit is not None):
            raise ValueError(f"which lags the answers of {task.name} need is not known: leave out lags and limit")
        others = [lag for lag in self.lags if lag != task.lag]
        if others and not task.mixes:
            raise ValueError(
                f"a network trained on {task.name} at lag {task.lag} cannot be tested at other lags: leave out {others}"
            )
        for lag in self.lags:
            task.at(lag)
        if self.limit is not None:
            _check_limit(task, self.limit)
