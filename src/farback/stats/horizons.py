"""A horizon is a lag known to lie between two tested lags, or beyond them all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Horizon:
    """Interval-censored: passes at lag `low`, fails at lag `high`.

    `high = inf` when the largest tested lag passes: `str(Horizon(320, inf))` is ">= 320". `low = 0` when the smallest
    tested lag fails: `str(Horizon(0, 5))` is "< 5" (lag 0 is the same step and needs no memory). Otherwise
    `str(Horizon(20, 40))` is "[20, 40)".

    Raises:
        ValueError: an end is nan, `low` is inf, or `low` is not below `high`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"a horizon passes at low and fails at high, so low < high; got {self.low}, {self.high}")

    @property
    def right(self) -> bool:
        """Censored on the right: nothing tested fails."""
        return math.isinf(self.high)

    @property
    def left(self) -> bool:
        """Censored on the left: the smallest tested lag fails."""
        return self.low <= 0 and not self.right

    @property
    def censored(self) -> bool:
        """Whether it lies beyond the tested lags, on either side."""
        return self.left or self.right

    def __str__(self) -> str:
        if self.right:
            return f">= {_lag(self.low)}"
        if self.left:
            return f"< {_lag(self.high)}"
        return f"[{_lag(self.low)}, {_lag(self.high)})"


@dataclass(frozen=True)
class Reading:
    """A horizon read off pass or fail at each lag.

    Attributes:
        horizon: where success ends.
        last_success: the largest lag that passes; 0 where none does.
        monotone: no lag passes beyond one that fails. If not, the first failure and the last success disagree.
    """

    horizon: Horizon
    last_success: float
    monotone: bool


def first_failure(lags: ArrayLike, passed: ArrayLike) -> Reading:
    """The retention horizon of one network: from the last lag before the first failure to that failure.

    Args:
        lags: test lags in any order, each once.
        passed: whether each lag passes.

    Raises:
        ValueError: no lags, lags below 0 or twice, or as many answers as lags missing.
    """
    at, good = _sorted(lags, passed)
    return _reading(at, good, int(np.argmin(good)) if not good.all() else len(at))


def largest_success(lags: ArrayLike, passed: ArrayLike) -> Reading:
    """The trainability horizon of one seed: from the largest lag at which training succeeds to the next lag tried.

    Arguments and errors as in `first_failure`; the two agree where success is monotone in lag.
    """
    at, good = _sorted(lags, passed)
    return _reading(at, good, int(np.flatnonzero(good)[-1]) + 1 if good.any() else 0)


def retention_horizon(lags: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> Reading:
    """`first_failure` of scores against a threshold: 0.5 in skill, `success_threshold(chance)` in accuracy.

    A score that is nan fails.
    """
    return first_failure(lags, np.asarray(scores, float) >= threshold)


def success_threshold(chance: float) -> float:
    """Half-way from chance to perfect, `(1 + chance) / 2`: an accuracy that half a memory does not reach.

    Raises:
        ValueError: chance outside [0, 1).
    """
    if not 0 <= chance < 1:
        raise ValueError(f"chance must lie in [0, 1), got {chance}")
    return (1 + chance) / 2


def median_horizon(horizons: Sequence[Horizon]) -> Horizon:
    """The horizon that half of the seeds reach: the median of the low ends to the median of the high ends.

    With an even number of seeds it is the lower of the middle two, at both ends, so that a median is always a lag that
    was tested. Right-censored when more than half of the seeds are.

    Raises:
        ValueError: no horizons.
    """
    if not horizons:
        raise ValueError("needs at least one horizon, got none")
    middle = (len(horizons) - 1) // 2
    return Horizon(sorted(one.low for one in horizons)[middle], sorted(one.high for one in horizons)[middle])


def _reading(lag_L: NDArray[np.float64], good_L: NDArray[np.bool_], end: int) -> Reading:
    """A horizon that ends at the lag of index `end`, one past the last lag that passes."""
    # Lag 0 needs no memory, so failing at it is censored further left than any lag.
    low = float(lag_L[end - 1]) if end > 0 else (0.0 if lag_L[0] > 0 else -math.inf)
    high = float(lag_L[end]) if end < len(lag_L) else math.inf
    last = float(lag_L[good_L].max()) if good_L.any() else 0.0
    return Reading(Horizon(low, high), last, not bool((good_L[1:] & ~good_L[:-1]).any()))


def _sorted(lags: ArrayLike, passed: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    lag_L = np.asarray(lags, float)
    good_L: NDArray[Any] = np.asarray(passed)
    check_lags(lag_L)
    if good_L.shape != lag_L.shape:
        raise ValueError(f"needs one answer for each lag, got {good_L.shape} answers for {lag_L.shape} lags")
    if not np.isin(good_L, (False, True)).all():
        raise ValueError(f"an answer is True or False, got {good_L.tolist()}")
    order = np.argsort(lag_L)
    return lag_L[order], good_L[order].astype(bool)


def check_lags(lag_L: NDArray[np.float64], smallest: float = 0.0) -> None:
    """Raise ValueError unless lags are a list of finite numbers, at least `smallest`, each once."""
    if lag_L.ndim != 1 or not len(lag_L):
        raise ValueError(f"needs a list of at least one lag, got {lag_L.tolist()}")
    if not np.isfinite(lag_L).all() or (lag_L < smallest).any():
        raise ValueError(f"lags must be finite and at least {smallest:g}, got {lag_L.tolist()}")
    if len(np.unique(lag_L)) < len(lag_L):
        raise ValueError(f"each lag may come once, got {lag_L.tolist()}")


def _lag(value: float) -> str:
    return f"{value:.10g}"
