"""How far back from success rates: isotonic regression on proportions, then Spearman-Karber on log2 lag."""

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
        low: lower end of the bootstrap interval; 0 when seeds that fail the smallest lag hold it at that lag.
        high: upper end; inf when seeds that pass the largest lag hold it at that lag.
    """

    lag: float
    low: float
    high: float


def isotonic(successes: ArrayLike, trials: ArrayLike) -> NDArray[np.float64]:
    """Success rates that never rise with lag, by pooling adjacent violators, weighted by trials.

    Args:
        successes: at each lag, in the order of rising lag.
        trials: at each lag.

    Raises:
        ValueError: no lags, unequal lengths, a lag without trials, or successes outside 0..trials.
    """
    success_L, trial_L = np.asarray(successes, float), np.asarray(trials, float)
    if success_L.ndim != 1 or success_L.shape != trial_L.shape or not len(success_L):
        raise ValueError(f"needs successes and trials for each lag, got {success_L.tolist()} and {trial_L.tolist()}")
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

    A drop of the rate between two lags is a share of seeds whose horizon lies between them; it counts at their
    geometric mean. Beyond the tested lags nothing is invented: the share that fails at the smallest lag counts at the
    smallest lag (so the value is an upper bound), the share that passes the largest counts at the largest (a lower
    bound). It needs no fitted curve and so survives complete separation, where maximum likelihood diverges.

    Args:
        lags: above 0, in any order, each once.
        successes: at each lag.
        trials: at each lag.

    Raises:
        ValueError: lags that are not positive or come twice; others as `isotonic`.

    Source: Spearman 1908, Karber 1931; ends restricted as in a restricted mean survival time.
    """
    lag_L = np.asarray(lags, float)
    check_lags(lag_L)
    _check_positive(lag_L)
    success_L, trial_L = np.asarray(successes, float), np.asarray(trials, float)
    if not lag_L.shape == success_L.shape == trial_L.shape:
        raise ValueError(f"needs successes and trials for each of {len(lag_L)} lags, got {success_L}, {trial_L}")
    order = np.argsort(lag_L)
    low, high = _mean_ends(lag_L[order], isotonic(success_L[order], trial_L[order]))
    return _power((low + high) / 2)


def mean_horizon(
    lags: ArrayLike, passed: ArrayLike, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> MeanHorizon:
    """Spearman-Karber over seeds with a percentile bootstrap interval; seeds are resampled, never sequences.

    A horizon is known only to lie between two lags, so the lower end of the interval places every horizon at the lag
    that passes and the upper end at the lag that fails: five seeds that agree on [20, 40) give 20 to 40, not a point.

    Args:
        lags: above 0, shape (L,), in any order, each once.
        passed: shape (seeds, L); 1 passes, 0 fails, nan was not tried.
        confidence: of the interval.
        resamples: how many.
        seed: of the resampling; equal seed, equal interval.

    Raises:
        ValueError: shapes that do not fit, a lag tried by no seed, a seed tried at no lag.
    """
    lag_L, passed_SL = np.asarray(lags, float), np.asarray(passed, float)
    check_lags(lag_L)
    _check_positive(lag_L)
    if passed_SL.ndim != 2 or passed_SL.shape[1] != len(lag_L) or not len(passed_SL):
        raise ValueError(f"needs passes of shape (seeds, {len(lag_L)} lags), got shape {passed_SL.shape}")
    tried_SL = ~np.isnan(passed_SL)
    if not (tried_SL.any(0).all() and tried_SL.any(1).all()):
        raise ValueError("each lag must be tried by a seed, and each seed at a lag")
    if not np.isin(passed_SL[tried_SL], (0, 1)).all():
        raise ValueError("passes must be 1, 0 or nan")
    order = np.argsort(lag_L)
    lag_L, tried_SL, success_SL = lag_L[order], tried_SL[:, order], np.nan_to_num(passed_SL[:, order])

    # Few seeds give few distinct counts, so each is worked out once.
    rows_BS = resampled(len(success_SL), resamples, seed)
    counts = np.concatenate([success_SL[rows_BS].sum(1), tried_SL[rows_BS].sum(1)], axis=1)
    distinct, which_B = np.unique(counts, axis=0, return_inverse=True)
    ends = np.array([_counted_ends(lag_L, *np.split(row, 2)) for row in distinct])[which_B.reshape(-1)]
    low = _power(percentiles(ends[:, 0], confidence)[0])
    high = _power(percentiles(ends[:, 1], confidence)[1])
    trial_L, rate_L = tried_SL.sum(0), success_SL.sum(0) / tried_SL.sum(0)
    return MeanHorizon(
        spearman_karber(lag_L, success_SL.sum(0), trial_L),
        0.0 if rate_L[0] < 1 and math.isclose(low, lag_L[0]) else low,
        math.inf if rate_L[-1] > 0 and math.isclose(high, lag_L[-1]) else high,
    )


def _counted_ends(
    lag_L: NDArray[np.float64], success_L: NDArray[np.float64], trial_L: NDArray[np.float64]
) -> tuple[float, float]:
    tried_L = trial_L > 0  # a resample may hold no seed that was tried at some lag
    return _mean_ends(lag_L[tried_L], isotonic(success_L[tried_L], trial_L[tried_L]))


def _mean_ends(lag_L: NDArray[np.float64], rate_L: NDArray[np.float64]) -> tuple[float, float]:
    """Mean log2 horizon with each one at the lag that passes, and with each at the lag that fails."""
    log_L = np.log2(lag_L)
    step = np.diff(log_L)
    return float(log_L[0] + step @ rate_L[1:]), float(log_L[0] + step @ rate_L[:-1])


def _power(log2_lag: float) -> float:
    """2 to a power, without the last digits' noise: 20.0, not 20.000000000000004."""
    return float(f"{2.0**log2_lag:.12g}")


def _check_positive(lag_L: NDArray[np.float64]) -> None:
    if (lag_L <= 0).any():
        raise ValueError(f"lags must be above 0, for their logarithm is taken, got {lag_L.tolist()}")
