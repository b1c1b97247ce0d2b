import math

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from farback.stats import bootstrap, clopper_pearson, wilson

few = settings(max_examples=25, deadline=None)

KNOWN = [
    (10, 10, (0.7225, 1), (0.6915, 1)),
    (5, 5, (0.5655, 1), (0.4782, 1)),
    (3, 3, (0.4385, 1), (0.2924, 1)),
    (0, 5, (0, 0.4345), (0, 0.5218)),
    (3, 10, (0.1078, 0.6032), (0.0667, 0.6525)),
    (9, 10, (0.5958, 0.9821), (0.5550, 0.9975)),
    (20, 20, (0.8389, 1), (0.8316, 1)),
]
counts = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("successes", "trials", "score", "exact"), KNOWN)
def test_wilson_and_clopper_pearson_have_known_ends(successes, trials, score, exact):
    assert wilson(successes, trials) == pytest.approx(score, abs=6e-5)
    assert clopper_pearson(successes, trials) == pytest.approx(exact, abs=6e-5)


@few
@given(counts, st.floats(0.5, 0.999))
def test_wilson_is_its_closed_form(count, confidence):
    successes, trials = count
    z = scipy_stats.norm.ppf((1 + confidence) / 2)
    p = successes / trials
    middle = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    assert wilson(successes, trials, confidence) == pytest.approx((middle - half, middle + half), abs=1e-9)


@few
@given(counts)
def test_clopper_pearson_inverts_the_binomial_tails(count):
    successes, trials = count
    low, high = clopper_pearson(successes, trials)
    if successes:
        assert scipy_stats.binom.sf(successes - 1, trials, low) == pytest.approx(0.025, abs=1e-6)
    if successes < trials:
        assert scipy_stats.binom.cdf(successes, trials, high) == pytest.approx(0.025, abs=1e-6)


@few
@given(counts)
def test_intervals_of_failures_mirror_those_of_successes(count):
    successes, trials = count
    for interval in (wilson, clopper_pearson):
        low, high = interval(successes, trials)
        assert 0 <= low <= successes / trials <= high <= 1
        assert interval(trials - successes, trials) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 5), (6, 5), (1.5, 5), (1, 2.5)])
def test_impossible_counts_are_refused(interval, successes, trials):
    with pytest.raises(ValueError, match="whole number"):
        interval(successes, trials)


@pytest.mark.parametrize("confidence", [0, 1, 1.5, -0.1, math.nan])
def test_a_confidence_outside_its_range_is_refused(confidence):
    for call in (lambda: wilson(1, 2, confidence), lambda: bootstrap([1, 2], confidence=confidence)):
        with pytest.raises(ValueError, match="confidence"):
            call()


def test_equal_seeds_give_equal_bootstrap_intervals():
    values = np.random.default_rng(3).normal(size=9)
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values, seed=1) != bootstrap(values, seed=2)


def test_the_bootstrap_leaves_the_global_generator_alone(global_generators_untouched):
    with global_generators_untouched():
        bootstrap([1.0, 2.0, 4.0])


def test_the_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=40)
    generator = "rng" if np.lib.NumpyVersion(scipy.__version__) >= "1.15.0" else "random_state"
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=9999, **{generator: np.random.default_rng(1)}
    ).confidence_interval
    assert bootstrap(values, resamples=9999) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_equal_values_give_a_point_without_a_warning():
    assert bootstrap([7.0] * 5) == (7.0, 7.0)
    assert bootstrap([7.0]) == (7.0, 7.0)
    assert bootstrap([math.inf, math.inf]) == (math.inf, math.inf)


@few
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8), st.floats(0.1, 10), st.floats(-10, 10))
def test_the_bootstrap_moves_with_its_values(values, scale, shift):
    low, high = bootstrap(values, resamples=200)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    moved = bootstrap(scale * np.array(values) + shift, resamples=200)
    assert moved == pytest.approx((scale * low + shift, scale * high + shift), abs=1e-6)


@pytest.mark.parametrize("values", [[], [1, math.nan], [[1, 2]]])
def test_the_bootstrap_needs_numbers(values):
    with pytest.raises(ValueError, match="values must be a list"):
        bootstrap(values)
    with pytest.raises(ValueError, match="resamples"):
        bootstrap([1], resamples=0)
