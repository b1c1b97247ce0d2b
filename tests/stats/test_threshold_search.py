"""Adaptive lags: the same outcomes ask for the same lags, ends are bounds, and the interval covers at a low cost."""

from __future__ import annotations

import math

import numpy as np
import pytest

from farback.measures.known import check_statistics
from farback.stats import ThresholdSearch, best_probabilities, psychometric

LOGISTIC = 4.0  # slope per factor e


def searched(half: float, seed: int = 0, slope: float = LOGISTIC, precision: float = 0.3) -> ThresholdSearch:
    """A search with fresh seeds of a logistic success curve."""
    rng = np.random.default_rng(seed)
    search = ThresholdSearch(5, 320, precision)
    while not search.done:
        for lag in search.ask(3):
            search.tell(lag, bool(rng.random() < 1 / (1 + (lag / half) ** slope)), 0.4)
    return search


def always(success: bool) -> tuple[ThresholdSearch, list[int]]:
    search, lags = ThresholdSearch(5, 320), []
    while not search.done:
        for lag in search.ask(3):
            search.tell(lag, success)
            lags.append(lag)
    return search, lags


def test_the_same_outcomes_in_any_order_ask_for_the_same_lags() -> None:
    outcomes = [(5, True, 0.1), (40, True, 0.3), (80, False, 1.0), (40, True, 0.7), (80, False, 1.0), (20, True, 0.2)]
    first, second = ThresholdSearch(5, 320), ThresholdSearch(5, 320)
    for outcome, reverse in zip(outcomes, outcomes[::-1], strict=True):
        first.tell(*outcome)
        second.tell(*reverse)
    assert first.ask(9) == second.ask(9) == first.ask(9)
    assert first.result() == second.result()


def test_lags_come_in_groups_of_three() -> None:
    asked = ThresholdSearch(5, 320).ask(7)
    assert len(asked) == 7
    assert len(set(asked[:3])) == len(set(asked[3:6])) == 1


def test_candidates_lie_at_eighths_of_an_octave_and_a_seed_shifts_them() -> None:
    search = ThresholdSearch(5, 320)
    assert search.lags[:11].tolist() == [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    assert {5, 10, 20, 40, 80, 160, 320} <= set(search.lags.tolist())
    shifted = ThresholdSearch(5, 320, seed=1).lags
    assert (shifted[0], shifted[-1]) == (5, 320)
    assert set(shifted.tolist()) != set(search.lags.tolist())


def test_a_network_that_learns_every_lag_ends_at_the_largest() -> None:
    search, lags = always(True)
    found = search.result()
    assert lags.count(320) <= 6
    assert lags == sorted(lags)
    assert len(lags) <= 24
    assert (found.estimate, found.high) == (math.inf, math.inf)
    assert 160 < found.low <= 320


def test_a_network_that_learns_nothing_ends_at_the_smallest() -> None:
    search, lags = always(False)
    found = search.result()
    assert len(lags) <= 9
    assert (found.estimate, found.low) == (0, 0)
    assert 5 <= found.high < 10


@pytest.mark.parametrize("half", [9.0, 40.0, 180.0])
def test_it_finds_the_half_way_lag_and_agrees_with_psychometric(half: float) -> None:
    search = searched(half)
    found = search.result()
    assert search.deviation == found.deviation <= 0.3
    assert found.low <= half <= found.high
    tried = search._trial_K > 0
    alone = psychometric(search.lags[tried], search._success_K[tried], search._trial_K[tried])
    assert math.log2(found.estimate / alone.estimate) == pytest.approx(0, abs=0.08)  # its grid is finer
    assert math.log2(found.low / alone.low) == pytest.approx(0, abs=0.15)
    assert math.log2(found.high / alone.high) == pytest.approx(0, abs=0.15)


def test_a_finer_precision_is_reached_with_more_trainings() -> None:
    fine = searched(40.0, precision=0.15)
    assert fine.deviation <= 0.15
    assert fine._trial_K.sum() > searched(40.0)._trial_K.sum()


def test_the_probability_to_be_the_best_is_that_of_draws_from_the_posteriors() -> None:
    searches = [searched(half, seed) for seed, half in enumerate((30.0, 40.0, 45.0, 44.0))]
    rng = np.random.default_rng(0)
    drawn = np.array([one.posterior.quantiles(rng.random(200_000)) for one in searches])
    expected = np.bincount(drawn.argmax(0), minlength=4) / 200_000
    found = best_probabilities(searches)
    assert found.sum() == pytest.approx(1)
    assert found == pytest.approx(expected, abs=0.015)  # within a cell of an eighth of an octave density is constant


def test_equal_arms_share_the_probability_also_beyond_the_ends() -> None:
    top, bottom = always(True)[0], always(False)[0]
    assert best_probabilities([searched(40.0)] * 3) == pytest.approx([1 / 3] * 3)
    assert best_probabilities([top, top, bottom]) == pytest.approx([0.5, 0.5, 0], abs=0.01)
    assert best_probabilities([top]) == pytest.approx([1])


def test_wrong_arguments_are_refused() -> None:
    for low, high, precision, message in (
        (0, 10, 0.3, "whole lags"),
        (20, 10, 0.3, "whole lags"),
        (5, 10, 0, "precision"),
        (5, math.inf, 0.3, "whole lags"),
        (math.nan, 10, 0.3, "whole lags"),
    ):
        with pytest.raises(ValueError, match=message):
            ThresholdSearch(low, high, precision)
    search = ThresholdSearch(5, 320)
    for call, message in (
        (lambda: search.ask(0), "at least one"),
        (lambda: search.ask(2.5), "whole number of lags"),
        (lambda: search.tell(5, math.nan), "true or false"),
        (lambda: search.tell(5, "no"), "true or false"),
        (lambda: ThresholdSearch(5, 320, seed=-1), "seed"),
        (lambda: search.tell(4, True), "candidates"),
        (lambda: search.tell(5, True, 0.0), "share_of_budget"),
        (search.result, "no outcome"),
        (lambda: best_probabilities([]), "at least one search"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.slow
def test_intervals_cover_and_a_search_costs_less_than_bisection_and_a_grid() -> None:
    assert [check for check in check_statistics() if not check.holds] == []
