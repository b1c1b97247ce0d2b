"""No task can be answered without memory: fitted predictors without memory score no better than chance.

The predictor is an ensemble of gradient-boosted trees. For every asked step it sees the present input, the index of the
step and the lag that the answer needs (scores may be sliced by this lag), but no other step. It is fitted on one sample
and scored on another.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from farback import tasks
from farback.tasks import Batch, Bits, Chance, OneOf, Task, Within
from farback.tasks.adding import Adding
from farback.tasks.base import batch_once
from farback.tasks.kernel import KernelTask
from farback.tasks.lightning import Lightning
from farback.tasks.support.scores import scored_steps
from named_alone import named_alone
from some import one_in, some

LAGS = (1, 2, 5, 20)
QUICK, THOROUGH = 4000, 20_000  # answers to fit and to score
FEWER = {"mackey_glass": 8}  # answers are divided by this, because a sequence takes long to integrate
FITTED_BITS = 3
SLACK = 0.01  # of skill: chance levels found by simulation have standard errors up to 1 %

SETTINGS: list[dict[str, Any]] = [
    {"name": "recall", "symbols": 6, "filler": "same", "length": 30},
    {"name": "recall", "filler": "counted", "distractors": 3, "length": 25},
    {"name": "adding", "numbers": "symmetric", "tolerance": 0.3},
    {"name": "parity", "form": "window", "asked": 3},
    {"name": "match", "symbols": 2},
    {"name": "flipflop", "symbols": 3, "write": 0.4},
    {"name": "assoc", "pairs": 2, "vocabulary": 8, "power": 0.9},
    {"name": "selective_copy", "alphabet": 5, "tokens": 2},
    {"name": "copy", "length": 2, "symbols": 3},
    {"name": "temporal_order", "relevant": 3},
    {"name": "nback", "symbols": 2, "asked": 4},
    {"name": "kernel", "tau": 0.7},
    {"name": "kernel", "shape": "power_law", "exponent": 2.0},
    {"name": "mackey_glass", "history": 5},
    {"name": "lightning", "days": 25, "grid": 3},
    {"name": "lightning", "mode": "stream", "correlation": 1.5, "grid": 4, "asked": 3},
    {"name": "lightning", "mode": "noisy_or", "grid": 3, "asked": 3},
    {"name": "lightning", "mode": "persistent", "persistence": 0.9, "grid": 4, "drift": [1, 0]},
    {"name": "lightning", "mode": "persistent", "persistence": 0.95, "correlation": 2.0, "strike_rate": 0.3},
    {"name": "lightning", "mode": "persistent", "persistence": 0.8, "correlation": 1.0, "days": 25, "grid": 5},
]


def at_lags(task: Task) -> list[Task]:
    """The task at each of `LAGS` that it can have, and at its smallest lag."""
    return [task.at(lag) for lag in sorted({max(lag, task.least) for lag in LAGS})]


def drawn(task: Task, answers: int, seed: int, mixed: bool = False) -> Batch:
    """Sequences with about this many scored answers, of the task's lag or of several lags."""
    asked = int(scored_steps(task.sample(np.random.default_rng(seed), 1)).sum())
    size = max(1, answers // asked // FEWER.get(task.name, 1))
    return task.sample(np.random.default_rng(seed), size, lags_of(task, size) if mixed else None)


def lags_of(task: Task, size: int) -> np.ndarray:
    """The smallest lag that needs memory, the task's own and one between, each equally often."""
    low = max(1, task.least)
    return np.resize(np.unique([low, (low + task.lag) // 2, task.lag]), size)


def seen(batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every scored answer: what a predictor without memory may see (N, I + 2), the answer, and its sequence (N)."""
    scored = scored_steps(batch)
    sequence_N, step_N = scored.nonzero().numpy().T
    features = np.column_stack([batch.input_BTI[scored].numpy(), step_N, batch.lag_BT[scored].numpy()])
    return features, batch.target_BT[scored].numpy(), sequence_N


def forecasts(kind: type[Any], x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> Any:
    """The values, or the probabilities of the classes, of trees that stop when they fit noise."""
    depth: dict[str, Any] = {"max_leaf_nodes": 8, "min_samples_leaf": 40, "learning_rate": 0.2, "max_iter": 60}
    trees = kind(**depth, early_stopping=True, n_iter_no_change=3, random_state=0).fit(x, y)
    return trees.predict(x_test) if kind is HistGradientBoostingRegressor else trees.predict_proba(x_test)


def losses(task: Task, train: Batch, test: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every scored answer of `test`: the loss, whether it is right, and its sequence."""
    (x, y, _), (x_test, y_test, sequence_N) = seen(train), seen(test)
    varies = (x != x[0]).any(0)  # an input that never varies says nothing
    x, x_test = (x[:, varies], x_test[:, varies]) if varies.any() else (x[:, :1], x_test[:, :1])
    if isinstance(task.answer, Within):
        value_N = forecasts(HistGradientBoostingRegressor, x, y, x_test)
        return (value_N - y_test) ** 2, np.abs(value_N - y_test) < task.answer.tolerance, sequence_N
    if isinstance(task.answer, OneOf):
        known = np.unique(y)
        p_NK = np.full((len(y_test), task.answer.classes), 1e-12)
        p_NK[:, known] = forecasts(HistGradientBoostingClassifier, x, y, x_test)
        return -np.log(p_NK[np.arange(len(y_test)), y_test]), p_NK.argmax(1) == y_test, sequence_N
    assert isinstance(task.answer, Bits), f"no predictor is written for answers of type {type(task.answer).__name__}"
    chosen = np.linspace(0, task.answer.count - 1, min(FITTED_BITS, task.answer.count)).astype(int)
    p_NC = np.stack([forecasts(HistGradientBoostingClassifier, x, y[:, c], x_test)[:, 1] for c in chosen], 1)
    right_NC = np.where(y_test[:, chosen] > 0, p_NC, 1 - p_NC)
    return -np.log(right_NC).mean(1), (right_NC > 0.5).mean(1), sequence_N


def advantage(task: Task, answers: int, mixed: bool = False) -> tuple[float, float, float, float]:
    """The predictor's skill and its standard error, its accuracy above chance and its standard error."""
    with threadpool_limits(1, user_api="openmp"):
        test = drawn(task.held_out("test"), answers, 2, mixed)
        loss_N, right_N, sequence_N = losses(task, drawn(task, answers, 1, mixed), test)
    size = len(test.lag_BT)
    lag_B = lags_of(task, size) if mixed else np.full(size, task.lag)
    chances = {lag: task.at(int(lag)).chance() for lag in np.unique(lag_B)}
    per_sequence_B = np.bincount(sequence_N, minlength=size)
    above_B, right_B, scale_B = np.zeros(size), np.zeros(size), np.zeros(size)
    for lag, chance in chances.items():
        own = lag_B == lag
        above_B[own] = chance.loss - (np.bincount(sequence_N, loss_N, size) / per_sequence_B)[own]
        right_B[own] = (np.bincount(sequence_N, right_N, size) / per_sequence_B)[own] - chance.accuracy
        scale_B[own] = chance.loss - chance.best
    root, scale = math.sqrt(size), scale_B.mean()
    return above_B.mean() / scale, above_B.std() / root / scale, right_B.mean(), right_B.std() / root


def assert_no_better_than_chance(task: Task, answers: int, mixed: bool = False) -> None:
    skill, skill_error, more, more_error = advantage(task, answers, mixed)
    assert skill < 4 * skill_error + SLACK
    if not isinstance(task.answer, Within):  # the trees are fitted to the squared error, not to the tolerance
        assert more < 4 * more_error + SLACK


# The law ---------------------------------------------------------------------------------------------------------


def test_trees_without_memory_score_no_better_than_chance(every_task: Task) -> None:
    """At the smallest lag, where a leak is largest."""
    assert_no_better_than_chance(at_lags(every_task)[0], QUICK)


@pytest.mark.parametrize("fields", some(SETTINGS, one_in(4)), ids=str)
def test_nor_with_other_settings(fields: dict[str, Any]) -> None:
    task = tasks.build(fields)
    assert_no_better_than_chance(task.at(max(2, task.least)), QUICK)


@pytest.mark.parametrize("name", named_alone(tasks))
def test_nor_with_sequences_of_several_lags(name: str) -> None:
    """With the default settings; a slow test below has all of them."""
    task = tasks.build(name)
    task = task.at(max(5, task.least + 4))
    if task.mixes:
        assert_no_better_than_chance(task, QUICK, mixed=True)


@pytest.mark.slow
def test_nor_at_any_lag_with_many_answers(every_task: Task) -> None:
    for task in at_lags(every_task):
        assert_no_better_than_chance(task, THOROUGH)
    if every_task.mixes:
        assert_no_better_than_chance(every_task, THOROUGH, mixed=True)


@pytest.mark.slow
@pytest.mark.parametrize("fields", SETTINGS, ids=str)
def test_nor_with_other_settings_at_any_lag_with_many_answers(fields: dict[str, Any]) -> None:
    for task in at_lags(tasks.build(fields)):
        assert_no_better_than_chance(task, THOROUGH)
    if tasks.build(fields).mixes:
        assert_no_better_than_chance(tasks.build(fields).at(20), THOROUGH, mixed=True)


# The predictor finds leaks ---------------------------------------------------------------------------------------


class AddingOfRelease01(Adding):
    """The second mark may stand on the last step, as in release 0.1."""

    name: str = "adding"
    least_lag: ClassVar[int] = 1

    def sample(self, rng: np.random.Generator, size: int, lag_B: np.ndarray | None = None) -> Batch:
        x_BTI = np.zeros((size, 2 * self.lag, 2), dtype=np.float32)
        x_BTI[..., 0] = rng.random((size, 2 * self.lag))
        row_B, first_B = np.arange(size), rng.integers(0, self.lag, size)
        second_B = rng.integers(self.lag, 2 * self.lag, size)
        x_BTI[row_B, first_B, 1] = x_BTI[row_B, second_B, 1] = 1.0
        sum_B = x_BTI[row_B, first_B, 0] + x_BTI[row_B, second_B, 0]
        end_B = np.full(size, 2 * self.lag - 1)
        return batch_once(x_BTI, end_B, sum_B, end_B - first_B)


@pytest.mark.parametrize(("lag", "skill"), [(1, 1 / 2), (2, 1 / 4), (5, 1 / 10)])
def test_the_trees_find_a_mark_on_the_asked_step(lag: int, skill: float) -> None:
    """The mark is there in 1 of `lag` sequences, and the number under it halves the error of 1/6."""
    found, error, _, _ = advantage(AddingOfRelease01(lag=lag), 8000)
    assert found == pytest.approx(skill, abs=4 * error + 0.02)
    with pytest.raises(AssertionError):
        assert_no_better_than_chance(AddingOfRelease01(lag=lag), 8000)


class LightningOfRelease01(Lightning):
    """Each pixel persists alone, as in release 0.1, so that the neighbours in a patch tell of a redrawn pixel."""

    name: str = "lightning"

    def sample(self, rng: np.random.Generator, size: int, lag_B: np.ndarray | None = None) -> Batch:
        strike_BTGG = self._maps(rng, size, self.lag + 1)
        for t in range(1, self.lag + 1):
            kept_BGG = rng.random(strike_BTGG[:, 0].shape) < self.persistence
            strike_BTGG[:, t] = np.where(kept_BGG, strike_BTGG[:, t - 1], strike_BTGG[:, t])
        struck_BGG = rng.random(strike_BTGG[:, 0].shape) < np.where(strike_BTGG[:, 0], self.hit, self.miss)
        x_BTI = np.zeros((size, self.lag + 1, self.inputs), dtype=np.float32)
        x_BTI[..., :-1] = strike_BTGG.reshape(size, self.lag + 1, -1)
        end_B = np.full(size, self.lag)
        return batch_once(x_BTI, end_B, struck_BGG.reshape(size, -1), end_B)


def test_the_trees_find_a_patch_that_persists_in_part() -> None:
    fields = {"mode": "persistent", "correlation": 2.0, "persistence": 0.7, "strike_rate": 0.3, "lag": 2}
    with pytest.raises(AssertionError):
        assert_no_better_than_chance(LightningOfRelease01(**fields), QUICK)


class KernelWithAWrongChance(KernelTask):
    """Its chance ignores that the present input is a part of the answer."""

    name: str = "kernel"

    def chance(self) -> Chance:
        return Chance(0.1, 1.0)


def test_the_trees_find_a_chance_that_ignores_the_present_input() -> None:
    """A skill of w_0 ** 2."""
    task = KernelWithAWrongChance(lag=5)
    found, error, _, _ = advantage(task, 8000)
    assert found == pytest.approx(task.weights()[0] ** 2, abs=4 * error + 0.05)


@pytest.mark.parametrize("name", ["recall", "nback", "parity", "delay"])
def test_the_trees_know_the_answer_at_lag_0(name: str) -> None:
    task = tasks.build({"name": name, "lag": 0})
    assert advantage(task, QUICK)[0] > 0.95
