"""Exact tests between groups of seeds, corrections for multiple tests, and robust averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from farback.stats.horizons import Horizon
from farback.stats.intervals import number_list

EXACT_LIMIT = 200  # values in both groups together; the exact test then takes one or two seconds
Values = Sequence[float] | Sequence[Horizon] | NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """How two groups differ.

    Attributes:
        p: two-sided p-value.
        improvement: probability that a value of `a` is above one of `b`, ties counting half; 0.5 means no difference.
        method: the name of the test.
    """

    p: float
    improvement: float
    method: str


def compare(a: Values, b: Values, paired: bool = False) -> Comparison:
    """Compare two groups of seeds by an exact test without a model; ties and censored horizons are allowed.

    Independent groups are compared by the permutation distribution of the rank sum (Mann-Whitney). `Horizon` values are
    ordered if their intervals do not overlap, and tied if they do (Gehan 1965). Completely separated groups of n seeds
    give p = 2 / C(2n, n), so that groups of three seeds never differ significantly (p >= 0.1).

    Paired groups (the same seeds in the same order) of numbers are compared by the signed-rank test, exact with ties,
    without zero differences; of `Horizon` values by the sign test, because differences of intervals have no ranks.

    For more than 200 values in both groups together, scipy's normal approximation is used (independent numbers only).

    Raises:
        ValueError: an empty group, a nan, numbers mixed with horizons in one group, paired groups of unequal length, or
            too many values for an exact test that has no approximation.
    """
    low_A, high_A = _ends(a, "a")
    low_B, high_B = _ends(b, "b")
    if paired and len(low_A) != len(low_B):
        raise ValueError(f"paired groups must be of equal length, got {len(low_A)} and {len(low_B)}")
    low, high = np.concatenate([low_A, low_B]), np.concatenate([high_A, high_B])
    censored = bool((low < high).any())
    large = len(low) > EXACT_LIMIT
    if large and (paired or censored):
        raise ValueError(f"paired or censored groups can have up to {EXACT_LIMIT} values in all, got {len(low)}")
    above = _above(low, high)
    size = len(low_A)
    if paired:
        sign = np.diagonal(above, size).astype(np.int64) - np.diagonal(above, -size).astype(np.int64)
        improvement = float(0.5 + sign.mean() / 2)
        if censored:
            return Comparison(_sign_tail(sign), improvement, "exact sign test")
        same = low_A == low_B  # True also for two infinities, whose difference would be nan
        difference = low_A[~same] - low_B[~same]
        rank = (2 * scipy.stats.rankdata(np.abs(difference))).astype(np.int64)  # doubled: tied ranks become integers
        return Comparison(_sign_tail(rank * sign[~same]), improvement, "exact signed-rank")
    improvement = float(0.5 + (above[:size, size:].mean() - above[size:, :size].mean()) / 2)
    if large:
        p = float(scipy.stats.mannwhitneyu(low_A, low_B, method="asymptotic").pvalue)
        return Comparison(p, improvement, "Mann-Whitney, normal approximation")
    score_N = above.sum(1).astype(np.int64) - above.sum(0).astype(np.int64)
    return Comparison(_subset_tail(score_N, size), improvement, "exact rank permutation")


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values in the given order after Holm's step-down correction for the family-wise error (Holm 1979).

    Raises:
        ValueError: a p-value outside [0, 1].
    """
    p_N = _p_values(p_values)
    order = np.argsort(p_N, kind="stable")
    stepped = np.maximum.accumulate(p_N[order] * np.arange(len(p_N), 0, -1))
    adjusted = np.empty_like(p_N)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values adjusted for the false discovery rate, for exploration (`scipy.stats.false_discovery_control`).

    Raises:
        ValueError: a p-value outside [0, 1].
    """
    p_N = _p_values(p_values)
    return np.asarray(scipy.stats.false_discovery_control(p_N), float) if len(p_N) else p_N


def iqm(values: ArrayLike) -> float:
    """Interquartile mean: the mean of the middle half (Agarwal et al. 2021).

    Raises:
        ValueError: no values, or a nan among them.
    """
    return float(scipy.stats.trim_mean(number_list(values, "values"), 0.25))


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """Share of pairs in which the value of `a` is larger, ties counting half: Mann-Whitney's U / (n m).

    Raises:
        ValueError: an empty group, or a nan.
    """
    value_A, value_B = number_list(a, "a")[:, None], number_list(b, "b")[None, :]
    return float((value_A > value_B).mean() + (value_A == value_B).mean() / 2)


def _above(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Element [i, j]: value i is certainly above value j. A number is the interval [x, x], a horizon [low, high)."""
    touching: NDArray[np.bool_] = (low[:, None] == high[None, :]) & (low < high)[None, :]
    return (low[:, None] > high[None, :]) | touching


def _subset_tail(score_N: NDArray[np.int64], size: int) -> float:
    """Probability that the sum of `size` random scores is at least as far from its mean as the sum of the first ones.

    Dynamic programming over (number drawn, their sum) counts the distribution: exact up to rounding, with any ties, at
    a cost that does not grow with the number of permutations.
    """
    shifted = score_N - score_N.min()
    shifted //= max(1, np.gcd.reduce(shifted))  # without ties all scores are even: this halves the table
    largest = int(shifted.sum())
    count_KS = np.zeros((size + 1, largest + 1))
    count_KS[0, 0] = 1.0
    for number, score in enumerate(shifted.tolist(), 1):
        most = min(size, number)
        count_KS[1 : most + 1, score:] += count_KS[:most, : largest + 1 - score].copy()
    # The distance of a sum from its mean, times the number of scores, is an integer.
    distance_S = np.arange(largest + 1) * len(score_N) - size * largest
    observed = int(shifted[:size].sum()) * len(score_N) - size * largest
    weight_S = count_KS[size] / count_KS[size].sum()
    return float(min(1.0, weight_S[np.abs(distance_S) >= abs(observed)].sum()))


def _sign_tail(score_N: NDArray[np.int64]) -> float:
    """Probability that random signs give a sum at least as far from 0 as the sum of the scores."""
    size_N = np.abs(score_N)
    largest = int(size_N.sum())
    weight_S = np.zeros(2 * largest + 1)
    weight_S[largest] = 1.0
    for size in size_N[size_N > 0].tolist():
        weight_S = (np.roll(weight_S, size) + np.roll(weight_S, -size)) / 2
    return float(min(1.0, weight_S[np.abs(np.arange(-largest, largest + 1)) >= abs(int(score_N.sum()))].sum()))


def _ends(values: Values, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The low and high ends of a group's values; both ends of a number are the number itself."""
    items = list(values)
    horizons = [item for item in items if isinstance(item, Horizon)]
    if not horizons:
        number_N = number_list(items, name)
        return number_N, number_N
    if len(horizons) < len(items):
        raise ValueError(f"group {name} mixes numbers and horizons: {[str(item) for item in items]}")
    return np.array([one.low for one in horizons]), np.array([one.high for one in horizons])


def _p_values(values: ArrayLike) -> NDArray[np.float64]:
    p_N = np.asarray(values, float)
    if p_N.ndim != 1 or not ((p_N >= 0) & (p_N <= 1)).all():
        raise ValueError(f"p-values must be a list of numbers from 0 to 1, got {p_N.tolist()}")
    return p_N
