"""Intervals of proportions and medians over seeds, and the bootstrap over seeds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000  # more would move an end of a 95 % percentile interval by about 1 % of the interval's width


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927), the default in farback: its mean coverage is near nominal.

    Raises:
        ValueError: no trials, successes outside 0..trials, or a confidence outside (0, 1).
    """
    return _proportion(successes, trials, confidence, "wilson")


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934): its coverage is at least the confidence.

    Raises:
        ValueError: as `wilson`.
    """
    return _proportion(successes, trials, confidence, "exact")


def _proportion(
    successes: int, trials: int, confidence: float, method: Literal["wilson", "exact"]
) -> tuple[float, float]:
    if trials != int(trials) or trials < 1:
        raise ValueError(f"trials must be a whole number of at least 1, got {trials}")
    if successes != int(successes) or not 0 <= successes <= trials:
        raise ValueError(f"successes must be a whole number from 0 to trials = {trials}, got {successes}")
    check_confidence(confidence)
    interval = scipy.stats.binomtest(int(successes), int(trials)).proportion_ci(confidence, method)
    return float(interval.low), float(interval.high)


def median(values: ArrayLike) -> float:
    """The median; of an even number of values the lower of the middle two, so that it is finite if half of them are.

    Raises:
        ValueError: no values, or a nan among them.
    """
    value_N = number_list(values)
    return float(np.sort(value_N)[(len(value_N) - 1) // 2])


def median_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a median, between two order statistics, for values from any distribution.

    The ranks come from the binomial distribution with probability one half (Conover 1999, section 3.2). With fewer than
    six values no interval reaches 95 %, and the result runs from the smallest to the largest value (93.75 % with five).

    Raises:
        ValueError: no values, a nan among them, or a confidence outside (0, 1).
    """
    value_N = np.sort(number_list(values))
    check_confidence(confidence)
    rank = _rank(len(value_N), (1 - confidence) / 2)
    return float(value_N[rank]), float(value_N[len(value_N) - 1 - rank])


@lru_cache  # a curve needs the same rank at every lag
def _rank(count: int, tail: float) -> int:
    """The largest rank whose order statistic lies above the median with probability at most `tail`; 0 if none does."""
    below = int(scipy.stats.binom.ppf(tail, count, 0.5))
    return max(0, below - 1 if scipy.stats.binom.cdf(below, count, 0.5) > tail else below)


def bootstrap(
    values: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], float] | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of a statistic over seeds; the same `seed` gives the same interval.

    The BCa bootstrap is not used: with few seeds ties are common, and BCa is undefined when all values are equal. With
    five seeds or fewer the interval is too narrow: show the seeds beside it. Values may be infinite.

    Args:
        values: one number per seed, shape (n,).
        statistic: a function from such an array to a number; the mean by default.

    Raises:
        ValueError: no values, or a nan among them.
    """
    value_N = number_list(values)
    drawn_BN = value_N[resampled(len(value_N), resamples, seed)]
    if statistic is None:
        return percentiles(drawn_BN.mean(axis=1), confidence)
    return percentiles(np.array([float(statistic(drawn_N)) for drawn_N in drawn_BN]), confidence)


def resampled(count: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """Indices drawn with replacement, shape (resamples, count)."""
    check_resamples(resamples)
    return np.random.default_rng(seed).integers(0, count, (resamples, count))


def percentiles(value_B: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """The ends of the central interval; each end is one of the values, never an average of a number and infinity."""
    check_confidence(confidence)
    tail = (1 - confidence) / 2
    low, high = np.quantile(value_B, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def number_list(values: ArrayLike, subject: str = "values") -> NDArray[np.float64]:
    """The values as an array of floats; ValueError unless they are a list of at least one number and no nan."""
    value_N = np.asarray(values, float)
    if value_N.ndim != 1 or not len(value_N) or np.isnan(value_N).any():
        raise ValueError(f"{subject} must be a list of at least one number and no nan, got {value_N.tolist()}")
    return value_N


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless a confidence lies strictly between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")


def check_resamples(resamples: int) -> None:
    """Raise ValueError unless at least one resample is drawn."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
