"""Aggregates over tasks, compared with their definitions."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from farback.stats import improvement, iqm, probability_of_improvement, stratified_bootstrap, two_stage_bootstrap

# Two tasks of two runs each: 4 * 4 equally likely resamples, few enough to be counted.
SMALL = [[0.0, 1.0], [5.0, 9.0]]


def resamples(strata):
    """Every resample within the strata, each as likely as the others."""
    return itertools.product(*(itertools.product(own, repeat=len(own)) for own in strata))


@pytest.mark.parametrize("statistic", [np.mean, np.max, iqm], ids=["mean", "max", "iqm"])
def test_the_interval_agrees_with_all_possible_resamples(statistic):
    exact = sorted(statistic(np.concatenate(drawn)) for drawn in resamples(SMALL))
    assert len(exact) == 16
    for confidence in (0.55, 0.8, 0.95) if statistic is not iqm else (0.8,):
        tail = (1 - confidence) / 2
        expected = (exact[math.ceil(16 * tail) - 1], exact[math.ceil(16 * (1 - tail)) - 1])
        found = stratified_bootstrap(SMALL, statistic, confidence, resamples=1500, seed=3)
        assert found == pytest.approx(expected)


def test_the_statistic_is_the_trimmed_mean_of_all_runs_as_in_rliable():
    """rliable: scipy.stats.trim_mean(scores, 0.25, axis=None) of a matrix runs x tasks, resampled column by column."""
    scores = np.random.default_rng(1).random((7, 3))
    runs = np.random.default_rng(2).integers(0, 7, (4000, 7, 3))
    drawn = scipy_stats.trim_mean(scores[runs, np.arange(3)].reshape(4000, 21), 0.25, axis=1)
    low, high = stratified_bootstrap(list(scores.T), resamples=4000)
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.01)
    assert low < scipy_stats.trim_mean(scores, 0.25, axis=None) < high
    assert stratified_bootstrap(list(scores.T), resamples=300) == pytest.approx(
        stratified_bootstrap(list(scores.T), iqm, resamples=300)
    )


def test_runs_never_leave_their_task():
    """A task whose runs are all equal contributes a constant to every resample."""
    low, high = stratified_bootstrap([[3.0] * 5, [7.0] * 2], np.mean)
    assert low == high == pytest.approx((15 + 14) / 7)
    plain = stratified_bootstrap([[0.0] * 4, [1.0] * 4], np.mean)
    assert plain == (0.5, 0.5)  # a bootstrap over all runs together would have a spread of 0.18


def test_the_same_seed_gives_the_same_interval(global_generators_untouched):
    strata = [list(np.random.default_rng(task).random(5)) for task in range(4)]
    with global_generators_untouched():
        first = stratified_bootstrap(strata, seed=5)
    assert first == stratified_bootstrap(strata, seed=5)
    assert first != stratified_bootstrap(strata, seed=6)


@pytest.mark.parametrize("statistic", [np.mean, np.min], ids=["mean", "worst"])
def test_the_two_stage_interval_agrees_with_all_possible_resamples(statistic):
    """First the tasks are drawn, then the runs of each drawn task; SMALL has 8 equally likely means for each draw."""
    means = [[np.mean(runs) for runs in itertools.product(own, repeat=2)] for own in SMALL]
    exact = sorted(
        statistic(drawn) for tasks in itertools.product(means, repeat=2) for drawn in itertools.product(*tasks)
    )
    assert len(exact) == 64
    tail = 0.2
    expected = (exact[math.ceil(64 * tail) - 1], exact[math.ceil(64 * (1 - tail)) - 1])
    assert two_stage_bootstrap(SMALL, statistic, 1 - 2 * tail, resamples=20_000, seed=3) == pytest.approx(expected)


def test_the_two_stage_interval_covers_the_mean_of_all_tasks():
    """Twelve tasks drawn from a population of tasks: the 95 % interval has the population's mean in most samples."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(200):
        strata = [rng.normal(mean, 0.1, 5) for mean in rng.normal(0.5, 0.2, 12)]
        low, high = two_stage_bootstrap(strata, resamples=300)
        inside += low <= 0.5 <= high
    assert 0.87 <= inside / 200 <= 0.99


def test_improvement_is_the_mean_over_tasks_of_mann_whitneys_u():
    a, b = [[0.1, 0.5, 0.9], [1.0, 1.0]], [[0.2, 0.5], [1.0, 0.0, 0.0]]
    shares = [
        scipy_stats.mannwhitneyu(x, y, method="asymptotic").statistic / len(x) / len(y)
        for x, y in zip(a, b, strict=True)
    ]
    found = improvement(a, b)
    assert found.probability == pytest.approx(np.mean(shares))
    assert found.low <= found.probability <= found.high


def test_the_interval_of_an_improvement_agrees_with_all_possible_resamples():
    a, b = [[0.0, 2.0], [1.0, 5.0]], [[1.0, 3.0], [4.0, 0.0]]
    of_a_task = [  # one resample of each task's runs, all equally likely
        [
            probability_of_improvement(x, y)
            for x in itertools.product(own, repeat=2)
            for y in itertools.product(other, repeat=2)
        ]
        for own, other in zip(a, b, strict=True)
    ]
    exact = sorted(
        (first + second) / 2
        for one, two in itertools.product(of_a_task, repeat=2)
        for first, second in itertools.product(one, two)
    )
    assert len(exact) == 1024
    found = improvement(a, b, confidence=0.6, resamples=40_000)
    assert (found.low, found.high) == pytest.approx((exact[205], exact[818]))


def test_improvement_is_symmetric_and_half_for_equal_groups():
    rng = np.random.default_rng(0)
    a, b = [rng.random(5) for _ in range(3)], [rng.random(5) + 0.2 for _ in range(3)]
    assert improvement(a, b).probability == pytest.approx(1 - improvement(b, a).probability)
    assert improvement(a, a).probability == 0.5
    sure = improvement([[2.0] * 5] * 2, [[1.0] * 5] * 2)
    assert (sure.probability, sure.low, sure.high) == (1, 1, 1)


@pytest.mark.parametrize("strata", [[], [[]], [[1.0], []], [[math.nan]], [1.0], [[[1.0]]]], ids=str)
def test_strata_must_be_a_list_of_runs_for_each_task(strata):
    for call in (
        lambda: stratified_bootstrap(strata),
        lambda: two_stage_bootstrap(strata),
        lambda: improvement(strata, [[1.0]]),
    ):
        with pytest.raises(ValueError, match="for each task"):
            call()


def test_different_numbers_of_tasks_and_no_resamples_are_refused():
    with pytest.raises(ValueError, match="a has 1 tasks and b has 2"):
        improvement([[1.0]], [[1.0], [2.0]])
    for call in (
        lambda: stratified_bootstrap([[1.0]], resamples=0),
        lambda: improvement([[1.0]], [[1.0]], resamples=0),
    ):
        with pytest.raises(ValueError, match="at least 1, got 0"):
            call()
