"""Intervals for a proportion of seeds, and the bootstrap over seeds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000  # moves a 95 % percentile end by about 1 % of the interval's width


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927), our default: its coverage is right on average.

    Raises:
        ValueError: no trials, successes outside 0..trials, or a confidence outside (0, 1).
    """
    return _proportion(successes, trials, confidence, "wilson")


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson 1934): never covers less than it says.

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
    """The lower of the two middle values: always one that was measured, also where half of them are infinite.

    Raises:
        ValueError: no values, or a nan among them.
    """
    value_N = _numbers(values)
    return float(np.sort(value_N)[(len(value_N) - 1) // 2])


def median_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a median, from one order statistic to another, whatever the values are drawn from.

    The ranks come from the binomial distribution with one half (Conover 1999, section 3.2). Fewer than six values
    cannot bracket a median with 95 %: then it is the smallest and the largest of them (93.75 % with five).

    Raises:
        ValueError: no values, a nan among them, or a confidence outside (0, 1).
    """
    value_N = np.sort(_numbers(values))
    check_confidence(confidence)
    rank = _rank(len(value_N), (1 - confidence) / 2)
    return float(value_N[rank]), float(value_N[len(value_N) - 1 - rank])


@lru_cache  # a curve asks for the same rank at every lag
def _rank(count: int, tail: float) -> int:
    """The order statistic below which a median lies with a probability of at most `tail`; 0 where none is that sure."""
    below = int(scipy.stats.binom.ppf(tail, count, 0.5))
    return max(0, below - 1 if scipy.stats.binom.cdf(below, count, 0.5) > tail else below)


def _numbers(values: ArrayLike) -> NDArray[np.float64]:
    value_N = np.asarray(values, float)
    if value_N.ndim != 1 or not len(value_N) or np.isnan(value_N).any():
        raise ValueError(f"needs a list of at least one number and no nan, got {value_N.tolist()}")
    return value_N


def bootstrap(
    values: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], float] | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of a statistic (by default the mean) over seeds; equal `seed`, equal interval.

    Percentiles, not BCa: with few seeds ties are the rule and BCa is undefined when all values are equal, whereas this
    gives that value twice. With five seeds or fewer it is too narrow: show the seeds beside it. Values may be infinite.

    Args:
        values: one number per seed, shape (n,).
        statistic: from such an array to a number.
        confidence: of the interval.
        resamples: how many.
        seed: of the resampling; the global generator is untouched.

    Raises:
        ValueError: no values, or a nan among them.
    """
    value_N = _numbers(values)
    function = np.mean if statistic is None else statistic
    drawn = [float(function(value_N[rows])) for rows in resampled(len(value_N), resamples, seed)]
    return percentiles(np.array(drawn), confidence)


def resampled(count: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """Rows of indices with replacement, shape (resamples, count)."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    return np.random.default_rng(seed).integers(0, count, (resamples, count))


def percentiles(value_B: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """The ends of the central interval, each a value that was drawn: no average of a number and infinity."""
    check_confidence(confidence)
    tail = (1 - confidence) / 2
    return (
        float(np.quantile(value_B, tail, method="inverted_cdf")),
        float(np.quantile(value_B, 1 - tail, method="inverted_cdf")),
    )


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless a confidence lies strictly between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
