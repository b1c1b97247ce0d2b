import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farback.stats import kaplan_meier

few = settings(max_examples=25, deadline=None)

samples = st.lists(st.tuples(st.sampled_from([0, 5, 10, 20, 40]), st.booleans()), min_size=1, max_size=12)


def by_hand(values, censored):
    """The product-limit formula, step by step."""
    share, steps = 1.0, []
    for lag in sorted(set(values)):
        risk = sum(value >= lag for value in values)
        events = sum(value == lag and not flag for value, flag in zip(values, censored, strict=True))
        share *= 1 - events / risk
        steps.append(share)
    return steps


def test_kaplan_meier_of_known_horizons():
    curve = kaplan_meier([10, 20, 20, 40, 40], [False, False, False, True, True])
    assert curve.lag.tolist() == [10, 20, 40]
    assert curve.share == pytest.approx([0.8, 0.4, 0.4])
    assert (curve.median, curve.restricted_mean) == (20, pytest.approx(26))


def test_at_exactly_one_half_the_median_is_that_lag():
    assert kaplan_meier([10, 20, 30, 40]).median == 20
    assert kaplan_meier([10, 20, 40, 40], [0, 0, 1, 1]).median == 20
    assert kaplan_meier([10, 40, 40], [0, 1, 1]).median == math.inf


def test_without_censoring_it_is_the_plain_mean():
    values = [3.0, 9.0, 9.0, 27.0, 81.0]
    assert kaplan_meier(values).restricted_mean == pytest.approx(np.mean(values))
    assert kaplan_meier(values, limit=20).restricted_mean == pytest.approx(np.mean(np.minimum(values, 20)))
    assert kaplan_meier(values, limit=200).restricted_mean == pytest.approx(np.mean(values))
    assert kaplan_meier(values, limit=0).restricted_mean == 0


def test_with_all_values_censored_the_median_is_infinite():
    curve = kaplan_meier([40, 40, 40], [True] * 3)
    assert (curve.median, curve.restricted_mean) == (math.inf, 40)
    assert kaplan_meier([0, 0]).median == 0


@few
@given(samples)
def test_the_curve_is_the_product_limit_formula(sample):
    values, censored = zip(*sample, strict=True)
    curve = kaplan_meier(values, censored)
    assert curve.share == pytest.approx(by_hand(values, censored))
    assert (np.diff(curve.share) <= 0).all()
    assert 0 <= curve.restricted_mean <= max(values)


@few
@given(samples, st.floats(0.1, 10))
def test_median_and_mean_scale_with_lag(sample, scale):
    values, censored = zip(*sample, strict=True)
    plain, scaled = kaplan_meier(values, censored), kaplan_meier(scale * np.array(values), censored)
    assert scaled.restricted_mean == pytest.approx(scale * plain.restricted_mean)
    assert scaled.median == pytest.approx(scale * plain.median)


@pytest.mark.parametrize(
    ("values", "censored", "limit", "message"),
    [
        ([], [], None, "at least one"),
        ([math.inf], [False], None, "finite"),
        ([math.nan], [False], None, "finite"),
        ([-1], [False], None, "at least 0"),
        ([1, 2], [True], None, "censored must be True or False for each of 2"),
        ([1, 2], [0.5, 1], None, "censored must be True or False"),
        ([1, 2], [False, True], 3, "beyond which nothing is known"),
        ([1, 2], [False, True], -1, "limit"),
    ],
)
def test_impossible_samples_are_refused(values, censored, limit, message):
    with pytest.raises(ValueError, match=message):
        kaplan_meier(values, censored, limit)
