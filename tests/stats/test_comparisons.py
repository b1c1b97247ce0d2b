import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from farback.stats import Horizon, benjamini_hochberg, compare, holm, iqm, probability_of_improvement

few = settings(max_examples=25, deadline=None)

p_values = st.lists(st.floats(0, 1), max_size=12)
small = st.lists(st.sampled_from([0.0, 5.0, 10.0, 20.0, 40.0, math.inf]), min_size=1, max_size=5)
CENSORED = Horizon(40, math.inf)
horizons = st.lists(
    st.sampled_from([Horizon(0, 5), Horizon(5, 10), Horizon(5, 20), Horizon(10, 20), CENSORED]), min_size=1, max_size=5
)


@pytest.mark.parametrize(("n", "p"), [(3, 0.1), (4, 0.0286), (5, 0.0079), (6, 0.0022), (7, 0.00058), (10, 1.1e-5)])
def test_three_seeds_can_never_be_significant(n, p):
    low, high = list(range(n)), list(range(100, 100 + n))
    assert compare(low, high).p == pytest.approx(2 / math.comb(2 * n, n), rel=1e-12)
    assert compare(low, high).p == pytest.approx(p, rel=0.02)
    assert compare([1] * n, [0] * n).p == pytest.approx(2 / math.comb(2 * n, n))  # Fisher's table, all ties
    assert compare([Horizon(5, 10)] * n, [Horizon(10, 20)] * n).p == pytest.approx(2 / math.comb(2 * n, n))


def test_known_corrections_and_means():
    p = (0.001, 0.012, 0.02, 0.04, 0.3)
    assert holm(p) == pytest.approx([0.005, 0.048, 0.06, 0.08, 0.3])
    assert benjamini_hochberg(p) == pytest.approx([0.005, 0.03, 0.03333333, 0.05, 0.3])
    assert (iqm(range(10)), iqm(range(8)), iqm([1] * 7 + [0] * 3)) == (4.5, 3.5, pytest.approx(0.8333, abs=1e-4))


@few
@given(small, small)
def test_p_agrees_with_all_permutations(a, b):
    pooled = scipy_stats.rankdata([*a, *b])
    sums = [pooled[list(rows)].sum() for rows in itertools.combinations(range(len(pooled)), len(a))]
    distance = np.abs(np.array(sums) - len(a) * (len(pooled) + 1) / 2)
    observed = abs(pooled[: len(a)].sum() - len(a) * (len(pooled) + 1) / 2)
    assert compare(a, b).p == pytest.approx(np.mean(distance >= observed - 1e-9))


@few
@given(st.sets(st.integers(0, 60), min_size=4, max_size=18), st.integers(1, 3))
def test_without_ties_p_is_scipys_exact_mann_whitney(values, size):
    mixed = np.random.default_rng(len(values)).permutation(sorted(values))
    a, b = mixed[:size], mixed[size:]
    assert compare(a, b).p == pytest.approx(scipy_stats.mannwhitneyu(a, b, method="exact").pvalue)


@few
@given(horizons, horizons)
def test_comparing_is_symmetric(a, b):
    one, other = compare(a, b), compare(b, a)
    assert one.p == pytest.approx(other.p)
    assert one.improvement == pytest.approx(1 - other.improvement)
    assert 0 < one.p <= 1


@few
@given(small)
def test_a_group_does_not_differ_from_itself(a):
    assert compare(a, a).p == pytest.approx(1)
    assert compare(a, a, paired=True).p == 1
    assert compare(a, a).improvement == 0.5


def test_overlapping_intervals_are_ties():
    assert compare([Horizon(5, 20)] * 4, [Horizon(10, 40)] * 4).p == 1
    assert compare([CENSORED] * 4, [Horizon(20, math.inf)] * 4).improvement == 0.5
    assert compare([CENSORED] * 4, [Horizon(20, 40)] * 4).improvement == 1
    assert compare([Horizon(10, 20)], [20.0]).improvement == 0  # 20 is the lag that fails
    assert compare([Horizon(10, 20)], [10.0]).improvement == 0.5


@few
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=8))
def test_p_of_pairs_agrees_with_all_signs(pairs):
    a, b = zip(*pairs, strict=True)
    difference = np.array([x - y for x, y in pairs if x != y])
    ranks = scipy_stats.rankdata(np.abs(difference)) if len(difference) else np.zeros(0)
    observed = abs((np.sign(difference) * ranks).sum())
    sums = [abs(np.dot(signs, ranks)) for signs in itertools.product((-1, 1), repeat=len(ranks))]
    assert compare(a, b, paired=True).p == pytest.approx(np.mean(np.array(sums) >= observed - 1e-9))


def test_paired_horizons_get_the_sign_test():
    a, b = [CENSORED] * 6, [Horizon(5, 10)] * 5 + [CENSORED]
    assert compare(a, b, paired=True).p == pytest.approx(2 / 2**5)
    assert compare(a, b, paired=True).p == pytest.approx(scipy_stats.binomtest(5, 5).pvalue)
    assert "sign" in compare(a, b, paired=True).method


def test_paired_successes_get_the_exact_mcnemar_test():
    a, b = [1, 1, 1, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1, 1, 0]
    assert compare(a, b, paired=True).p == pytest.approx(scipy_stats.binomtest(5, 6).pvalue)


def test_many_values_use_the_normal_approximation():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=150), rng.normal(0.3, size=150)
    assert compare(a, b).p == pytest.approx(scipy_stats.mannwhitneyu(a, b, method="asymptotic").pvalue)
    assert compare(a, b).improvement == pytest.approx(probability_of_improvement(a, b))
    with pytest.raises(ValueError, match="up to 200"):
        compare([CENSORED] * 101, [CENSORED] * 100)


@few
@given(p_values)
def test_holm_never_lowers_a_p_value_and_keeps_their_order(values):
    adjusted, false_discovery = holm(values), benjamini_hochberg(values)
    assert (adjusted >= np.array(values)).all()
    assert (adjusted <= 1).all()
    assert (adjusted >= false_discovery - 1e-12).all()
    assert (adjusted <= np.minimum(1, len(values) * np.array(values)) + 1e-12).all()  # never harsher than Bonferroni
    order = np.argsort(values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


@few
@given(small, small)
def test_the_probability_of_improvement_is_mann_whitneys_u(a, b):
    expected = scipy_stats.mannwhitneyu(a, b, method="asymptotic").statistic / len(a) / len(b) if set(a + b) else 0
    assert probability_of_improvement(a, b) == pytest.approx(expected)
    assert compare(a, b).improvement == pytest.approx(expected)


@pytest.mark.parametrize("p", [[-0.1], [1.1], [math.nan], [[0.5]]])
def test_impossible_p_values_are_refused(p):
    for correct in (holm, benjamini_hochberg):
        with pytest.raises(ValueError, match="0 to 1"):
            correct(p)


@pytest.mark.parametrize(
    ("a", "b", "paired", "message"),
    [
        ([], [1], False, "a must be a list of at least one"),
        ([1], [], False, "b must be"),
        ([1], [math.nan], False, "no nan"),
        ([1, Horizon(5, 10)], [1], False, "mixes"),
        ([1, 2], [1], True, "equal length"),
    ],
)
def test_unusable_groups_are_refused(a, b, paired, message):
    with pytest.raises(ValueError, match=message):
        compare(a, b, paired)


def test_no_values_have_no_mean():
    with pytest.raises(ValueError, match="at least one"):
        iqm([])
    with pytest.raises(ValueError, match="at least one"):
        probability_of_improvement([], [1])
