import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farback.stats import Horizon, first_failure, largest_success, median_horizon, retention_horizon, success_threshold

few = settings(max_examples=25, deadline=None)

curves = st.lists(st.booleans(), min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("low", "high", "text", "left", "right"),
    [
        (20, 40, "20 to 40", False, False),
        (320, math.inf, "at least 320", False, True),
        (0, 5, "below 5", True, False),
        (-math.inf, 0, "below 0", True, False),
        (0, math.inf, "at least 0", False, True),
        (1_500_000, 3_000_000, "1500000 to 3000000", False, False),
        (2.5, 7.25, "2.5 to 7.25", False, False),
    ],
)
def test_the_text_of_a_horizon_shows_its_censoring(low, high, text, left, right):
    horizon = Horizon(low, high)
    assert str(horizon) == text
    assert (horizon.left, horizon.right, horizon.censored) == (left, right, left or right)


@pytest.mark.parametrize(("low", "high"), [(5, 5), (9, 5), (math.nan, 5), (5, math.nan), (math.inf, math.inf)])
def test_the_low_end_must_be_below_the_high_end(low, high):
    with pytest.raises(ValueError, match="low < high"):
        Horizon(low, high)


def test_horizons_of_a_ring_buffer_a_perfect_and_a_constant_answer():
    lags = np.array([1, 2, 4, 8, 16, 32])
    ring_buffer = first_failure(lags, lags < 12)
    assert (ring_buffer.horizon, ring_buffer.monotone, ring_buffer.last_success) == (Horizon(8, 16), True, 8)
    assert str(first_failure(lags, np.ones(6)).horizon) == "at least 32"
    assert first_failure(lags, np.ones(6)).horizon.right
    assert str(first_failure(lags, np.zeros(6)).horizon) == "below 1"
    assert first_failure(lags, np.zeros(6)).horizon.left


def test_a_timer_fails_first_and_succeeds_later():
    lags, passed = [5, 10, 20, 40, 80], [True, False, False, True, False]
    first, largest = first_failure(lags, passed), largest_success(lags, passed)
    assert (first.horizon, first.last_success, first.monotone) == (Horizon(5, 10), 40, False)
    assert (largest.horizon, largest.last_success, largest.monotone) == (Horizon(40, 80), 40, False)


def test_a_gap_at_the_front_is_not_monotone():
    assert first_failure([5, 10], [False, True]).horizon == Horizon(0, 5)
    assert largest_success([5, 10], [False, True]).horizon == Horizon(10, math.inf)
    assert not first_failure([5, 10], [False, True]).monotone


@few
@given(curves)
def test_the_first_failure_is_not_beyond_the_largest_success(passed):
    lags = [3 * 2**k for k in range(len(passed))]
    first, largest = first_failure(lags, passed), largest_success(lags, passed)
    assert first.horizon.low <= largest.horizon.low
    assert (first.horizon == largest.horizon) == first.monotone == largest.monotone
    assert first.last_success == (
        max(lag for lag, good in zip(lags, passed, strict=True) if good) if any(passed) else 0
    )


@few
@given(curves, st.randoms())
def test_the_order_of_the_lags_does_not_matter(passed, random):
    lags = [2**k for k in range(len(passed))]
    pairs = list(zip(lags, passed, strict=True))
    random.shuffle(pairs)
    assert first_failure(*zip(*pairs, strict=True)) == first_failure(lags, passed)


@few
@given(curves, st.integers(0, 8))
def test_one_more_success_never_shortens_the_horizon(passed, at):
    lags = [2**k for k in range(len(passed))]
    better = [good or k == at for k, good in enumerate(passed)]
    for read in (first_failure, largest_success):
        assert read(lags, better).horizon.low >= read(lags, passed).horizon.low


def test_a_failure_at_lag_zero_is_below_every_lag():
    assert str(first_failure([0, 1, 2], [False, False, False]).horizon) == "below 0"
    assert str(first_failure([0, 1, 2], [True, False, False]).horizon) == "below 1"


def test_the_threshold_is_half_way_from_chance():
    assert success_threshold(0.25) == 0.625
    assert success_threshold(0.0) == 0.5
    half_of_two_bits = 0.5  # one of two candidates, four symbols
    assert half_of_two_bits < success_threshold(0.25)


def test_a_score_that_is_not_a_number_is_unknown_and_not_a_failure():
    reading = retention_horizon([1, 2, 4, 8], [1.0, math.nan, 0.9, 0.1])
    assert (reading.horizon, reading.monotone) == (Horizon(4, 8), True)
    assert retention_horizon([1, 2, 4], [0.9, math.nan, 0.1]).horizon == Horizon(1, 4)
    assert retention_horizon([1, 2], [math.nan, 0.1]).horizon == Horizon(0, 2)
    assert retention_horizon([1, 2], [0.9, math.nan]).horizon == Horizon(1, math.inf)


@pytest.mark.parametrize("reading_of", [first_failure, largest_success])
def test_without_any_score_a_horizon_is_unknown(reading_of):
    reading = reading_of([1, 2], [math.nan, math.nan])
    horizon = reading.horizon
    assert str(horizon) == "unknown (no lag has a score)"
    assert math.isnan(horizon.low)
    assert math.isnan(horizon.remembered)
    assert math.isnan(reading.last_success)
    assert (horizon.left, horizon.right, horizon.censored) == (False, False, False)
    assert median_horizon([horizon, Horizon(1, 2)]) == Horizon(1, 2)
    assert median_horizon([horizon]) is horizon


def test_what_is_remembered_is_the_lower_end_and_never_below_zero():
    assert Horizon(20, 40).remembered == 20
    assert Horizon(-math.inf, 0).remembered == 0
    assert Horizon(320, math.inf).remembered == 320


def test_only_an_unknown_horizon_has_a_reason():
    with pytest.raises(ValueError, match="low < high"):
        Horizon(1, 2, "no lag has a score")
    with pytest.raises(ValueError, match="low < high"):
        Horizon(math.nan, math.nan)


def test_the_half_way_accuracies_of_a_network_give_its_horizon():
    assert retention_horizon([1, 2, 4], [0.9, 0.7, 0.6], success_threshold(0.25)).horizon == Horizon(2, 4)
    assert retention_horizon([1, 2], [0.5, 0.49]).horizon == Horizon(1, 2)


def test_the_median_is_a_lag_that_was_tested():
    a, b, c = Horizon(10, 20), Horizon(20, 40), Horizon(40, math.inf)
    assert median_horizon([c, a, b]) == b
    assert median_horizon([a, c]) == a  # the lower of the middle two
    assert str(median_horizon([a, c, c])) == "at least 40"
    assert str(median_horizon([Horizon(0, 5), Horizon(0, 5), c])) == "below 5"


@pytest.mark.parametrize(
    ("lags", "passed", "message"),
    [
        ([], [], "at least one lag"),
        ([1, 1], [True, False], "once"),
        ([-1, 1], [True, False], "at least 0"),
        ([1, math.inf], [True, False], "finite"),
        ([1, 2], [True], "one value for each lag"),
        ([1, 2], [0.7, 0.2], "True or False"),
    ],
)
def test_unusable_lags_and_answers_are_refused(lags, passed, message):
    with pytest.raises(ValueError, match=message):
        first_failure(lags, passed)


def test_a_chance_of_one_is_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        success_threshold(1.0)
    with pytest.raises(ValueError, match="at least one"):
        median_horizon([])
