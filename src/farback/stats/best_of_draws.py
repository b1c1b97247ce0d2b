"""The distribution of the best of several draws: what a search of n trials would have found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from farback.stats.intervals import check_confidence


@dataclass(frozen=True)
class Best:
    """The distribution of the largest of several draws: its mean and the ends of its central interval."""

    expected: float
    low: float
    high: float


def best_of(values: ArrayLike, draws: int, confidence: float = 0.95, again: bool = False) -> Best:
    """The largest of `draws` values drawn at random from `values`, computed exactly.

    Draws without replacement give the best after n trials if all orders of the same trials are equally likely:
    P(best <= k-th smallest) = C(k, n) / C(N, n). Draws with replacement give the bootstrap of the best: P = (k / N)^n.
    The result is never above the largest value.

    Args:
        values: larger is better, finite, shape (N,).
        draws: n, at least 1, and at most N without replacement.
        confidence: of the interval; its ends are elements of `values`.
        again: draw with replacement.

    Raises:
        ValueError: no values, a value that is not finite, or an impossible number of draws.
    """
    value_N = np.asarray(values, float)
    if value_N.ndim != 1 or not len(value_N) or not np.isfinite(value_N).all():
        raise ValueError(f"values must be a list of at least one number, all of them finite, got {value_N.tolist()}")
    if draws != int(draws) or draws < 1 or (draws > len(value_N) and not again):
        raise ValueError(f"draws must be a whole number from 1 (to {len(value_N)} without replacement), got {draws}")
    check_confidence(confidence)
    below_N = _below(len(value_N), int(draws), again)
    sorted_N = np.sort(value_N)
    tail = (1 - confidence) / 2
    ends = np.searchsorted(below_N, [tail - 1e-12, 1 - tail - 1e-12])  # 1e-12: rounding may leave the sums too small
    expected = sorted_N[0] + np.diff(sorted_N) @ (1 - below_N[:-1])
    return Best(float(expected), float(sorted_N[ends[0]]), float(sorted_N[min(ends[1], len(value_N) - 1)]))


def _below(count: int, draws: int, again: bool) -> NDArray[np.float64]:
    """Element k - 1 is the probability that no draw is above the k-th smallest of `count` values."""
    rank_N = np.arange(1, count + 1, dtype=float)
    if again:
        return (rank_N / count) ** draws
    # C(k - 1, n) / C(k, n) = (k - n) / k, from C(N, n) / C(N, n) = 1 downwards
    steps = np.clip((rank_N[1:] - draws) / rank_N[1:], 0.0, None)
    return np.concatenate([np.cumprod(steps[::-1])[::-1], [1.0]])
