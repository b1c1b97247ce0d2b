"""The lag at which half of fresh seeds succeed, without a model of the curve: centred isotonic regression."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from farback.stats.psychometric import Floats, check_level, counts_by_lag
from farback.stats.success_rates import isotonic

DRAWS = 2000  # of the exact tests


def isotonic_threshold(
    lag: ArrayLike, successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95
) -> tuple[float, float, float]:
    """The half-way lag without a model of the curve: (estimate, low, high). Only assumes that rates fall with the lag.

    The estimate is centred isotonic regression: rates that rise with the lag are pooled at their mean log2 lag, and the
    curve is linear in log2 lag between these points. It is 0 or inf where the curve does not cross one half. It never
    lies below a lag whose pooled rate is above one half, or above a lag whose pooled rate is below.

    `low` is the largest lag at which, and at all smaller ones, a rate of at most one half is rejected: if it were, no
    longer lag could have a higher rate, so the successes over this lag and any number of the next ones would be those
    of a fair coin or fewer. The test is the largest standardised number of successes over these lags, with its exact
    distribution by simulation, at (1 - level) / 2. `high` is the same for failures towards shorter lags. The interval
    holds for numbers of trials that were fixed before; lags chosen by the outcomes make it approximate.

    Arguments and errors as in `psychometric`.

    Source: Oron and Flournoy 2017 (the estimate).
    """
    lag_K, success_K, trial_K = counts_by_lag(lag, successes, trials)
    check_level(level)
    tail = (1 - level) / 2
    passed = _first_rejected(success_K, trial_K, tail)
    failed = _first_rejected((trial_K - success_K)[::-1], trial_K[::-1], tail)
    low = float(lag_K[passed - 1]) if passed else 0.0
    high = float(lag_K[len(lag_K) - failed]) if failed else math.inf
    return _centred_isotonic(lag_K, success_K, trial_K), low, high


def _centred_isotonic(lag_K: Floats, success_K: Floats, trial_K: Floats) -> float:
    rate_K = isotonic(success_K, trial_K)
    if rate_K[0] < 0.5 or rate_K[-1] > 0.5:
        return 0.0 if rate_K[0] < 0.5 else math.inf
    extreme_K = (rate_K == 0) | (rate_K == 1)  # equal rates of 0 or 1 are no violation: these lags are not pooled
    starts = np.flatnonzero((np.diff(rate_K, prepend=np.inf) != 0) | extreme_K)
    blocks = np.split(np.arange(len(rate_K)), starts[1:])
    octave_B = np.array([np.average(np.log2(lag_K[block]), weights=trial_K[block]) for block in blocks])
    crossing = 2 ** np.interp(-0.5, -rate_K[starts], octave_B)
    above, below = lag_K[rate_K > 0.5], lag_K[rate_K < 0.5]
    return float(np.clip(crossing, above.max(initial=0.0), below.min(initial=math.inf)))


def _first_rejected(success_K: Floats, trial_K: Floats, tail: float) -> int:
    """The number of lags before the first at which a rate of at most one half is not rejected.

    The p at a lag is that of the largest standardised sum of the counts from this lag on, against fair coins.
    """
    drawn_DK = np.random.default_rng(0).binomial(trial_K.astype(int), 0.5, (DRAWS, len(trial_K)))
    excess_DK = _sums(2 * np.vstack([success_K[None], drawn_DK]) - trial_K)  # row 0 is observed
    total_K = _sums(trial_K[None])[0]
    for k in range(len(trial_K)):
        scale_K = np.sqrt(total_K[k + 1 :] - total_K[k])
        observed = float(((excess_DK[0, k + 1 :] - excess_DK[0, k]) / scale_K).max())
        needed_K = np.ceil((observed - 1e-9) * scale_K).astype(excess_DK.dtype)
        reached_D = (excess_DK[1:, k + 1 :] - excess_DK[1:, k : k + 1] >= needed_K).any(-1)
        if (1 + reached_D.sum()) / (1 + DRAWS) > tail:
            return k
    return len(trial_K)


def _sums(count_RK: Floats) -> NDArray[np.int32]:
    """Cumulative sums of whole numbers along the lags, with a 0 before the first."""
    sums: NDArray[np.int32] = np.cumsum(np.pad(count_RK, ((0, 0), (1, 0))), -1).astype(np.int32)
    return sums
