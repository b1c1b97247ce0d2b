"""The lag at which half of fresh seeds succeed: a psychometric curve by Bayes' rule.

The success rate at lag x is (1 - lapse) / (1 + (x / m)^slope): near 1 - lapse at short lags and near 0 at long ones.
The half-way lag is where the rate is exactly one half; m follows from it. The posterior is computed on a grid with
proper priors, so complete separation (all seeds succeed at one lag, none at the next) needs no special case:

- log2 of the half-way lag: uniform from `BEYOND` octaves below the smallest lag to as many above the largest;
- slope, per factor e of the lag: a step function with probability 0.3, else a density proportional to slope^-2
  between 1.3 and 64;
- lapse: Beta(1, 5) below 0.45. Most networks that learn a task at short lags always learn it.

Source: Kontsevich and Tyler 1999 (posterior on a grid), Prins 2013 (slope and lapse as nuisance parameters).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from farback.stats.horizons import check_lags
from farback.stats.success_rates import isotonic

Floats = NDArray[np.float64]
Ends = tuple[float, float]

LOG_SLOPE = (math.log(1.3), math.log(64.0))
STEEPNESS = -1.0  # power of the slope to which its density on a logarithmic axis is proportional
STEP = 0.3  # probability of a step function; without it the intervals of steep curves would be too narrow
RARITY = 4  # the prior of the lapse is Beta(1, RARITY + 1) below its largest value
ROOT_LAPSE = (0.0, math.sqrt(0.45))  # above 0.5 there would be no half-way lag
BEYOND = 1.0  # octaves
MARGIN = 0.5  # octaves outside of the tried lags, up to which an end of an interval is given
COUNTS = (120, 14, 8)  # cells of half-way lag, slope and lapse
REFINEMENTS = 6  # of the grid, at most: each shrinks it at least to half along one axis
POSSIBLE = 1e-6  # cells with a smaller share of the largest weight of their axis are left out of a finer grid
DRAWS = 2000  # of the posterior predictive check
UNLIKELY = 0.05  # the posterior predictive p below which the curve does not fit


@dataclass(frozen=True)
class Grid:
    """Cells of equal width over log2 half-way lag (X), log slope (S) and the square root of the lapse (P).

    The last slope is inf, a step function, beside the cells of finite slopes.

    Attributes:
        ends: of each axis.
        counts: of cells along each axis.
    """

    ends: tuple[Ends, Ends, Ends]
    counts: tuple[int, int, int]

    def edges(self, axis: int) -> Floats:
        """The ends of the cells along an axis."""
        return np.linspace(*self.ends[axis], self.counts[axis] + 1)

    def middles(self, axis: int) -> Floats:
        """The middles of the cells along an axis."""
        edges = self.edges(axis)
        return (edges[1:] + edges[:-1]) / 2

    @property
    def slope_S(self) -> Floats:
        """Slopes, per factor e of the lag; the last is inf."""
        return np.append(np.exp(self.middles(1)), np.inf)

    @property
    def lapse_P(self) -> Floats:
        """Lapses."""
        return self.middles(2) ** 2

    def prior(self) -> Floats:
        """Prior probability of slopes and lapses, up to a factor; shape (S, P)."""
        low, high = LOG_SLOPE
        whole = (math.exp(STEEPNESS * high) - math.exp(STEEPNESS * low)) / STEEPNESS
        width = (self.ends[1][1] - self.ends[1][0]) / self.counts[1]
        slope_S = np.append((1 - STEP) * self.slope_S[:-1] ** STEEPNESS * width / whole, STEP)
        return np.outer(slope_S, self.middles(2) * (1 - self.lapse_P) ** RARITY)  # d lapse = 2 root * d root

    def rates(self, octave_K: Floats) -> Floats:
        """The success rates at lags 2^octave_K; shape (K, X, S, P), inside of (0, 1)."""
        half_P = 0.5 / (1 - self.lapse_P)  # the logistic function where the rate is one half
        z_KX = math.log(2) * (octave_K[:, None] - self.middles(0))
        z_KXSP = self.slope_S[:-1, None] * z_KX[:, :, None, None] - np.log(half_P / (1 - half_P))
        step_KXSP = np.broadcast_to(np.where(z_KX > 0, 50.0, -50.0)[:, :, None, None], (*z_KX.shape, 1, len(half_P)))
        z_KXSP = np.concatenate([np.clip(z_KXSP, -50, 50), step_KXSP], 2)
        rate_KXSP: Floats = np.clip((1 - self.lapse_P) / (1 + np.exp(z_KXSP)), 1e-12, 1 - 1e-12)
        return rate_KXSP

    def around(self, weight_XSP: Floats) -> Grid:
        """The grid with as many cells over the part where the weights are not negligible."""
        ends = []
        for axis in range(3):
            weight = marginal(weight_XSP, axis)
            kept = np.flatnonzero(weight >= POSSIBLE * weight.max())
            edges = self.edges(axis)
            ends.append((edges[max(kept[0] - 1, 0)], edges[min(kept[-1] + 2, len(weight))]))
        return Grid((ends[0], ends[1], ends[2]), self.counts)


@dataclass(frozen=True)
class Posterior:
    """Weights of the cells of a grid, shape (X, S, P); they sum to 1."""

    grid: Grid
    weight_XSP: Floats

    def quantiles(self, shares: ArrayLike, axis: int = 0) -> Floats:
        """Of a coordinate of the grid (log2 half-way lag unless another axis is named), uniform within each cell."""
        below = np.insert(np.cumsum(marginal(self.weight_XSP, axis)), 0, 0.0)
        beyond = np.inf if axis == 1 else None
        found: Floats = np.interp(np.asarray(shares, float), below, self.grid.edges(axis), right=beyond)
        return found

    def below(self, octave_N: ArrayLike) -> Floats:
        """The probability that log2 of the half-way lag is below each of these numbers."""
        total_X = np.insert(np.cumsum(marginal(self.weight_XSP, 0)), 0, 0.0)
        share_N: Floats = np.interp(np.asarray(octave_N, float), self.grid.edges(0), total_X)
        return share_N

    @property
    def deviation(self) -> float:
        """The standard deviation of log2 of the half-way lag, in octaves."""
        weight_X, octave_X = self.weight_XSP.sum((1, 2)), self.grid.middles(0)
        return float(np.sqrt(weight_X @ (octave_X - weight_X @ octave_X) ** 2))


def marginal(weight_XSP: Floats, axis: int) -> Floats:
    """Weights of the cells along one axis, without the step function on that of slopes."""
    weights: Floats = weight_XSP.sum(tuple({0, 1, 2} - {axis}))
    return weights[:-1] if axis == 1 else weights


@dataclass(frozen=True)
class Psychometric:
    """What successes at several lags say about the lag at which half of fresh seeds succeed.

    An estimate beyond the largest lag that was tried is inf, and one below the smallest is 0. An end of the interval
    may lie outside of these lags by up to half an octave. Further outside only the prior speaks, so there an upper end
    is inf and a lower end 0. The ends of a bound are tried lags: `low` is the largest lag at most, `high` at least the
    smallest.

    Attributes:
        estimate: posterior median of the half-way lag.
        low: lower end of its credible interval.
        high: upper end.
        slope: posterior median, per factor e of the lag; inf for a step function.
        lapse: posterior median of the share of seeds that fail even at short lags.
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
        rate_KF = self.posterior.grid.rates(np.log2(_positive(lag))).reshape(np.size(lag), -1)
        weight_F = self.posterior.weight_XSP.ravel()
        ends = np.array([_quantiles(rate_F, weight_F, _tails(self.level)) for rate_F in rate_KF])
        return rate_KF @ weight_F, ends[:, 0], ends[:, 1]


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
    lag_K, success_K, trial_K = counts_by_lag(lag, successes, trials)
    check_level(level)
    octave_K = np.log2(lag_K)
    grid = Grid(((octave_K[0] - BEYOND, octave_K[-1] + BEYOND), LOG_SLOPE, ROOT_LAPSE), COUNTS)
    found = posterior(success_K, trial_K, grid, grid.rates(octave_K))
    for _ in range(REFINEMENTS):
        finer = grid.around(found.weight_XSP)
        if all(b - a > 0.5 * (d - c) for (a, b), (c, d) in zip(finer.ends, grid.ends, strict=True)):
            break
        grid = finer
        found = posterior(success_K, trial_K, grid, grid.rates(octave_K))
    return summary(lag_K, success_K, trial_K, found, level)


def posterior(success_K: Floats, trial_K: Floats, grid: Grid, rate_KXSP: Floats) -> Posterior:
    """Bayes' rule on a grid with these rates at the lags."""
    log_XSP = np.tensordot(success_K, np.log(rate_KXSP), 1) + np.tensordot(trial_K - success_K, np.log1p(-rate_KXSP), 1)
    weight_XSP = np.exp(log_XSP - log_XSP.max()) * grid.prior()
    return Posterior(grid, weight_XSP / weight_XSP.sum())


def summary(lag_K: Floats, success_K: Floats, trial_K: Floats, found: Posterior, level: float) -> Psychometric:
    """The numbers that are reported of a posterior; lags ascend."""
    low, middle, high = 2 ** found.quantiles([_tails(level)[0], 0.5, _tails(level)[1]])
    smallest, largest = lag_K[0], lag_K[-1]
    return Psychometric(
        estimate=0.0 if middle < smallest else math.inf if middle > largest else float(middle),
        low=0.0 if low < smallest * 2**-MARGIN else float(min(low, largest)),
        high=math.inf if high > largest * 2**MARGIN else float(max(high, smallest)),
        slope=float(np.exp(found.quantiles(0.5, axis=1))),
        lapse=float(found.quantiles(0.5, axis=2)) ** 2,
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
    rate_KF = found.grid.rates(np.log2(lag_K)).reshape(len(lag_K), -1)
    weight_F = found.weight_XSP.ravel()
    rate_KD = rate_KF[:, rng.choice(len(weight_F), DRAWS, p=weight_F)]
    drawn_KD = rng.binomial(trial_K.astype(int)[:, None], rate_KD)

    def deviance(count_KD: NDArray[Any]) -> Floats:
        fail_KD = trial_K[:, None] - count_KD
        terms = scipy.special.xlogy(count_KD, count_KD / (trial_K[:, None] * rate_KD))
        total_D: Floats = (terms + scipy.special.xlogy(fail_KD, fail_KD / (trial_K[:, None] * (1 - rate_KD)))).sum(0)
        return total_D

    return float((deviance(drawn_KD) >= deviance(np.broadcast_to(success_K[:, None], drawn_KD.shape))).mean())


def counts_by_lag(lag: ArrayLike, successes: ArrayLike, trials: ArrayLike) -> tuple[Floats, Floats, Floats]:
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


def check_level(level: float) -> None:
    """Raise ValueError unless the level lies between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")


def _tails(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2


def _quantiles(value_F: Floats, weight_F: Floats, shares: ArrayLike) -> Floats:
    order = np.argsort(value_F)
    weight_F = weight_F[order]
    found: Floats = np.interp(np.asarray(shares, float), np.cumsum(weight_F) - weight_F / 2, value_F[order])
    return found
