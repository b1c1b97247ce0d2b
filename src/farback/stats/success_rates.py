"""Mean horizons from success rates: isotonic regression of proportions, then Spearman-Karber on log2 lag."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from farback.stats.horizons import check_lags
from farback.stats.intervals import RESAMPLES, percentiles, resampled


@dataclass(frozen=True)
class MeanHorizon:
    """The mean horizon of a group of seeds on the scale of log2 lag, restricted to the tested lags.

    Attributes:
        lag: Spearman-Karber estimate.
        low: lower end of the bootstrap interval; 0 if the end is the smallest lag and some seeds fail at that lag.
        high: upper end; inf if the end is the largest lag and some seeds pass at that lag.
    """

    lag: float
    low: float
    high: float


def isotonic(successes: ArrayLike, trials: ArrayLike) -> NDArray[np.float64]:
    """Success rates that never increase with lag, by pooling adjacent violators, weighted by trials.

    Successes and trials are in the order of increasing lag.

    Raises:
        ValueError: no lags, unequal lengths, a lag without trials, or successes outside 0..trials.
    """
    success_L, trial_L = np.asarray(successes, float), np.asarray(trials, float)
    if success_L.ndim != 1 or success_L.shape != trial_L.shape or not len(success_L):
        raise ValueError(f"successes and trials need one number per lag, got {success_L.tolist()}, {trial_L.tolist()}")
    if not (np.isfinite(trial_L).all() and (trial_L > 0).all()):
        raise ValueError(f"trials must be above 0 at each lag, got {trial_L.tolist()}")
    if not ((success_L >= 0) & (success_L <= trial_L)).all():
        raise ValueError(f"successes must be from 0 to trials, got {success_L.tolist()} of {trial_L.tolist()}")
    rate_L: NDArray[np.float64] = scipy.optimize.isotonic_regression(
        success_L / trial_L, weights=trial_L, increasing=False
    ).x
    return np.clip(rate_L, 0.0, 1.0)


def spearman_karber(lags: ArrayLike, successes: ArrayLike, trials: ArrayLike) -> float:
    """The mean horizon from success rates: isotonic regression, then Spearman-Karber on log2 lag.

    A drop of the rate between two lags is the share of seeds with a horizon between them; it counts at the geometric
    mean of the two. Nothing is extrapolated: the share that fails at the smallest lag counts at that lag (so the value
    is an upper bound), the share that passes at the largest counts there (a lower bound). No curve is fitted, so that
    complete separation, where maximum likelihood diverges, is no problem.

    Args:
        lags: above 0, in any order, each once.
        successes, trials: at each of these lags.

    Raises:
        ValueError: a lag that is not positive or is listed twice, or as `isotonic`.

    Source: Spearman 1908, Karber 1931; restricted to the tested lags, as a restricted mean survival time is.
    """
    lag_L = _positive_lags(lags)
    success_L, trial_L = np.asarray(successes, float), np.asarray(trials, float)
    if not lag_L.shape == success_L.shape == trial_L.shape:
        raise ValueError(f"successes and trials need one number for each of {len(lag_L)} lags: {success_L}, {trial_L}")
    order = np.argsort(lag_L)
    low, high = _mean_ends(lag_L[order], success_L[order], trial_L[order])
    return _power((low + high) / 2)


def mean_horizon(
    lags: ArrayLike, passed: ArrayLike, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> MeanHorizon:
    """Spearman-Karber with a percentile bootstrap interval over seeds; the same `seed` gives the same interval.

    A horizon is known only to lie between two lags. The lower end of the interval therefore places every horizon at the
    lag that passes, and the upper end at the lag that fails: five seeds with [20, 40) give 20 to 40, not a point.

    Args:
        lags: above 0, shape (L,), in any order, each once.
        passed: shape (seeds, L); 1 if the seed passes at the lag, 0 if it fails, nan if the lag was not tried.

    Raises:
        ValueError: shapes that do not fit, a lag tried by no seed, a seed tried at no lag.
    """
    lag_L, passed_SL = _positive_lags(lags), np.asarray(passed, float)
    if passed_SL.ndim != 2 or passed_SL.shape[1] != len(lag_L) or not len(passed_SL):
        raise ValueError(f"passed must be of shape (seeds, {len(lag_L)} lags), got {passed_SL.shape}")
    tried_SL = ~np.isnan(passed_SL)
    if not (tried_SL.any(0).all() and tried_SL.any(1).all()):
        raise ValueError("passed has a row (seed) or a column (lag) that is nan throughout; each needs a 0 or 1")
    if not np.isin(passed_SL[tried_SL], (0, 1)).all():
        raise ValueError("passed must be 1, 0 or nan everywhere")
    order = np.argsort(lag_L)
    lag_L, tried_SL, success_SL = lag_L[order], tried_SL[:, order], np.nan_to_num(passed_SL[:, order])

    # Few seeds give few distinct counts, so each distinct one is computed once.
    rows_BS = resampled(len(success_SL), resamples, seed)
    counts = np.concatenate([success_SL[rows_BS].sum(1), tried_SL[rows_BS].sum(1)], axis=1)
    distinct, which_B = np.unique(counts, axis=0, return_inverse=True)
    ends = []
    for row in distinct:
        table_3L = np.stack([lag_L, *np.split(row, 2)])
        ends.append(_mean_ends(*table_3L[:, table_3L[2] > 0]))  # a resample may contain no seed that tried some lag
    end_B2 = np.array(ends)[which_B.reshape(-1)]
    low = _power(percentiles(end_B2[:, 0], confidence)[0])
    high = _power(percentiles(end_B2[:, 1], confidence)[1])
    success_L, trial_L = success_SL.sum(0), tried_SL.sum(0)
    return MeanHorizon(
        spearman_karber(lag_L, success_L, trial_L),
        0.0 if success_L[0] < trial_L[0] and math.isclose(low, lag_L[0]) else low,
        math.inf if success_L[-1] > 0 and math.isclose(high, lag_L[-1]) else high,
    )


def _mean_ends(
    lag_L: NDArray[np.float64], success_L: NDArray[np.float64], trial_L: NDArray[np.float64]
) -> tuple[float, float]:
    """The mean log2 horizon with every horizon at the lag that passes, and with every horizon at the lag that fails."""
    rate_L = isotonic(success_L, trial_L)
    log_L = np.log2(lag_L)
    step = np.diff(log_L)
    return float(log_L[0] + step @ rate_L[1:]), float(log_L[0] + step @ rate_L[:-1])


def _power(log2_lag: float) -> float:
    """2 to a power, rounded to 12 digits: 20.0, not 20.000000000000004."""
    return float(f"{2.0**log2_lag:.12g}")


def _positive_lags(lags: ArrayLike) -> NDArray[np.float64]:
    lag_L = np.asarray(lags, float)
    check_lags(lag_L)
    if (lag_L <= 0).any():
        raise ValueError(f"lags must be above 0 because their logarithm is taken, got {lag_L.tolist()}")
    return lag_L
