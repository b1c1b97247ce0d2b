"""Horizons: the largest lag that a network remembers, known only to lie between two tested lags or beyond them all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Horizon:
    """An interval-censored horizon: the network passes at lag `low` and fails at lag `high`.

    `str(Horizon(20, 40))` is "20 to 40". `high = inf` when the largest tested lag passes: `str(Horizon(320, inf))` is
    "at least 320". `low = 0` when the smallest tested lag fails: `str(Horizon(0, 5))` is "below 5" (lag 0 is the same
    step and needs no memory). Where no lag has a score, both ends are nan and `unknown` is the reason: unknown is not
    failed.

    Raises:
        ValueError: `low` is not below `high`, or an end is nan without a reason, or a number with one.
    """

    low: float
    high: float
    unknown: str = ""

    def __post_init__(self) -> None:
        if self.unknown and math.isnan(self.low) and math.isnan(self.high):
            return
        if self.unknown or not self.low < self.high:
            raise ValueError(f"a horizon passes at low and fails at high, so low < high; got {self.low}, {self.high}")

    @property
    def remembered(self) -> float:
        """The largest lag up to which the network remembers: `low`, 0 if the smallest lag fails, nan if unknown."""
        return self.low if math.isnan(self.low) else max(0.0, self.low)

    @property
    def right(self) -> bool:
        """Right-censored: every tested lag passes."""
        return math.isinf(self.high)

    @property
    def left(self) -> bool:
        """Left-censored: the smallest tested lag fails."""
        return self.low <= 0 and not self.right

    @property
    def censored(self) -> bool:
        """Left- or right-censored."""
        return self.left or self.right

    def __str__(self) -> str:
        if self.unknown:
            return f"unknown ({self.unknown})"
        low, high = f"{self.low:.10g}", f"{self.high:.10g}"
        return f"at least {low}" if self.right else f"below {high}" if self.left else f"{low} to {high}"


@dataclass(frozen=True)
class Reading:
    """A horizon read from passes and failures at each lag.

    Attributes:
        horizon: where success ends.
        last_success: the largest lag that passes; 0 where none passes, nan where no lag has a score.
        monotone: no lag passes beyond one that fails. If False, `first_failure` and `largest_success` disagree.
    """

    horizon: Horizon
    last_success: float
    monotone: bool


def first_failure(lags: ArrayLike, passed: ArrayLike) -> Reading:
    """The retention horizon of one network: from the last lag before the first failure to that failure.

    Args:
        lags: test lags in any order, each once.
        passed: whether each lag passes; nan if that is unknown. Such lags are left out.

    Raises:
        ValueError: no lags, a lag below 0 or given twice, or not one answer for each lag.
    """
    lag_L, passed_L = _sorted(lags, passed)
    return _reading(lag_L, passed_L, int(np.argmin(passed_L)) if not passed_L.all() else len(lag_L))


def largest_success(lags: ArrayLike, passed: ArrayLike) -> Reading:
    """The trainability horizon of one seed: from the largest lag at which training succeeds to the next tested lag.

    Arguments and errors are as in `first_failure`; both functions agree if no lag passes beyond one that fails.
    """
    lag_L, passed_L = _sorted(lags, passed)
    return _reading(lag_L, passed_L, int(np.flatnonzero(passed_L)[-1]) + 1 if passed_L.any() else 0)


def retention_horizon(lags: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> Reading:
    """`first_failure` of scores against a threshold: 0.5 for skill, `success_threshold(chance)` for accuracy.

    A lag whose score is nan is unknown, and is left out.
    """
    return first_failure(lags, at_least(scores, threshold))


def at_least(scores: ArrayLike, threshold: float) -> NDArray[np.float64]:
    """Whether each score reaches a threshold: 1 or 0, or nan where the score is nan."""
    score_L = np.asarray(scores, float)
    return np.where(np.isnan(score_L), np.nan, score_L >= threshold)


def success_threshold(chance: float) -> float:
    """The accuracy half-way from chance to perfect, `(1 + chance) / 2`.

    Raises:
        ValueError: chance outside [0, 1).
    """
    if not 0 <= chance < 1:
        raise ValueError(f"chance must lie in [0, 1), got {chance}")
    return (1 + chance) / 2


def median_horizon(horizons: Sequence[Horizon]) -> Horizon:
    """The horizon that half of the seeds reach: from the median of the low ends to the median of the high ends.

    With an even number of seeds each end is the lower of the middle two, so that a median is always a tested lag. It is
    right-censored when more than half of the seeds are. Unknown horizons are left out, unless all are unknown.

    Raises:
        ValueError: no horizons.
    """
    if not horizons:
        raise ValueError("median_horizon needs at least one horizon, got none")
    known = [one for one in horizons if not one.unknown]
    if not known:
        return horizons[0]
    horizons = known
    middle = (len(horizons) - 1) // 2
    return Horizon(sorted(one.low for one in horizons)[middle], sorted(one.high for one in horizons)[middle])


def check_lags(lag_L: NDArray[np.float64]) -> None:
    """Raise ValueError unless the lags are a list of finite numbers of at least 0, each once."""
    if lag_L.ndim != 1 or not len(lag_L):
        raise ValueError(f"lags must be a list of at least one lag, got {lag_L.tolist()}")
    if not np.isfinite(lag_L).all() or (lag_L < 0).any():
        raise ValueError(f"lags must be finite and at least 0, got {lag_L.tolist()}")
    if len(np.unique(lag_L)) < len(lag_L):
        raise ValueError(f"each lag may be listed only once, got {lag_L.tolist()}")


def _reading(lag_L: NDArray[np.float64], passed_L: NDArray[np.bool_], end: int) -> Reading:
    """The horizon that ends at the lag with index `end`, the next after the last lag that passes."""
    if not len(lag_L):
        return Reading(Horizon(math.nan, math.nan, "no lag has a score"), math.nan, True)
    # Lag 0 needs no memory: a failure at lag 0 is censored further left than a failure at any other lag.
    low = float(lag_L[end - 1]) if end > 0 else (0.0 if lag_L[0] > 0 else -math.inf)
    high = float(lag_L[end]) if end < len(lag_L) else math.inf
    last_success = float(lag_L[passed_L].max(initial=0.0))
    return Reading(Horizon(low, high), last_success, not bool((passed_L[1:] & ~passed_L[:-1]).any()))


def _sorted(lags: ArrayLike, passed: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    lag_L, passed_L = np.asarray(lags, float), np.asarray(passed)
    check_lags(lag_L)
    if passed_L.shape != lag_L.shape:
        raise ValueError(f"passed must have one value for each lag, got {passed_L.shape} for lags {lag_L.shape}")
    known_L = ~np.isnan(passed_L.astype(float))
    if not np.isin(passed_L[known_L], (False, True)).all():
        raise ValueError(f"passed must be True or False at each lag, or nan if unknown, got {passed_L.tolist()}")
    lag_L, passed_L = lag_L[known_L], passed_L[known_L]
    order = np.argsort(lag_L)
    return lag_L[order], passed_L[order].astype(bool)
