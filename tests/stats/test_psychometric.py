"""The half-way lag from successes: closed forms, an independent integration, and coverage in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from farback.stats import isotonic_threshold, psychometric

LAGS = [5, 10, 20, 40, 80, 160, 320]


def rates(lags: np.ndarray, half: float, slope: float, lapse: float) -> np.ndarray:
    """(1 - lapse) / (1 + (x / m)^slope) with one half at `half`."""
    m = half * (1 - 2 * lapse) ** (-1 / slope)
    with np.errstate(over="ignore"):  # a slope of 1000: the rate is 0
        return (1 - lapse) / (1 + (np.asarray(lags, float) / m) ** slope)


@pytest.mark.parametrize(("half", "slope", "lapse"), [(30.0, 2.0, 0.0), (70.0, 8.0, 0.1), (12.0, 4.0, 0.3)])
def test_many_trials_give_the_curve_that_they_were_drawn_from(half: float, slope: float, lapse: float) -> None:
    trials = np.full(len(LAGS), 20_000)
    found = psychometric(LAGS, np.round(trials * rates(LAGS, half, slope, lapse)), trials)
    assert math.log2(found.estimate / half) == pytest.approx(0, abs=0.02)
    assert found.slope == pytest.approx(slope, rel=0.05)
    assert found.lapse == pytest.approx(lapse, abs=0.01)
    mean, low, high = found.curve(LAGS)
    assert mean == pytest.approx(rates(LAGS, half, slope, lapse), abs=0.01)
    assert (low <= mean).all()
    assert (mean <= high).all()


def density(octave: float, lags: np.ndarray, successes: np.ndarray, trials: np.ndarray) -> float:
    """Prior times likelihood of a half-way lag, integrated over slope and lapse by Gauss-Legendre quadrature."""
    node, weight = np.polynomial.legendre.leggauss(24)
    slope = 1.3 * (64 / 1.3) ** ((node[:, None, None] + 1) / 2)
    lapse = 0.45 * (node[:, None] + 1) / 2
    slope_weight, lapse_weight = weight * slope.ravel() ** -1.0, weight * stats.beta.pdf(lapse.ravel(), 1, 5)
    m = 2**octave * (1 - 2 * lapse) ** (-1 / slope)
    step = (1 - lapse) * (lags < 2**octave)
    smooth = (1 - lapse) / (1 + (lags / m) ** slope)
    of_step, of_smooth = (stats.binom.pmf(successes, trials, rate).prod(-1) @ lapse_weight for rate in (step, smooth))
    return float((0.3 * of_step + 0.7 * (of_smooth @ slope_weight) / slope_weight.sum()) / lapse_weight.sum())


@pytest.mark.parametrize("successes", [[5, 4, 2, 0], [5, 5, 0, 0]])
def test_the_posterior_is_that_of_numerical_integration(successes: list[int]) -> None:
    lags, trials = np.array([10.0, 20, 40, 80]), np.array([5, 5, 5, 5])
    octaves = np.linspace(math.log2(10) - 1, math.log2(80) + 1, 161)
    middles = (octaves[1:] + octaves[:-1]) / 2
    whole = np.cumsum([0.0, *(density(octave, lags, np.array(successes), trials) for octave in middles)])
    found = psychometric(lags, successes, trials)
    expected = 2 ** np.interp([0.025, 0.5, 0.975], whole / whole[-1], octaves)
    assert np.log2([found.low, found.estimate, found.high]) == pytest.approx(np.log2(expected), abs=0.03)


def test_complete_separation_gives_an_interval_between_the_lags() -> None:
    found = psychometric([20, 40], [8, 0], [8, 8])
    assert 20 < found.estimate < 40
    assert found.low >= 20
    assert found.high <= 40
    assert found.fits


def test_beyond_the_lags_that_were_tried_nothing_is_said() -> None:
    above, below = psychometric(LAGS, [5] * 7, [5] * 7), psychometric(LAGS, [0] * 7, [5] * 7)
    assert (above.estimate, above.high) == (math.inf, math.inf)
    assert 160 < above.low <= 320
    assert (below.estimate, below.low) == (0, 0)
    assert 5 <= below.high < 10


def test_rates_that_rise_with_the_lag_do_not_fit() -> None:
    assert not psychometric(LAGS, [10, 0, 10, 0, 10, 0, 10], [10] * 7).fits
    assert psychometric(LAGS, [10, 10, 9, 5, 1, 0, 0], [10] * 7).fits


def test_lags_may_come_in_any_order() -> None:
    assert psychometric([40, 10, 20], [1, 5, 3], [5, 5, 6]) == psychometric([10, 20, 40], [5, 3, 1], [5, 6, 5])


@pytest.mark.parametrize(
    ("lag", "successes", "trials", "message"),
    [
        ([10, 20], [1], [2, 2], "successes and trials"),
        ([0, 20], [1, 1], [2, 2], "above 0"),
        ([20, 20], [1, 1], [2, 2], "once"),
        ([10, 20], [3, 1], [2, 2], "from 0 to trials"),
        ([10, 20], [0.5, 1], [2, 2], "whole numbers"),
    ],
)
def test_impossible_counts_are_refused(lag: list[int], successes: list[float], trials: list[int], message: str) -> None:
    for function in (psychometric, isotonic_threshold):
        with pytest.raises(ValueError, match=message):
            function(lag, successes, trials)
        with pytest.raises(ValueError, match="level"):
            function([10, 20], [1, 1], [2, 2], level=1.5)


@pytest.mark.slow
@pytest.mark.parametrize(("slope", "lapse"), [(2.0, 0.03), (8.0, 0.0), (1000.0, 0.1)])
def test_its_interval_covers_the_true_half_way_lag(slope: float, lapse: float) -> None:
    """Simulated sweeps of 17 seeds at each lag (119 trainings), half-way lags log-uniform within the lags."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        half = 2 ** rng.uniform(math.log2(8), math.log2(200))
        found = psychometric(LAGS, rng.binomial(17, rates(LAGS, half, slope, lapse)), [17] * 7)
        hits += found.low <= half <= found.high
    assert hits / 200 >= 0.90  # three standard errors below 0.95


def test_the_isotonic_threshold_is_linear_in_log_lag_between_pooled_rates() -> None:
    assert isotonic_threshold([10, 20, 40], [9, 5, 1], [10, 10, 10])[0] == pytest.approx(20)
    assert isotonic_threshold([10, 40], [10, 0], [10, 10])[0] == pytest.approx(20)
    # the rates .4 and .6 violate the order: pooled, they are .5 at the middle of 20 and 40
    assert isotonic_threshold([10, 20, 40, 80], [10, 4, 6, 0], [10] * 4)[0] == pytest.approx(math.sqrt(20 * 40))
    assert isotonic_threshold([10, 20], [10, 10], [10, 10]) == (math.inf, 20, math.inf)
    assert isotonic_threshold([10, 20], [0, 0], [10, 10]) == (0, 0, 10)


@pytest.mark.parametrize("successes", [13, 15, 17])
def test_at_one_lag_the_exact_test_is_that_of_a_binomial(successes: int) -> None:
    p = stats.binomtest(successes, 20, 0.5, alternative="greater").pvalue  # 0.13, 0.02 and 0.001
    spread = 4 * math.sqrt(p / 2000) + 0.0005  # of a p from 2000 draws
    assert isotonic_threshold([30], [successes], [20], level=1 - 2 * (p + spread))[1] == 30
    assert isotonic_threshold([30], [successes], [20], level=1 - 2 * max(p - spread, 1e-9))[1] == 0


@pytest.mark.slow
def test_the_isotonic_interval_covers_without_a_model() -> None:
    """Rates that are no logistic curve: a staircase that crosses one half between 40 and 80."""
    rng = np.random.default_rng(5)
    rate = np.array([1, 0.95, 0.9, 0.7, 0.3, 0.25, 0.2])
    hits = 0
    for _ in range(150):
        _, low, high = isotonic_threshold(LAGS, rng.binomial(12, rate), [12] * 7)
        hits += low <= 40 and high >= 80
    assert hits / 150 >= 0.92
