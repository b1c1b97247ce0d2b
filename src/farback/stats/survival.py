"""The Kaplan-Meier curve of horizons, some of which are lower bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Survival:
    """A survival curve: `share[i]` of the group has a horizon beyond `lag[i]`.

    Attributes:
        lag: the lags at which the curve may step, increasing.
        share: the value of the curve from that lag on; before the first lag it is 1.
        median: the smallest lag at which the curve is at most 0.5; inf if the curve stays above 0.5, because more than
            half of the group may lie beyond the last lag. (If the curve is exactly 0.5 over several lags, R takes the
            middle of this stretch, and this function its first lag.)
        restricted_mean: area under the curve from 0 to the limit.
    """

    lag: NDArray[np.float64]
    share: NDArray[np.float64]
    median: float
    restricted_mean: float


def kaplan_meier(values: ArrayLike, censored: ArrayLike | None = None, limit: float | None = None) -> Survival:
    """The Kaplan-Meier curve of horizons, by `scipy.stats.ecdf`.

    Args:
        values: one horizon per seed, finite and at least 0.
        censored: whether each horizon is a lower bound (right-censored); none by default.
        limit: where the restricted mean ends; the largest value by default.

    Raises:
        ValueError: no values, a value below 0 or not finite, not one flag for each value, or a limit that is negative,
            or beyond the largest value while the curve is above 0.
    """
    value_N = np.asarray(values, float)
    flag_N = np.zeros(value_N.shape, bool) if censored is None else np.asarray(censored)
    if value_N.ndim != 1 or not len(value_N):
        raise ValueError(f"values must be a list of at least one horizon, got {value_N.tolist()}")
    if not np.isfinite(value_N).all() or (value_N < 0).any():
        raise ValueError(f"horizons must be finite and at least 0 (censor them instead), got {value_N.tolist()}")
    if flag_N.shape != value_N.shape or not np.isin(flag_N, (False, True)).all():
        raise ValueError(f"censored must be True or False for each of {len(value_N)} horizons, got {flag_N.tolist()}")
    curve = scipy.stats.ecdf(scipy.stats.CensoredData.right_censored(value_N, flag_N.astype(bool))).sf
    lag, share = np.asarray(curve.quantiles, float), np.asarray(curve.probabilities, float)

    end = float(value_N.max()) if limit is None else float(limit)
    if not 0 <= end < math.inf or (end > value_N.max() and share[-1] > 0):
        raise ValueError(f"the limit must be from 0 to {value_N.max():g}, beyond which nothing is known, got {end}")
    below = np.flatnonzero(share <= 0.5 + 1e-12)  # 0.5 may come out as 0.5000000000000001
    edges = np.minimum(np.concatenate([[0.0], lag, [max(end, lag[-1])]]), end)
    area = float(np.diff(edges) @ np.concatenate([[1.0], share]))
    return Survival(lag, share, float(lag[below[0]]) if len(below) else math.inf, area)
