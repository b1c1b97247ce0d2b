"""Exact tests between groups of seeds, corrections for many of them, and robust averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from farback.stats.horizons import Horizon

EXACT_LIMIT = 200  # values in all; the exact distribution then takes a second or two
Values = Sequence[float] | Sequence[Horizon] | NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """How two groups differ.

    Attributes:
        p: two-sided p-value.
        improvement: probability that a value of `a` beats one of `b`, ties counting half; 0.5 is no difference.
        method: the test, in words.
    """

    p: float
    improvement: float
    method: str


def compare(a: Values, b: Values, paired: bool = False) -> Comparison:
    """Compare two groups of seeds without a model, exactly, with ties and censoring.

    Independent groups: the permutation distribution of the rank sum (Mann-Whitney). `Horizon` values are ordered where
    their intervals do not overlap and tied where they do (Gehan 1965), numbers as numbers. Completely separated groups
    of n seeds give 2 / C(2n, n): three seeds can never be significant.

    Paired (equal seeds, in order): the signed-rank test on differences of numbers, zero differences dropped, exact with
    ties; on `Horizon` values the sign test, for a difference of intervals has no rank.

    Above 200 values in all the normal approximation of scipy is used (independent numbers only).

    Raises:
        ValueError: an empty group, a nan, numbers mixed with horizons in one group, pairs of unequal length, or too
            many values for the exact test where it is the only one.
    """
    low_A, high_A = _ends(a, "a")
    low_B, high_B = _ends(b, "b")
    if paired and len(low_A) != len(low_B):
        raise ValueError(f"pairs need groups of equal length, got {len(low_A)} and {len(low_B)}")
    numbers = not (_intervals(low_A, high_A) or _intervals(low_B, high_B))
    low, high = np.concatenate([low_A, low_B]), np.concatenate([high_A, high_B])
    large = len(low) > EXACT_LIMIT
    if large and (paired or not numbers):
        raise ValueError(f"the exact test takes up to {EXACT_LIMIT} values in all, got {len(low)}")
    if paired:
        return _paired(low_A, high_A, low_B, high_B, numbers)
    above = _above(low, high)
    wins = above[: len(low_A), len(low_A) :].mean() - above[len(low_A) :, : len(low_A)].mean()
    if large:
        p = float(scipy.stats.mannwhitneyu(low_A, low_B, method="asymptotic").pvalue)
        return Comparison(p, float(0.5 + wins / 2), "Mann-Whitney, normal approximation")
    score_N = above.sum(1).astype(np.int64) - above.sum(0).astype(np.int64)
    return Comparison(_subset_tail(score_N, len(low_A)), float(0.5 + wins / 2), "exact rank permutation")


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down correction for the family-wise error, in the order given (Holm 1979).

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
    """Control of the false discovery rate, for exploratory maps (`scipy.stats.false_discovery_control`)."""
    p_N = _p_values(p_values)
    return np.asarray(scipy.stats.false_discovery_control(p_N), float) if len(p_N) else p_N


def iqm(values: ArrayLike) -> float:
    """Interquartile mean: the mean of the middle half (Agarwal et al. 2021).

    Raises:
        ValueError: no values, or a nan among them.
    """
    return float(scipy.stats.trim_mean(_numbers(values, "values"), 0.25))


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """Share of pairs in which `a` is larger, ties counting half: Mann-Whitney's U / (n m).

    Raises:
        ValueError: an empty group, or a nan.
    """
    value_A, value_B = _numbers(a, "a")[:, None], _numbers(b, "b")[None, :]
    return float((value_A > value_B).mean() + (value_A == value_B).mean() / 2)


def _above(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[i, j]: value i is surely larger than value j. A number is the interval [x, x], a horizon [low, high)."""
    open_end = low < high
    meets: NDArray[np.bool_] = (low[:, None] == high[None, :]) & open_end[None, :]
    return (low[:, None] > high[None, :]) | meets


def _paired(
    low_A: NDArray[np.float64],
    high_A: NDArray[np.float64],
    low_B: NDArray[np.float64],
    high_B: NDArray[np.float64],
    numbers: bool,
) -> Comparison:
    ahead = (low_A > high_B) | ((low_A == high_B) & (low_B < high_B))
    behind = (low_B > high_A) | ((low_B == high_A) & (low_A < high_A))
    sign = ahead.astype(np.int64) - behind.astype(np.int64)
    improvement = float(0.5 + sign.mean() / 2)
    if not numbers:
        return Comparison(_sign_tail(sign), improvement, "exact sign test")
    same = low_A == low_B  # also two infinities, whose difference is nan
    difference = low_A[~same] - low_B[~same]
    rank = (2 * scipy.stats.rankdata(np.abs(difference))).astype(np.int64)  # twice, so that shared ranks are whole
    return Comparison(_sign_tail(rank * sign[~same]), improvement, "exact signed-rank")


def _subset_tail(score_N: NDArray[np.int64], size: int) -> float:
    """Probability that `size` of the scores, drawn at random, sum at least as far from their mean as the first ones.

    The distribution is counted by dynamic programming over (how many drawn, their sum): exact up to rounding, with any
    ties, at a cost that does not grow with the number of permutations.
    """
    shifted = score_N - score_N.min()
    shifted //= max(1, np.gcd.reduce(shifted))  # without ties all are even: half the table
    reach = int(shifted.sum())
    drawn = np.zeros((size + 1, reach + 1))
    drawn[0, 0] = 1.0
    for count, score in enumerate(shifted, 1):
        keep = score.item()
        most = min(size, count)
        drawn[1 : most + 1, keep:] += drawn[:most, : reach + 1 - keep].copy()
    # Scores sum to 0 over both groups, so a sum's distance from its mean is a whole number over the group sizes.
    sums = np.arange(reach + 1) * len(score_N) - size * reach
    observed = int(shifted[:size].sum()) * len(score_N) - size * reach
    weights = drawn[size] / drawn[size].sum()
    return float(min(1.0, weights[np.abs(sums) >= abs(observed)].sum()))


def _sign_tail(score_N: NDArray[np.int64]) -> float:
    """Probability that random signs give a sum at least as far from 0 as the scores' own sum."""
    size_N = np.abs(score_N)
    reach = int(size_N.sum())
    weights = np.zeros(2 * reach + 1)
    weights[reach] = 1.0
    for size in size_N.tolist():
        if size:
            weights = (np.roll(weights, size) + np.roll(weights, -size)) / 2
    return float(min(1.0, weights[np.abs(np.arange(-reach, reach + 1)) >= abs(int(score_N.sum()))].sum()))


def _ends(values: Values, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    items = list(values)
    horizons = [item for item in items if isinstance(item, Horizon)]
    if not horizons:
        number_N = _numbers(items, name)
        return number_N, number_N
    if len(horizons) < len(items):
        raise ValueError(f"group {name} mixes numbers and horizons: {[str(item) for item in items]}")
    return np.array([one.low for one in horizons]), np.array([one.high for one in horizons])


def _intervals(low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    return bool((low < high).any())


def _numbers(values: ArrayLike | Sequence[object], name: str) -> NDArray[np.float64]:
    number_N = np.asarray(values, float)
    if number_N.ndim != 1 or not len(number_N) or np.isnan(number_N).any():
        raise ValueError(f"{name} must be a list of at least one number and no nan, got {number_N.tolist()}")
    return number_N


def _p_values(values: ArrayLike) -> NDArray[np.float64]:
    p_N = np.asarray(values, float)
    if p_N.ndim != 1 or not ((p_N >= 0) & (p_N <= 1)).all():
        raise ValueError(f"p-values must be a list of numbers from 0 to 1, got {p_N.tolist()}")
    return p_N
