import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from farback.stats import isotonic, mean_horizon, spearman_karber

few = settings(max_examples=25, deadline=None)

LAGS = [5, 10, 20, 40]
rates = st.lists(st.integers(0, 6), min_size=1, max_size=7)


def grid(count, first=5.0):
    return [first * 2.0**k for k in range(count)]


def test_spearman_karber_of_known_rates():
    assert spearman_karber(LAGS, [10, 10, 5, 0], [10, 10, 10, 10]) == 20.0
    assert spearman_karber(LAGS, [1, 1, 0.5, 0], [1, 1, 1, 1]) == 20.0


def test_a_sharp_edge_gives_the_geometric_mean_of_its_lags():
    assert spearman_karber(LAGS, [5, 5, 0, 0], [5] * 4) == pytest.approx(math.sqrt(200))
    assert spearman_karber([3, 7, 50], [4, 4, 0], [4] * 3) == pytest.approx(math.sqrt(350))


def test_nothing_is_extrapolated_beyond_the_tested_lags():
    assert spearman_karber(LAGS, [5] * 4, [5] * 4) == 40
    assert spearman_karber(LAGS, [0] * 4, [5] * 4) == 5
    assert spearman_karber([8], [3], [5]) == 8


def test_increasing_rates_are_pooled_by_their_trials():
    assert isotonic([2, 0, 4], [4, 4, 8]).tolist() == pytest.approx([0.5, 1 / 3, 1 / 3])
    assert spearman_karber(LAGS, [5, 1, 3, 0], [5] * 4) == spearman_karber(LAGS, [5, 2, 2, 0], [5] * 4)


@few
@given(rates)
def test_isotonic_is_scipys_and_never_increases(successes):
    fitted = isotonic(successes, [6] * len(successes))
    assert (np.diff(fitted) <= 1e-12).all()
    assert fitted == pytest.approx(isotonic_regression(np.array(successes) / 6, increasing=False).x)


@few
@given(rates, st.floats(0.1, 100))
def test_spearman_karber_scales_with_lag(successes, scale):
    trials = [6] * len(successes)
    plain = spearman_karber(grid(len(successes)), successes, trials)
    scaled = spearman_karber(grid(len(successes), 5.0 * scale), successes, trials)
    assert scaled == pytest.approx(scale * plain, rel=1e-9)


@few
@given(rates, st.integers(0, 6))
def test_more_successes_never_decrease_spearman_karber(successes, at):
    better = [min(6, value + (k == at)) for k, value in enumerate(successes)]
    lags, trials = grid(len(successes)), [6] * len(successes)
    assert spearman_karber(lags, better, trials) >= spearman_karber(lags, successes, trials) - 1e-9
    assert lags[0] <= spearman_karber(lags, successes, trials) <= lags[-1] * (1 + 1e-9)


@few
@given(rates, st.randoms())
def test_spearman_karber_does_not_depend_on_the_order(successes, random):
    rows = list(zip(grid(len(successes)), successes, [6] * len(successes), strict=True))
    sorted_value = spearman_karber(*zip(*rows, strict=True))
    random.shuffle(rows)
    assert spearman_karber(*zip(*rows, strict=True)) == sorted_value


@pytest.mark.parametrize(
    ("lags", "successes", "trials", "message"),
    [
        ([0, 5], [1, 1], [1, 1], "above 0"),
        ([5, 5], [1, 1], [1, 1], "once"),
        ([5, 10], [1], [1], "each of 2 lags"),
        ([5, 10], [2, 1], [1, 1], "0 to trials"),
        ([5, 10], [-1, 1], [1, 1], "0 to trials"),
        ([5, 10], [0, 0], [0, 1], "above 0 at each lag"),
        ([5, 10], [math.nan, 0], [1, 1], "0 to trials"),
        ([], [], [], "at least one lag"),
    ],
)
def test_impossible_rates_are_refused(lags, successes, trials, message):
    with pytest.raises(ValueError, match=message):
        spearman_karber(lags, successes, trials)


def test_equal_seeds_give_their_interval_not_a_point():
    mean = mean_horizon(LAGS, [[1, 1, 1, 0]] * 5)
    assert (mean.lag, mean.low, mean.high) == (pytest.approx(math.sqrt(800)), 20, 40)


def test_seeds_beyond_the_lags_open_the_interval():
    assert mean_horizon(LAGS, [[1] * 4] * 3) == mean_horizon(LAGS, [[1] * 4])
    all_pass, none = mean_horizon(LAGS, [[1] * 4]), mean_horizon(LAGS, [[0] * 4])
    assert (all_pass.lag, all_pass.low, all_pass.high) == (40, 40, math.inf)
    assert (none.lag, none.low, none.high) == (5, 0, 5)
    one_lag = mean_horizon([10], [[1], [0], [1]])
    assert (one_lag.lag, one_lag.low, one_lag.high) == (10, 0, math.inf)


@few
@given(st.lists(st.lists(st.integers(0, 1), min_size=4, max_size=4), min_size=1, max_size=6))
def test_the_interval_holds_the_estimate(passed):
    mean = mean_horizon(LAGS, passed, resamples=300)
    counts = np.sum(passed, axis=0)
    assert mean.lag == spearman_karber(LAGS, counts, [len(passed)] * 4)
    assert mean.low <= mean.lag <= mean.high
    assert mean == mean_horizon(LAGS, passed, resamples=300)
    assert mean == mean_horizon(LAGS[::-1], np.array(passed)[:, ::-1], resamples=300)


def test_a_lag_that_a_seed_did_not_try_is_left_out():
    mean = mean_horizon(LAGS, [[1, 1, 0, 0], [1, math.nan, math.nan, 0], [math.nan, 1, 1, 0]])
    assert mean.lag == spearman_karber(LAGS, [2, 2, 1, 0], [2, 2, 2, 3])
    assert 5 <= mean.low <= mean.lag <= mean.high <= 40


@pytest.mark.parametrize(
    ("passed", "message"),
    [
        ([1, 1, 1, 0], "shape"),
        ([[1, 1]], "shape"),
        ([[1, 1, 1, math.nan]], "nan throughout"),
        ([[1, 1, 1, 0], [math.nan] * 4], "nan throughout"),
        ([[1, 1, 0.5, 0]], "1, 0 or nan"),
    ],
)
def test_impossible_passes_are_refused(passed, message):
    with pytest.raises(ValueError, match=message):
        mean_horizon(LAGS, passed)
