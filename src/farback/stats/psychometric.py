"""The lag at which half of fresh seeds succeed: a psychometric curve by Bayes' rule, and an estimate without a model.

The success rate at lag x is (1 - lapse) / (1 + (x / m)^slope): near 1 - lapse at short lags and near 0 at long ones.
The half-way lag is where it is one half; m follows from it. The posterior is computed on a grid over the half-way lag, the slope and the lapse, with proper priors, so that complete
separation (all seeds succeed at one lag, none at the next) needs no special case.

Source: Kontsevich and Tyler 1999 (posterior on a grid), Prins 2013 (slope and lapse as nuisance parameters), Oron and
Flournoy 2017 (centred isotonic regression).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from farback.stats.horizons import check_lags
from farback.stats.success_rates import isotonic

Floats = NDArray[np.float64]

SLOPES = np.geomspace(1.0, 64.0, 10)  # per factor e of the lag; log-uniform
LAPSES = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4])
LAPSE_PRIOR = np.array([0.3, 0.2, 0.17, 0.13, 0.1, 0.06, 0.04])  # most networks that learn a lag always learn it
BEYOND = 3.0  # octaves that the prior of the half-way lag reaches beyond the smallest and the largest lag
POINTS = 241  # half-way lags on the grid
DRAWS = 2000  # of the posterior predictive check and of the exact tests
UNLIKELY = 0.05  # the posterior predictive p below which the curve does not fit


@dataclass(frozen=True)
class Posterior:
    """Weights over half-way lags (as log2, shape X), slopes (S) and lapses (P); they sum to 1."""

    octave_X: Floats
    weight_XSP: Floats

    def quantiles(self, shares: ArrayLike) -> Floats:
        """Of log2 of the half-way lag, linear between points of the grid."""
        weight_X = self.weight_XSP.sum((1, 2))
        return np.interp(shares, np.cumsum(weight_X) - weight_X / 2, self.octave_X)

    @property
    def deviation(self) -> float:
        """The standard deviation of log2 of the half-way lag, in octaves."""
        weight_X = self.weight_XSP.sum((1, 2))
        return float(np.sqrt(weight_X @ (self.octave_X - weight_X @ self.octave_X) ** 2))


@dataclass(frozen=True)
class Psychometric:
    """What successes at several lags say about the lag at which half of fresh seeds succeed.

    Outside of the lags that were tried only the prior speaks. So an estimate or an end of the interval beyond the
    largest lag is inf, and one below the smallest is 0.

    Attributes:
        estimate: posterior median of the half-way lag.
        low: lower end of its credible interval.
        high: upper end.
        slope: posterior median, per factor e of the lag.
        lapse: posterior mean of the share of seeds that fail even at short lags.
        fits: whether success rates as far from the curve as these are no surprise (posterior predictive p >= 0.05).
        deviation: posterior standard deviation of log2 of the half-way lag, in octaves.
        level: of the interval.
    """

    estimate: float
    low: float
    high: float
    slope: float
    lapse: float
    fits: bool
    deviation: float
    level: float
    posterior: Posterior = field(repr=False, compare=False)

    def curve(self, lag: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """The posterior mean of the success rate at each lag, and the ends of its credible interval; shapes (K,)."""
        rate_KF = success_rate(np.log2(_positive(lag)), self.posterior.octave_X).reshape(np.size(lag), -1)
        weight_F = self.posterior.weight_XSP.ravel()
        ends = np.array([_quantiles(rate_F, weight_F, _tails(self.level)) for rate_F in rate_KF])
        return rate_KF @ weight_F, ends[:, 0], ends[:, 1]


def success_rate(octave_K: Floats, octave_X: Floats) -> Floats:
    """The rate at lags 2^octave_K if the half-way lag is 2^octave_X, for every slope and lapse; shape (K, X, S, P)."""
    half = 0.5 / (1 - LAPSES)  # the logistic function where the rate is one half
    shift_SP = np.log(half / (1 - half))
    z = SLOPES[:, None] * (math.log(2) * (octave_K[:, None] - octave_X))[:, :, None, None] - shift_SP
    rate: Floats = (1 - LAPSES) / (1 + np.exp(np.clip(z, -700, 700)))
    return rate


def psychometric(lag: ArrayLike, successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> Psychometric:
    """The half-way lag from successes of independent trainings; lags may have any number of trials.

    Args:
        lag: above 0, shape (K,), in any order.
        successes: at each lag.
        trials: at each lag, at least 1.
        level: of the credible interval.

    Raises:
        ValueError: no lags, shapes that differ, a lag that is not above 0 or comes twice, successes outside 0..trials,
            or a level outside (0, 1).
    """
    lag_K, success_K, trial_K = _counts(lag, successes, trials)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    octave_K = np.log2(lag_K)
    low, high = octave_K[0] - BEYOND, octave_K[-1] + BEYOND
    found = posterior(octave_K, success_K, trial_K, np.linspace(low, high, POINTS))
    weight_X = found.weight_XSP.sum((1, 2))
    kept = np.flatnonzero(weight_X > 1e-7 * weight_X.max())  # then a finer grid over what is possible
    step = found.octave_X[1] - found.octave_X[0]
    ends = found.octave_X[kept[0]] - step, found.octave_X[kept[-1]] + step
    return summary(lag_K, success_K, trial_K, posterior(octave_K, success_K, trial_K, np.linspace(*ends, POINTS)), level)


def posterior(octave_K: Floats, success_K: Floats, trial_K: Floats, octave_X: Floats) -> Posterior:
    """Bayes' rule on the grid of these half-way lags (all equally probable before), `SLOPES` and `LAPSES`."""
    rate_KXSP = np.clip(success_rate(octave_K, octave_X), 1e-12, 1 - 1e-12)
    log_XSP = np.tensordot(success_K, np.log(rate_KXSP), 1) + np.tensordot(trial_K - success_K, np.log1p(-rate_KXSP), 1)
    weight_XSP = np.exp(log_XSP - log_XSP.max()) * LAPSE_PRIOR
    return Posterior(octave_X, weight_XSP / weight_XSP.sum())


def summary(lag_K: Floats, success_K: Floats, trial_K: Floats, found: Posterior, level: float) -> Psychometric:
    """The numbers that are reported of a posterior; lags ascend."""
    low, middle, high = 2 ** found.quantiles([_tails(level)[0], 0.5, _tails(level)[1]])
    weight_S, weight_P = found.weight_XSP.sum((0, 2)), found.weight_XSP.sum((0, 1))
    return Psychometric(
        estimate=_within(middle, lag_K),
        low=_within(low, lag_K),
        high=_within(high, lag_K),
        slope=float(_quantiles(SLOPES, weight_S, (0.5,))[0]),
        lapse=float(weight_P @ LAPSES),
        fits=_predictive_p(lag_K, success_K, trial_K, found) >= UNLIKELY,
        deviation=found.deviation,
        level=level,
        posterior=found,
    )


def _predictive_p(lag_K: Floats, success_K: Floats, trial_K: Floats, found: Posterior) -> float:
    """How often data drawn from the posterior are at least as far from their own curve as the data are from it.

    The distance is the deviance, summed over lags.
    """
    rng = np.random.default_rng(0)
    rate_KF = success_rate(np.log2(lag_K), found.octave_X).reshape(len(lag_K), -1)
    weight_F = found.weight_XSP.ravel()
    rate_KD = np.clip(rate_KF[:, rng.choice(len(weight_F), DRAWS, p=weight_F)], 1e-9, 1 - 1e-9)
    drawn_KD = rng.binomial(trial_K.astype(int)[:, None], rate_KD)

    def deviance(count_KD: NDArray[Any]) -> Floats:
        fail_KD = trial_K[:, None] - count_KD
        terms = xlogy(count_KD, count_KD / (trial_K[:, None] * rate_KD))
        return (terms + xlogy(fail_KD, fail_KD / (trial_K[:, None] * (1 - rate_KD)))).sum(0)

    return float((deviance(drawn_KD) >= deviance(np.broadcast_to(success_K[:, None], drawn_KD.shape))).mean())


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
    lag_K, success_K, trial_K = _counts(lag, successes, trials)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    tail = (1 - level) / 2
    above = [_coin_p(success_K[k:], trial_K[k:]) <= tail for k in range(len(lag_K))]
    below = [_coin_p((trial_K - success_K)[k::-1], trial_K[k::-1]) <= tail for k in range(len(lag_K))]
    passed = int(np.argmin([*above, False]))  # lags before the first that is not rejected
    failed = int(np.argmin([*below[::-1], False]))
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


def _coin_p(success_K: Floats, trial_K: Floats) -> float:
    """The p of the largest standardised sum of the first counts, against fair coins."""
    total_K = np.cumsum(trial_K)

    def largest(count_DK: NDArray[Any]) -> Floats:
        return ((np.cumsum(count_DK, -1) - total_K / 2) / np.sqrt(total_K / 4)).max(-1)

    drawn_DK = np.random.default_rng(0).binomial(trial_K.astype(int), 0.5, (DRAWS, len(trial_K)))
    return float((1 + (largest(drawn_DK) >= largest(success_K) - 1e-9).sum()) / (1 + DRAWS))


def _counts(lag: ArrayLike, successes: ArrayLike, trials: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Lags in ascending order, with their successes and trials."""
    lag_K = _positive(lag)
    success_K, trial_K = np.asarray(successes, float), np.asarray(trials, float)
    if not lag_K.shape == success_K.shape == trial_K.shape:
        raise ValueError(f"needs successes and trials for each of {len(lag_K)} lags, got {success_K}, {trial_K}")
    if (trial_K != np.round(trial_K)).any() or (success_K != np.round(success_K)).any():
        raise ValueError(f"successes and trials are whole numbers, got {success_K.tolist()} of {trial_K.tolist()}")
    isotonic(success_K, trial_K)  # checks the numbers
    order = np.argsort(lag_K)
    return lag_K[order], success_K[order], trial_K[order]


def _positive(lag: ArrayLike) -> Floats:
    lag_K = np.atleast_1d(np.asarray(lag, float))
    check_lags(lag_K)
    if (lag_K <= 0).any():
        raise ValueError(f"lags must be above 0 because their logarithm is taken, got {lag_K.tolist()}")
    return lag_K


def _tails(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2


def _quantiles(value_F: Floats, weight_F: Floats, shares: ArrayLike) -> Floats:
    order = np.argsort(value_F)
    weight_F = weight_F[order]
    return np.interp(shares, np.cumsum(weight_F) - weight_F / 2, value_F[order])


def _within(lag: float, lag_K: Floats) -> float:
    return 0.0 if lag < lag_K[0] else math.inf if lag > lag_K[-1] else float(lag)
