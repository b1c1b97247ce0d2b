"""The law of learning time: how many updates it takes to learn a lag, by the lag, from trainings that may not have.

A network that learns a lag needs T updates, and ln T = c + a * f(lag) + spread * e with e standard normal (an
accelerated failure time model). Two laws are compared:

- power law, f = ln lag: T grows as lag^a;
- exponential law, f = lag: T grows e-fold with every further time constant of steps.

A share of the seeds, the lapse, never learns. Evaluations find that T lies between two numbers of updates; a training
that ended without success says only that T is beyond them (right-censored). The posterior of each law is sampled by
importance, with proper priors:

- a, the elasticity (d ln T / d ln lag) at the geometric mean of the lags: log-normal, median 1.5, within a factor e;
- ln T there: normal around the middle of the data, standard deviation 3;
- spread: log-normal, median 0.4, within a factor 2;
- lapse: Beta(1, 5) below 0.45.

The laws have equal prior probability.

Source: Wei 1992 (accelerated failure time), Farewell 1982 (a share that never fails), Raftery 1995 (Bayes factors).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from farback.stats.psychometric import check_level

Floats = NDArray[np.float64]

ELASTICITY = (math.log(1.5), 1.0)  # mean and standard deviation of its log
MIDDLE_DEVIATION = 3.0  # of ln updates at the geometric mean of the lags
SPREAD = (math.log(0.4), math.log(2.0))  # mean and standard deviation of its log
MOST_LAPSE, RARITY = 0.45, 4  # the largest lapse; its prior is Beta(1, RARITY + 1) below that
PROPOSALS, DRAWS = 4_000, 2_000  # of the importance sampling, and kept
ROUNDS, ROUND = 8, 600  # before these: rounds that find where to propose, and their numbers of proposals
EFFECTIVE = 60  # draws at least, in these rounds
WIDTHS = (1.5, 0.8, 0.6, 1.5)  # of the first proposal
FREEDOM = 5  # degrees of freedom of the multivariate t distribution that proposes
UNLIKELY = 0.05  # the posterior predictive p below which a law does not fit
LAWS = ("power", "exponential")


@dataclass(frozen=True)
class Trainings:
    """Trainings of fresh seeds: T lies in (low, high]; high is inf for one that did not learn within low updates.

    low and high may have an axis of draws before that of the trainings.
    """

    lag_N: Floats
    low_N: Floats
    high_N: Floats

    @property
    def middle(self) -> float:
        """The geometric mean of the lags."""
        return float(np.exp(np.log(self.lag_N).mean()))


@dataclass(frozen=True)
class Law:
    """Draws from the posterior of one law; each field with D has shape (D,).

    Attributes:
        name: "power" or "exponential".
        middle: the lag at which ln T is c.
        evidence: log of the marginal likelihood.
    """

    name: str
    middle: float
    c_D: Floats
    elasticity_D: Floats
    spread_D: Floats
    lapse_D: Floats
    evidence: float

    def position(self, lag: ArrayLike) -> Floats:
        """f of the law at lags, 0 and of slope 1 in ln lag at the middle."""
        ratio = np.asarray(lag, float) / self.middle
        return np.log(ratio) if self.name == "power" else ratio - 1

    def mean_D(self, lag: float) -> Floats:
        """The mean of ln T at a lag, of the seeds that learn."""
        return self.c_D + self.elasticity_D * self.position(lag)

    def half_way_D(self, budget: float) -> Floats:
        """The lag that half of fresh seeds learn within a number of updates."""
        reached_D = math.log(budget) - self.spread_D * scipy.special.ndtri(0.5 / (1 - self.lapse_D))
        f_D = (reached_D - self.c_D) / self.elasticity_D
        found: Floats = self.middle * (np.exp(np.minimum(f_D, 700)) if self.name == "power" else np.maximum(1 + f_D, 0))
        return found


@dataclass(frozen=True)
class LearningTime:
    """What trainings at several lags say about the updates that learning a lag takes.

    Attributes:
        law: "power" or "exponential", whichever is the more probable.
        probability: of that law; the other one has the rest.
        exponent: of the power law, T ~ lag^exponent: posterior median.
        exponent_low, exponent_high: its 95 % credible interval.
        time_constant: of the exponential law, T ~ exp(lag / time_constant), in steps: posterior median.
        spread: standard deviation of ln T over the seeds that learn: posterior median under the more probable law.
        lapse: share of the seeds that never learn: posterior median under the more probable law.
        fits: whether data as unlikely as these are no surprise under that law (posterior predictive p >= 0.05).
        trainings: how many there were.
        solved: how many of these learned their lag.
    """

    law: str
    probability: float
    exponent: float
    exponent_low: float
    exponent_high: float
    time_constant: float
    spread: float
    lapse: float
    fits: bool
    trainings: int
    solved: int
    laws: tuple[Law, Law] = field(repr=False, compare=False)

    def updates(self, lag: float, level: float = 0.9) -> tuple[float, float, float]:
        """The median number of updates until a fresh seed has learned a lag, and the ends of a predictive interval.

        Both laws count with their probability. An end is inf if more seeds than the interval leaves out never learn.

        Raises:
            ValueError: a lag that is not above 0, or a level outside (0, 1).
        """
        _check_positive("lag", lag)
        check_level(level)
        rng = np.random.default_rng(0)
        drawn = []
        for law in self.laws:
            time_D = law.mean_D(lag) + law.spread_D * rng.standard_normal(len(law.c_D))
            drawn.append(np.where(rng.random(len(time_D)) < law.lapse_D, np.inf, time_D))
        low, middle, high = self._quantiles(drawn, level)
        return _exp(middle), _exp(low), _exp(high)

    def horizon(self, budget: float, level: float = 0.95) -> tuple[float, float, float]:
        """The lag that half of fresh seeds learn within a number of updates, and its credible interval.

        Both laws count with their probability.

        Raises:
            ValueError: a budget that is not above 0, or a level outside (0, 1).
        """
        _check_positive("budget", budget)
        check_level(level)
        low, middle, high = self._quantiles([law.half_way_D(budget) for law in self.laws], level)
        return float(middle), float(low), float(high)

    def _quantiles(self, drawn: list[Floats], level: float) -> list[float]:
        """The lower end, the median and the upper end of draws of both laws."""
        shares = [self.probability if law.name == self.law else 1 - self.probability for law in self.laws]
        value = np.concatenate(drawn)
        weight = np.concatenate(
            [np.full(len(each), share / len(each)) for each, share in zip(drawn, shares, strict=True)]
        )
        order = np.argsort(value)
        ends = np.searchsorted(np.cumsum(weight[order]), [(1 - level) / 2, 0.5, (1 + level) / 2])
        return [float(end) for end in value[order][np.minimum(ends, len(value) - 1)]]


def learning_time(lag: ArrayLike, low: ArrayLike, high: ArrayLike) -> LearningTime:
    """The law of learning time from independent trainings.

    Args:
        lag: of each training, above 0, shape (N,).
        low: updates after which the lag was not learned yet, at least 0.
        high: updates after which it was learned; inf if the training ended before.

    Raises:
        ValueError: shapes that differ, numbers out of range, fewer than 2 lags, or no training that learned its lag.
    """
    data = _checked(lag, low, high)
    laws = tuple(_sampled(name, data) for name in LAWS)
    difference = laws[0].evidence - laws[1].evidence
    best = laws[0] if difference >= 0 else laws[1]
    power, exponential = laws
    exponents = np.quantile(power.elasticity_D, [0.025, 0.5, 0.975])
    return LearningTime(
        law=best.name,
        probability=float(scipy.special.expit(abs(difference))),
        exponent=float(exponents[1]),
        exponent_low=float(exponents[0]),
        exponent_high=float(exponents[2]),
        time_constant=float(np.median(exponential.middle / exponential.elasticity_D)),
        spread=float(np.median(best.spread_D)),
        lapse=float(np.median(best.lapse_D)),
        fits=_predictive_p(best, data) >= UNLIKELY,
        trainings=len(data.lag_N),
        solved=int(np.isfinite(data.high_N).sum()),
        laws=(power, exponential),
    )


def _checked(lag: ArrayLike, low: ArrayLike, high: ArrayLike) -> Trainings:
    lag_N, low_N, high_N = (np.atleast_1d(np.asarray(values, float)) for values in (lag, low, high))
    if not lag_N.shape == low_N.shape == high_N.shape or lag_N.ndim != 1:
        raise ValueError(
            f"needs a lag and two ends for each training, got {lag_N.shape}, {low_N.shape}, {high_N.shape}"
        )
    if not (np.isfinite(lag_N) & (lag_N > 0)).all():
        raise ValueError(f"lags must be finite and above 0, got {lag_N.tolist()}")
    if not (np.isfinite(low_N) & (low_N >= 0) & (high_N > low_N)).all():
        raise ValueError(f"needs 0 <= low < high for each training, got {low_N.tolist()} and {high_N.tolist()}")
    if len(set(lag_N)) < 2:
        raise ValueError(f"needs trainings at two lags or more, got {sorted(set(lag_N))}")
    if not np.isfinite(high_N).any():
        raise ValueError("no training learned its lag, so nothing is known about the time that it takes")
    return Trainings(lag_N, low_N, high_N)


def _sampled(name: str, data: Trainings) -> Law:
    """Draws from the posterior of a law, by importance sampling around its largest density."""
    solved = np.isfinite(data.high_N)
    centre = float(np.log(np.where(solved, data.high_N, np.maximum(data.low_N, 1))).mean())
    empty = np.empty(0)
    law = Law(name, data.middle, empty, empty, empty, empty, 0.0)
    f_N = law.position(data.lag_N)

    def density(point_D4: Floats) -> Floats:
        c_D, log_a_D, log_spread_D, u_D = point_D4.T
        prior_D = _normal(c_D, centre, MIDDLE_DEVIATION) + _normal(log_a_D, *ELASTICITY)
        prior_D = prior_D + _normal(log_spread_D, *SPREAD)
        prior_D = prior_D + scipy.special.log_expit(u_D) + scipy.special.log_expit(-u_D)
        lapse_D = MOST_LAPSE * scipy.special.expit(u_D)
        prior_D = prior_D + RARITY * np.log1p(-lapse_D)
        mean_DN = c_D[:, None] + np.exp(log_a_D)[:, None] * f_N
        total_D: Floats = prior_D + _log_likelihood(mean_DN, np.exp(log_spread_D), lapse_D, data).sum(1)
        return total_D

    point_D4, weight_D, evidence = _importance(density, np.array([centre, ELASTICITY[0], SPREAD[0], -2.0]))
    kept = np.random.default_rng(1).choice(len(weight_D), DRAWS, p=weight_D)
    c_D, log_a_D, log_spread_D, u_D = point_D4[kept].T
    lapse_D = MOST_LAPSE * scipy.special.expit(u_D)
    return Law(name, data.middle, c_D, np.exp(log_a_D), np.exp(log_spread_D), lapse_D, evidence)


def _importance(density: Callable[[Floats], Floats], centre: Floats) -> tuple[Floats, Floats, float]:
    """Points (D, 4) proposed around a start, their normalised weights, and the log of the integral of the density.

    Each round proposes from a t distribution with the mean and the covariance that the weights of the last one gave.
    Weights with a small effective number are flattened by a power below 1 (Cappe et al. 2004; tempering), but not in
    the last round, which counts.
    """
    rng = np.random.default_rng(0)
    root = np.diag(WIDTHS)
    for count in (*[ROUND] * ROUNDS, PROPOSALS):
        scale_D1 = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, (count, 1)))
        apart_D4 = scale_D1 * rng.standard_normal((count, 4))
        point_D4 = centre + apart_D4 @ root.T
        constant = math.lgamma((FREEDOM + 4) / 2) - math.lgamma(FREEDOM / 2) - 2 * math.log(FREEDOM * math.pi)
        proposal_D = constant - (FREEDOM + 4) / 2 * np.log1p((apart_D4**2).sum(1) / FREEDOM)
        log_D = density(point_D4) - proposal_D + np.log(np.diag(root)).sum()
        weight_D = _flattened(log_D)
        centre = weight_D @ point_D4
        apart_D4 = point_D4 - centre
        root = np.linalg.cholesky((weight_D[:, None] * apart_D4).T @ apart_D4 + 1e-6 * np.eye(4))
    weight_D = np.exp(log_D - log_D.max())
    return point_D4, weight_D / weight_D.sum(), float(log_D.max() + math.log(weight_D.mean()))


def _flattened(log_D: Floats) -> Floats:
    """Normalised weights to the largest power, 1 or a half of the last one tried, with enough effective draws."""
    power = 1.0
    while True:
        weight_D: Floats = np.exp(power * (log_D - log_D.max()))
        weight_D /= weight_D.sum()
        if 1 / (weight_D**2).sum() >= EFFECTIVE:
            return weight_D
        power /= 2


def _log_likelihood(mean_DN: Floats, spread_D: Floats, lapse_D: Floats, data: Trainings) -> Floats:
    """Log of the probability of each training, shape (D, N)."""
    with np.errstate(divide="ignore"):
        low_N, high_N = np.log(data.low_N), np.log(data.high_N)
    a_DN, b_DN = ((end_N - mean_DN) / spread_D[:, None] for end_N in (low_N, high_N))
    lapse_D1, beyond = lapse_D[:, None], np.isinf(data.high_N)
    flip = a_DN > 0  # the upper tail, where differences of the distribution function would be lost
    log_ndtr = scipy.special.log_ndtr
    upper_DN, lower_DN = log_ndtr(np.where(flip, -a_DN, b_DN)), log_ndtr(np.where(flip, -b_DN, a_DN))
    with np.errstate(divide="ignore"):
        within_DN = upper_DN + np.log1p(-np.exp(np.minimum(lower_DN - upper_DN, -1e-300))) + np.log1p(-lapse_D1)
        past_DN = np.logaddexp(np.log(lapse_D1), np.log1p(-lapse_D1) + log_ndtr(-a_DN))
    found: Floats = np.maximum(np.where(beyond, past_DN, within_DN), -1e6)
    return found


def _predictive_p(law: Law, data: Trainings) -> float:
    """How often trainings drawn from the posterior are at least as improbable under their own parameters as the data.

    Drawn trainings are evaluated as often, and end after as many updates, as those at the same place in the data.
    """
    rng = np.random.default_rng(2)
    mean_DN = law.c_D[:, None] + law.elasticity_D[:, None] * law.position(data.lag_N)
    time_DN = np.exp(mean_DN + law.spread_D[:, None] * rng.standard_normal(mean_DN.shape))
    time_DN[rng.random(mean_DN.shape) < law.lapse_D[:, None]] = np.inf
    solved = np.isfinite(data.high_N)
    width = float(np.median((data.high_N - data.low_N)[solved]))
    end_N = np.full(len(solved), data.low_N[~solved].max() if (~solved).any() else data.high_N[solved].max())
    end_N = np.where(solved, end_N, data.low_N)
    high_DN = np.where(time_DN > end_N, np.inf, np.ceil(time_DN / width) * width)
    low_DN = np.where(np.isinf(high_DN), end_N, high_DN - width)
    own_D = _log_likelihood(mean_DN, law.spread_D, law.lapse_D, data).sum(1)
    drawn = Trainings(data.lag_N, low_DN, high_DN)
    drawn_D = _log_likelihood(mean_DN, law.spread_D, law.lapse_D, drawn).sum(1)
    return float((drawn_D <= own_D).mean())


def _normal(value_D: Floats, mean: float, deviation: float) -> Floats:
    found: Floats = -0.5 * ((value_D - mean) / deviation) ** 2 - math.log(deviation) - 0.5 * math.log(2 * math.pi)
    return found


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be finite and above 0, got {value}")
