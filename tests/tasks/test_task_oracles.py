"""Targets, lags and ladders against the plain loops of `oracles`, which compute them from the inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from oracles import ORACLES, PARTIAL

from farback import tasks
from farback.tasks import Batch, OneOf, Task
from farback.tasks.support.scores import scored_steps
from some import one_in, some

VARIANTS: list[dict[str, Any]] = [
    {"name": "recall"},
    {"name": "recall", "symbols": 6, "filler": "noise", "distractors": 3, "length": 25},
    {"name": "recall", "symbols": 2, "filler": "blank"},
    {"name": "recall", "filler": "blank", "length": 30},
    {"name": "recall", "filler": "counted", "distractors": 10},
    {"name": "recall", "filler": "counted", "distractors": 3, "length": 15},
    {"name": "recall", "symbols": 5, "filler": "same"},
    {"name": "recall", "filler": "same", "length": 40, "lag": 12},
    {"name": "recall", "lag": 0},
    {"name": "nback"},
    {"name": "nback", "symbols": 2, "asked": 3, "lag": 1},
    {"name": "nback", "lag": 0},
    {"name": "copy"},
    {"name": "copy", "symbols": 3, "length": 2, "lag": 3, "blanks": "ignored"},
    {"name": "copy", "length": 1, "lag": 2},
    {"name": "adding"},
    {"name": "adding", "lag": 2},
    {"name": "adding", "numbers": "symmetric"},
    {"name": "temporal_order"},
    {"name": "temporal_order", "relevant": 3, "lag": 7},
    {"name": "temporal_order", "lag": 79},
    {"name": "temporal_order", "relevant": 3, "lag": 200},
    {"name": "parity"},
    {"name": "parity", "lag": 0},
    {"name": "parity", "form": "window", "lag": 4},
    {"name": "parity", "form": "window", "lag": 0, "asked": 2},
    {"name": "selective_copy"},
    {"name": "selective_copy", "alphabet": 4, "tokens": 3, "lag": 3},
    {"name": "copy", "layout": "tcn"},
    {"name": "copy", "layout": "tcn", "symbols": 3, "length": 2, "lag": 5, "blanks": "ignored"},
    {"name": "multiplication"},
    {"name": "multiplication", "lag": 2},
    {"name": "match"},
    {"name": "match", "symbols": 2, "distractors": 1, "lag": 1},
    {"name": "match", "symbols": 7},
    {"name": "flipflop"},
    {"name": "flipflop", "symbols": 5, "write": 0.4, "lag": 1},
    {"name": "assoc"},
    {"name": "assoc", "lag": 33},
    {"name": "assoc", "vocabulary": 64, "pairs": 1, "lag": 1},
    {"name": "assoc", "vocabulary": 40, "pairs": 12, "lag": 45},
    {"name": "group"},
    {"name": "group", "group": "a4", "asked": "every", "lag": 4},
    {"name": "group", "group": "z7", "lag": 0},
    {"name": "induction"},
    {"name": "induction", "symbols": 2, "before": 0, "lag": 1},
    {"name": "delay"},
    {"name": "delay", "signal": "normal", "asked": 3, "lag": 0},
    {"name": "hold"},
    {"name": "hold", "noise": 0.0, "lag": 1},
    {"name": "hold", "noise": 2.0, "lag": 0},
    {"name": "kernel"},
    {"name": "kernel", "shape": "power_law", "exponent": 0.5, "lag": 1},
    {"name": "kernel", "shape": "shift", "asked": 2},
    {"name": "kernel", "shape": "two_bumps", "lag": 40},
    {"name": "digits"},
    {"name": "digits", "order": "permuted", "permutation": 7, "part": "test", "lag": 70},
]


def agree(task: Task, batch: Batch, lag_B: np.ndarray) -> None:
    for x, target, lag, own in zip(*(part.numpy() for part in batch), lag_B, strict=True):
        asked = ORACLES[task.name](task, x, int(own))
        steps = {t for t in range(len(x)) if lag[t] >= 0}
        assert steps <= set(asked)
        if task.name == "assoc":  # a filler can look like a query, but each key is asked once
            assert sorted(target[t] for t in steps) == sorted({answer for answer, _ in asked.values()})
        else:
            assert steps == set(asked)
        for t in steps:
            answer, needed = asked[t]
            assert lag[t] == needed
            assert target[t] == pytest.approx(answer, abs=2e-6)


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_targets_and_lags_equal_those_of_a_plain_loop(spec: dict[str, Any], rng: np.random.Generator) -> None:
    task = tasks.build(spec)
    agree(task, task.sample(rng, 60), np.full(60, task.lag))


@pytest.mark.parametrize("spec", [v for v in VARIANTS if tasks.build(v).mixes], ids=str)
def test_targets_and_lags_of_a_mixed_batch_equal_those_of_a_plain_loop(
    spec: dict[str, Any], rng: np.random.Generator
) -> None:
    task = tasks.build(spec)
    lag_B = rng.integers(task.least, task.lag + 1, 120)
    agree(task, task.sample(rng, 120, lag_B), lag_B)


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_sequences_drawn_in_parts_have_the_targets_and_lags_of_a_plain_loop(
    spec: dict[str, Any], steps: int, rng: np.random.Generator
) -> None:
    task = tasks.build(spec)
    parts = list(task.sample_in_parts(rng, 30, steps))
    assert max(part.input_BTI.shape[1] for part in parts) <= steps
    agree(task, Batch(*(torch.cat(each, 1) for each in zip(*parts, strict=True))), np.full(30, task.lag))


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_exact_sequences_have_an_answer_that_needs_the_lag(spec: dict[str, Any], rng: np.random.Generator) -> None:
    task = tasks.build(spec)
    batch = task.sample_exact(rng, 60)
    assert (batch.lag_BT == task.lag).any(1).all()
    agree(task, batch, np.full(60, task.lag))


def test_every_oracle_belongs_to_a_task() -> None:
    assert set(ORACLES) <= set(tasks.names())


@pytest.mark.parametrize(
    "name",
    [
        "recall",
        "nback",
        "parity",
        "group",
        "induction",
        "match",
        "delay",
        "hold",
        "kernel",
        "narma",
        "mackey_glass",
        "lightning",
    ],
)
def test_answers_of_these_tasks_need_exactly_the_lag_of_the_task(name: str, rng: np.random.Generator) -> None:
    lag_BT = tasks.build({"name": name, "lag": 9}).sample(rng, 50).lag_BT
    assert lag_BT[lag_BT >= 0].unique().tolist() == [9]


@pytest.mark.parametrize(
    ("spec", "low", "high"),
    [
        ({"name": "adding", "lag": 9}, 9, 17),
        ({"name": "selective_copy", "lag": 9}, 4, 9),
        ({"name": "copy", "lag": 12, "blanks": "ignored"}, 12, 12),
        ({"name": "temporal_order", "lag": 79}, 79, 99),  # end 99 to 109, first symbol 10 to 20
        ({"name": "multiplication", "lag": 9}, 9, 17),
        ({"name": "flipflop", "lag": 9, "write": 0.2}, 1, 9),
    ],
    ids=str,
)
def test_a_random_lag_takes_every_value_of_its_range(
    spec: dict[str, Any], low: int, high: int, rng: np.random.Generator
) -> None:
    lag_BT = tasks.build(spec).sample(rng, 4000).lag_BT
    assert lag_BT[lag_BT >= 0].unique().tolist() == list(range(low, high + 1))


@pytest.mark.parametrize("relevant", [2, 3])
def test_temporal_order_at_lag_79_equals_the_task_of_hochreiter_and_schmidhuber(
    relevant: int, rng: np.random.Generator
) -> None:
    """Length 100 to 110, symbols at steps 10-20 and 50-60, or 10-20, 33-43 and 66-76 (1997, experiment 6)."""
    windows = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}[relevant]
    x_BTI = tasks.build({"name": "temporal_order", "relevant": relevant, "lag": 79}).sample(rng, 6000).input_BTI
    assert sorted(set(x_BTI.any(2).sum(1).tolist())) == list(range(100, 111))
    step_BC = x_BTI[:, :, 4:6].any(2).nonzero()[:, 1].view(6000, relevant)
    for index, (low, high) in enumerate(windows):
        assert step_BC[:, index].unique().tolist() == list(range(low, high + 1))


@pytest.mark.parametrize("relevant", [2, 3])
def test_temporal_order_keeps_its_windows_apart_at_every_lag(relevant: int, rng: np.random.Generator) -> None:
    for lag in [*range(7, 40), *range(40, 120, 7)]:
        task = tasks.build({"name": "temporal_order", "relevant": relevant, "lag": lag})
        agree(task, task.sample(rng, 12), np.full(12, lag))


# Partial memory --------------------------------------------------------------------------------------------------

RUNGS = [
    (spec, rung)
    for spec in (
        [{"name": name} for name in PARTIAL]
        + [
            {"name": "recall", "symbols": 6},
            {"name": "recall", "symbols": 16},
            {"name": "temporal_order", "relevant": 3},
        ]
        + [{"name": "parity", "form": "window"}, {"name": "adding", "tolerance": 0.2}]
        + [{"name": "adding", "numbers": "symmetric", "tolerance": tolerance} for tolerance in (0.04, 0.3, 0.7)]
        + [{"name": "multiplication", "tolerance": tolerance} for tolerance in (0.2, 0.6)]
        + [{"name": "match", "symbols": symbols} for symbols in (2, 6, 8)]
        + [{"name": "flipflop", "symbols": 3, "write": 0.3, "lag": 9}]
        + [{"name": "assoc", "vocabulary": 10, "lag": 20}]
        + [{"name": "delay", "signal": "normal", "tolerance": 0.5}]
        + [{"name": "kernel", "shape": shape, "lag": 12} for shape in ("power_law", "shift", "two_bumps")]
    )
    for rung in range(len(tasks.build(spec).ladder()))
]


@pytest.mark.parametrize(("spec", "rung"), some(RUNGS, one_in(2)), ids=str)
def test_partial_memory_scores_its_rung(spec: dict[str, Any], rung: int, rng: np.random.Generator) -> None:
    task = tasks.build(spec)
    batch = task.sample(rng, 20_000)
    needed = scored_steps(batch)
    answer_BN = batch.target_BT[needed].numpy().reshape(20_000, -1)
    output = PARTIAL[task.name](task, answer_BN, batch.input_BTI.numpy(), rung, rng)
    if isinstance(task.answer, OneOf):
        p_BN = np.take_along_axis(output, answer_BN[..., None], -1)[..., 0]
        loss_BN = -np.log(p_BN)
        right_BN = (output + 1e-9 * rng.random(output.shape)).argmax(-1) == answer_BN  # ties at random
    else:
        loss_BN = (output - answer_BN) ** 2
        right_BN = np.abs(output - answer_BN) < task.answer.tolerance
    expected = task.ladder()[rung]
    for value_BN, mean in ((loss_BN, expected.loss), (right_BN, expected.accuracy)):
        value_B = value_BN.astype(np.float64).mean(1)
        assert value_B.mean() == pytest.approx(mean, abs=4 * value_B.std() / math.sqrt(len(value_B)) + 1e-6)
