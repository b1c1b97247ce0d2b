"""Outcomes of trials, and learning curves."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from farback import tables

COLUMNS = ["measure", "step", "lag", "statistic", "value"]


def trial(seed: int, skill: float, best: float, status: str = "finished") -> pd.DataFrame:
    """One network trained at lag 8 and tested at 4 and 8; its validation skill rises to `best` and ends at `skill`."""
    scores = [("valid", 10, -1, "skill", best), ("valid", 20, -1, "skill", skill), ("training", 20, -1, "updates", 20)]
    for lag, value in ((4, 1.0), (8, skill)):
        statistics = {
            "skill": value,
            "accuracy": value,
            "loss": 1 - value,
            "chance_accuracy": 0.0,
            "success": value >= 0.5,
        }
        scores += [("retention", 20, lag, name, float(number)) for name, number in statistics.items()]
    fixed = {"key": f"k{seed}", "seed": seed, "status": status, "trained_lag": 8, "train_lags": "fixed", "label": "GRU"}
    return pd.DataFrame(scores, columns=COLUMNS).assign(**fixed)


def test_outcomes_are_at_the_training_lag() -> None:
    found = tables.outcomes(pd.concat([trial(0, 0.9, 0.9), trial(1, 0.2, 0.8)], ignore_index=True))
    assert found["lag"].tolist() == [8, 8]
    assert found["skill"].tolist() == pytest.approx([0.9, 0.2])
    assert found["best"].tolist() == pytest.approx([0.9, 0.8])
    assert found["loss"].tolist() == pytest.approx([0.1, 0.8])
    assert found["passed"].tolist() == [True, False]
    assert found["updates"].tolist() == [20, 20]


def test_a_trial_that_diverged_learned_nothing_and_has_no_loss() -> None:
    (row,) = tables.outcomes(trial(0, 0.9, 0.9, "diverged")).to_dict("records")
    assert (row["skill"], row["passed"], row["diverged"]) == (0.0, False, True)
    assert math.isnan(row["loss"])
    assert row["best"] == 0.9


def test_learning_curves_are_medians_over_seeds_at_each_evaluation() -> None:
    scores = pd.concat([trial(seed, seed / 10, 1.0) for seed in range(3)], ignore_index=True)
    curves = tables.learning_curves(scores)
    assert curves["step"].tolist() == [10, 20]
    assert curves["median"].tolist() == pytest.approx([1.0, 0.1])
    assert curves["seeds"].tolist() == [3, 3]
    assert (curves["low"].iloc[1], curves["high"].iloc[1]) == pytest.approx((0.0, 0.2))


def test_two_trials_of_one_seed_are_refused() -> None:
    twice = pd.concat([trial(0, 0.9, 0.9), trial(0, 0.9, 0.9).assign(key="other")], ignore_index=True)
    with pytest.raises(ValueError, match="two trials share seed 0"):
        tables.outcomes(twice)
