"""The best of several draws, compared with its definition and closed forms."""

import itertools

import numpy as np
import pytest
import scipy

from farback import stats

VALUES = [0.3, -1.0, 0.3, 2.5, 0.9, 7.0]


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("draws", [1, 2, 4])
def test_the_distribution_agrees_with_all_possible_draws(draws, again):
    chosen = itertools.product(VALUES, repeat=draws) if again else itertools.combinations(VALUES, draws)
    best = np.array([max(each) for each in chosen])
    found = stats.best_of(VALUES, draws, 0.8, again=again)
    assert found.expected == pytest.approx(best.mean())
    assert (found.low, found.high) == (
        pytest.approx(np.quantile(best, 0.1, method="inverted_cdf")),
        pytest.approx(np.quantile(best, 0.9, method="inverted_cdf")),
    )


@pytest.mark.parametrize("draws", [1, 3, 10, 999, 1000])
def test_the_best_of_ranks_has_the_textbook_mean(draws):
    """The largest of n of the numbers 1..N has mean n (N + 1) / (n + 1) without, N - sum (k / N)^n with replacement."""
    ranks = np.arange(1, 1001)
    assert stats.best_of(ranks, draws).expected == pytest.approx(draws * 1001 / (draws + 1))
    again = 1000 - ((ranks[:-1] / 1000.0) ** draws).sum()
    assert stats.best_of(ranks, draws, again=True).expected == pytest.approx(again)


def test_normal_draws_have_the_normal_order_statistic():
    """Of 20 000 quantiles of the normal the best of 10 is the mean of the largest of 10 normal draws, 1.5388."""
    quantile = scipy.stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    assert stats.best_of(quantile, 10).expected == pytest.approx(1.53875, abs=2e-3)


def test_one_draw_is_the_mean_and_all_draws_are_the_largest():
    assert stats.best_of(VALUES, 1).expected == pytest.approx(np.mean(VALUES))
    everything = stats.best_of(VALUES, len(VALUES))
    assert (everything.expected, everything.low, everything.high) == (7.0, 7.0, 7.0)


@pytest.mark.parametrize(("values", "draws"), [([], 1), ([1.0], 2), ([1.0], 0), ([1.0, np.inf], 1), ([1.0], 1.5)])
def test_impossible_draws_are_refused(values, draws):
    with pytest.raises(ValueError, match=r"values must be a list|draws must be"):
        stats.best_of(values, draws)
