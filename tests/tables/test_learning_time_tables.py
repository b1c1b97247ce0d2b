"""When trainings learned their lags, and whether the law of learning time predicts longer ones."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from farback import plots, tables

EVERY, STEPS = 100, 1500
COLUMNS = ("key", "label", "seed", "trained_lag", "train_lags", "steps", "measure", "statistic", "step", "value")


def evaluations(lag: int, seed: int, skills: list[float], steps: int = STEPS) -> list[tuple[object, ...]]:
    """Rows of a frame: the validation skills of one training, evaluated every 100 updates."""
    trial = (f"{lag}-{seed}", "GRU", seed, lag, "fixed", steps)
    return [(*trial, "valid", "skill", EVERY * (n + 1), skill) for n, skill in enumerate(skills)]


def frame(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def trained(exponent: float = 2.0, lags: tuple[int, ...] = (5, 7, 10, 14, 20, 28, 40), seeds: int = 6) -> pd.DataFrame:
    """Trainings whose time to learn a lag is 800 updates at lag 20 and grows with a power of the lag."""
    rng, rows = np.random.default_rng(0), []
    for lag in lags:
        for seed in range(seeds):
            needed = 800 * (lag / 20) ** exponent * math.exp(0.3 * rng.standard_normal())
            skills = [0.95 if EVERY * (n + 1) >= needed else 0.1 for n in range(STEPS // EVERY)]
            rows += evaluations(lag, seed, skills)
    return frame(rows)


def test_a_lag_is_learned_between_the_evaluations_around_the_start_of_sustained_success() -> None:
    rows = [
        *evaluations(5, 0, [0.2, 0.95, 0.95, 0.95]),  # then the training stopped
        *evaluations(5, 1, [0.95, 0.95, 0.2, 0.95, 0.95, 0.95, 0.1]),  # two successes are not enough
        *evaluations(5, 2, [0.95, 0.95, 0.95]),
        *evaluations(10, 0, [0.2] * 15),
        *evaluations(10, 1, [math.nan]),  # diverged
    ]
    found = tables.learning_times(frame(rows))
    ends = found.set_index(["lag", "seed"])[["low", "high"]]
    assert ends.loc[(5, 0)].tolist() == [100, 200]
    assert ends.loc[(5, 1)].tolist() == [300, 400]
    assert ends.loc[(5, 2)].tolist() == [0, 100]
    assert ends.loc[(10, 0)].tolist() == [STEPS, math.inf]
    assert ends.loc[(10, 1)].tolist() == [STEPS, math.inf]


def test_the_horizon_for_four_times_the_updates_follows_from_the_exponent() -> None:
    (row,) = tables.learning_time(trained()).to_dict("records")
    assert row["exponent"] == pytest.approx(2.0, rel=0.15)
    assert row["low"] < 20 * math.sqrt(STEPS / 800) < row["high"]
    assert row["further_low"] < 20 * math.sqrt(4 * STEPS / 800) < row["further_high"]


def test_a_group_with_too_few_lags_has_no_law_and_bounds_are_said() -> None:
    assert tables.learning_time(trained(lags=(5, 10))).empty
    (row,) = tables.learning_time(trained(exponent=0.1)).to_dict("records")
    assert str(row["further"]).startswith("at least 160")
    assert math.isinf(row["further_estimate"])


def test_the_backtest_counts_the_trainings_at_longer_lags_that_were_predicted() -> None:
    found = tables.learning_time_backtest(trained())
    assert set(found["factor"]) == {2, 4}
    assert found["fitted_to"].min() == 10  # the first with three lags
    first = found[(found["fitted_to"] == 10) & (found["factor"] == 2)].iloc[0]
    assert first["trainings"] == 12  # six seeds at lags 14 and 20
    assert found["predicted"].sum() / found["trainings"].sum() > 0.85
    unlearned = found["trainings"] - found["learned"]
    assert ((found["predicted"] - found["learned_predicted"]).between(0, unlearned)).all()
    assert found["learned_predicted"].sum() / found["learned"].sum() > 0.8


def test_the_figure_shows_each_training_at_its_lag() -> None:
    scores = trained()
    figure = plots.learning_time(tables.learning_times(scores), tables.learning_time_curves(scores))
    drawn = {tuple(point) for line in figure.axes[0].lines for point in np.transpose(line.get_data())}
    found = tables.learning_times(scores)
    learned = found[np.isfinite(found["high"])]
    assert {(lag, high) for lag, high in zip(learned["lag"], learned["high"], strict=True)} <= drawn


def test_a_frame_without_evaluations_is_refused() -> None:
    with pytest.raises(ValueError, match="no column 'steps'"):
        tables.learning_time(trained().drop(columns="steps"))
