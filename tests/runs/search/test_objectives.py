"""Objectives of scores that are written down."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from farback.experiment import Objective
from farback.runs.search.objectives import value
from farback.trials.events import scores
from farback.trials.trial import Trial

TrialOf = Callable[..., Trial]


def curve(skills: dict[int, float], step: int = 9) -> list[tuple[str, int, int, str, float]]:
    rows = [("retention", step, lag, "skill", skill) for lag, skill in skills.items()]
    return rows + [("retention", step, lag, "success", float(skill > 0.5)) for lag, skill in skills.items()]


def of(kind: str, trial: Trial, rows: list[Any], lag: int | None = None, status: str = "finished") -> float:
    return value(Objective(kind, lag), trial, status, scores(rows))


def test_the_horizon_is_the_last_lag_before_the_first_failure(trial_of: TrialOf) -> None:
    assert of("horizon", trial_of(), curve({1: 1.0, 2: 0.9, 4: 0.1, 8: 0.8})) == 2
    assert of("horizon", trial_of(), curve({1: 1.0, 2: 0.9})) == 2
    assert of("horizon", trial_of(), curve({1: 0.0, 2: 0.9})) == 0


def test_the_skill_is_taken_at_its_lag_and_never_below_chance(trial_of: TrialOf) -> None:
    rows = curve({1: 0.8, 3: -7.0})
    assert of("skill", trial_of(), rows, lag=1) == 0.8
    assert of("skill", trial_of(lag=3), rows) == 0.0


def test_only_the_end_counts(trial_of: TrialOf) -> None:
    assert of("skill", trial_of(), curve({3: 1.0}, step=5) + curve({3: 0.25}, step=10), lag=3) == 0.25


def test_the_area_is_under_skill_over_the_logarithm_of_the_lag(trial_of: TrialOf) -> None:
    assert of("area", trial_of(), curve({1: 1.0, 10: 1.0, 100: 1.0})) == pytest.approx(1.0)
    assert of("area", trial_of(), curve({1: 1.0, 100: 0.0})) == pytest.approx(0.5)
    expected = (0.75 * math.log(2) + 0.25 * math.log(5)) / math.log(10)
    assert of("area", trial_of(), curve({0: 1.0, 1: 1.0, 2: 0.5, 10: 0.0})) == pytest.approx(expected)


def test_updates_are_counted_to_the_beginning_of_sustained_success(trial_of: TrialOf) -> None:
    def valid(*skills: float) -> list[tuple[str, int, int, str, float]]:
        return [("valid", 10 * (index + 1), -1, "skill", skill) for index, skill in enumerate(skills)]

    trial = trial_of(steps=60)
    assert of("updates", trial, valid(0.0, 0.95, 0.99, 1.0)) == 20
    assert of("updates", trial, valid(0.95, 0.99, 0.2, 0.9, 0.9, 0.9)) == 40
    assert of("updates", trial, valid(0.95, 0.99, 0.2, 0.9, 0.9)) == 60  # never, which is all of them


@pytest.mark.parametrize(("kind", "worst"), [("horizon", 0), ("skill", 0), ("area", 0), ("updates", 60)])
def test_a_training_that_diverged_has_the_worst_value(kind: str, worst: float, trial_of: TrialOf) -> None:
    assert of(kind, trial_of(steps=60), curve({1: 1.0, 3: 1.0}), status="diverged") == worst
