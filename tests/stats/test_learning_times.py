"""The law of learning time against least squares, drawn trainings and its own definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from farback.stats import LearningTime, learning_time

LAGS = np.array([5.0, 7, 10, 14, 20, 28, 40, 56, 80])
BUDGET, HALF = 2000.0, 40.0  # the median time to learn lag 40 is 2000 updates


def drawn_times(law: str, lag_N: np.ndarray, growth: float, spread: float, lapse: float, seed: int) -> np.ndarray:
    """Updates until fresh seeds have learned these lags; inf for those that never do."""
    rng = np.random.default_rng(seed)
    grown_N = growth * (np.log(lag_N / HALF) if law == "power" else (lag_N - HALF) / HALF)
    time_N = BUDGET * np.exp(grown_N + spread * rng.standard_normal(len(lag_N)))
    return np.where(rng.random(len(lag_N)) < lapse, np.inf, time_N)


def seen(time_N: np.ndarray, every: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Between which evaluations each training learned its lag, of those that end after the budget."""
    high_N = np.where(time_N > BUDGET, np.inf, np.ceil(time_N / every) * every)
    return np.where(np.isinf(high_N), BUDGET, high_N - every), high_N


def fitted(law: str, seeds: int, growth: float = 1.5, spread: float = 0.4, lapse: float = 0.1) -> LearningTime:
    lag_N = np.repeat(LAGS, seeds)
    return learning_time(lag_N, *seen(drawn_times(law, lag_N, growth, spread, lapse, seed=0)))


@pytest.mark.parametrize("law", ["power", "exponential"])
def test_many_trainings_give_the_law_that_they_were_drawn_from(law: str) -> None:
    found = fitted(law, seeds=25)
    assert found.law == law
    assert found.probability > 0.95
    assert found.fits
    assert found.spread == pytest.approx(0.4, rel=0.2)
    assert found.lapse == pytest.approx(0.1, abs=0.06)
    z = norm.ppf(0.5 / 0.9)  # half of all seeds are 0.5 / 0.9 of those that learn
    for budget in (BUDGET, 4 * BUDGET):
        f = (math.log(budget / BUDGET) - 0.4 * z) / 1.5
        expected = HALF * math.exp(f) if law == "power" else HALF * (1 + f)
        horizon, low, high = found.horizon(budget, level=0.99)
        assert low < expected < high
        assert horizon == pytest.approx(expected, rel=0.1)


def test_without_censoring_the_exponent_is_that_of_least_squares() -> None:
    lag_N = np.repeat(LAGS, 20)
    time_N = np.exp(2.0 * np.log(lag_N) + 0.3 * np.random.default_rng(1).standard_normal(len(lag_N)))
    found = learning_time(lag_N, time_N * (1 - 1e-6), time_N * (1 + 1e-6))
    (slope, _), covariance = np.polyfit(np.log(lag_N), np.log(time_N), 1, cov=True)
    error = math.sqrt(covariance[0, 0])
    assert found.exponent == pytest.approx(slope, abs=0.2 * error)
    assert found.exponent_high - found.exponent_low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_predicted_updates_of_a_fresh_seed_have_their_quantiles() -> None:
    found = fitted("power", seeds=25, lapse=0.0)
    middle, low, high = found.updates(28.0, level=0.8)
    time_N = drawn_times("power", np.full(20_000, 28.0), 1.5, 0.4, 0.0, seed=5)
    assert np.quantile(time_N, [0.5, 0.1]) == pytest.approx([middle, low], rel=0.1)
    assert (time_N <= high).mean() == pytest.approx(0.9, abs=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("law", ["power", "exponential"])
def test_intervals_of_few_trainings_cover(law: str) -> None:
    """Predicted updates at 2 and 4 times the longest lag, and the horizon for 4 times the updates."""
    predicted, horizons = [], []
    for seed in range(40):
        rng = np.random.default_rng(1000 + seed)
        growth, spread, lapse = rng.uniform(0.8, 2.5), rng.uniform(0.2, 0.6), rng.choice([0.0, 0.1])
        lag_N = np.repeat(LAGS[:7], 3)
        found = learning_time(lag_N, *seen(drawn_times(law, lag_N, growth, spread, lapse, seed)))
        for lag in (80.0, 160.0):
            _, low, high = found.updates(lag)
            time_N = drawn_times(law, np.full(50, lag), growth, spread, lapse, seed + 500)
            predicted.append(((low <= time_N) & (time_N <= high)).mean())
        f = (math.log(4) - spread * norm.ppf(0.5 / (1 - lapse))) / growth
        true = HALF * math.exp(f) if law == "power" else HALF * (1 + f)
        _, low, high = found.horizon(4 * BUDGET)
        horizons.append(low <= true <= high)
    assert np.mean(predicted) >= 0.85
    assert np.mean(horizons) >= 0.85


@pytest.mark.parametrize(
    ("lag", "low", "high", "message"),
    [
        ([5, 5], [10, 10], [20, 20], "two lags or more"),
        ([5, 10], [10, 10], [math.inf, math.inf], "no training learned"),
        ([5, 0], [10, 10], [20, 20], "lags must be finite and above 0"),
        ([5, 10], [30, 10], [20, 20], "0 <= low < high"),
        ([5, 10], [10], [20, 20], "two ends for each training"),
    ],
)
def test_a_mistake_is_named(lag: list[float], low: list[float], high: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learning_time(lag, low, high)


def test_a_budget_or_a_lag_that_is_not_above_zero_is_named() -> None:
    found = learning_time([5, 10, 20], [10, 20, 40], [20, 40, 80])
    with pytest.raises(ValueError, match="budget must be finite and above 0"):
        found.horizon(0)
    with pytest.raises(ValueError, match="lag must be finite and above 0"):
        found.updates(-1)
