"""Which lag to train next, so that the half-way lag is known to a precision at the least cost: ask and tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from farback.stats.psychometric import (
    BEYOND,
    LOG_SLOPE,
    ROOT_LAPSE,
    Floats,
    Grid,
    Posterior,
    Psychometric,
    posterior,
    summary,
)

GROUP = 3  # trainings at one lag between two looks at the posterior: they run as one cohort
PER_OCTAVE = 8  # candidate lags
OVERHEAD = 2.0  # steps added to the lag in the cost of a training, so that many trainings at tiny lags are not free
CERTAIN = 0.95  # probability that the half-way lag lies beyond an end, at which a search ends
FEWEST = 2 * GROUP  # trainings before a search may end
ENOUGH = 6 * GROUP  # trainings before one ends at a precision of 0.3 octave: a few equal outcomes only look steep
STEP = 1 / 16  # octaves between the half-way lags of the grid, if the precision is not finer
SLOPES, LAPSES = 8, 6  # cells of the grid: coarser than that of `psychometric`, because each look goes through all


class ThresholdSearch:
    """A search for the lag at which half of fresh seeds succeed.

    The next lag is the one with the largest expected fall of the posterior standard deviation of log2 of the half-way
    lag for each unit of expected cost. The cost of a training is its lag plus 2 steps if it fails; a success costs the
    share of that which successes have used of the budget so far, because it stops then. Every training must be of a
    fresh seed. The curve and its priors are those of `psychometric`, with the half-way lag from one octave below `low`
    to one above `high`.

    Searches with the same arguments and the same outcomes, in any order, ask for the same lags. A search with a finer
    precision, down to 3/16 octave, begins with the same lags.

    Args:
        low: the smallest lag to try, at least 1.
        high: the largest.
        precision: the posterior standard deviation of log2 of the half-way lag, in octaves, at which the search ends;
            at 0.3 or a finer one not before 18 trainings.
        seed: shifts the candidate lags between `low` and `high` by a part of their spacing; 0 for none.

    Raises:
        ValueError: ends that are not whole numbers with 1 <= low < high, a precision that is not above 0, or a seed
            that is not a whole number of at least 0.

    Source: Kontsevich and Tyler 1999 (least expected entropy after the next trial; here the standard deviation, for
        each unit of cost).
    """

    def __init__(self, low: int, high: int, precision: float = 0.3, *, seed: int = 0) -> None:
        if not (1 <= low < high < math.inf and low == int(low) and high == int(high)):
            raise ValueError(f"needs whole lags with 1 <= low < high, got {low} and {high}")
        if seed != int(seed) or seed < 0:
            raise ValueError(f"seed must be a whole number of at least 0, got {seed}")
        if not 0 < precision < math.inf:
            raise ValueError(f"precision must be above 0 octaves, got {precision}")
        self.low, self.high, self.precision, self.seed = int(low), int(high), precision, seed
        found = _candidates(self.low, self.high, min(STEP, precision / 3), seed)
        self.lags, self._grid, self._rate_KXSP, self._power_PXKF = found
        self._success_K, self._trial_K = np.zeros(len(self.lags)), np.zeros(len(self.lags))
        self._shares = [0.4, 0.4]  # of the budget that a success uses: two made-up ones, then those told

    def ask(self, n: int = 1) -> list[int]:
        """The lags of the next n trainings, in groups of three equal ones; nothing is recorded.

        After each group the expected number of its successes is counted as if it had been told.

        Raises:
            ValueError: n below 1.
        """
        if n != int(n) or n < 1:
            raise ValueError(f"asks for a whole number of lags, at least one, got {n}")
        n = int(n)
        success_K, trial_K = self._success_K.copy(), self._trial_K.copy()
        lags: list[int] = []
        while len(lags) < n:
            group = min(GROUP, n - len(lags))
            k, rate = self._best(self._posterior(success_K, trial_K), group)
            lags += [int(self.lags[k])] * group
            trial_K[k] += group
            success_K[k] += group * rate
        return lags

    def tell(self, lag: int, success: bool, share_of_budget: float = 1.0) -> None:
        """The outcome of one training.

        Args:
            lag: one of `lags`.
            success: whether the network learned it.
            share_of_budget: the share of its updates that a success needed; ignored for a failure.

        Raises:
            ValueError: a lag that is not a candidate, a success that is not true or false, or a share outside (0, 1].
        """
        if lag not in self.lags:
            raise ValueError(f"lag {lag} is not one of the candidates {self.lags.tolist()}")
        if success not in (False, True):
            raise ValueError(f"success must be true or false, got {success!r}")
        if not 0 < share_of_budget <= 1:
            raise ValueError(f"share_of_budget must be above 0 and at most 1, got {share_of_budget}")
        k = int(np.searchsorted(self.lags, lag))
        self._success_K[k] += bool(success)
        self._trial_K[k] += 1
        if success:
            self._shares.append(share_of_budget)

    @property
    def posterior(self) -> Posterior:
        """Of the half-way lag, the slope and the lapse, as known so far."""
        return self._posterior(self._success_K, self._trial_K)

    @property
    def deviation(self) -> float:
        """The posterior standard deviation of log2 of the half-way lag so far, in octaves."""
        return self.posterior.deviation

    @property
    def done(self) -> bool:
        """Whether the half-way lag is known to the precision, or lies beyond `low` or `high` with probability 0.95."""
        trainings = self._trial_K.sum()
        if trainings < FEWEST:
            return False
        found = self.posterior
        below, not_above = found.below([math.log2(self.low), math.log2(self.high)])
        enough = ENOUGH * min(1.0, 0.3 / self.precision) ** 2
        known = found.deviation <= self.precision and trainings >= enough
        return bool(known or max(below, 1 - not_above) >= CERTAIN)

    def result(self, level: float = 0.95) -> Psychometric:
        """The half-way lag as known so far.

        Raises:
            ValueError: no outcome was told yet.
        """
        tried_K = self._trial_K > 0
        if not tried_K.any():
            raise ValueError("no outcome was told yet")
        lag_K = self.lags[tried_K].astype(float)
        return summary(lag_K, self._success_K[tried_K], self._trial_K[tried_K], self.posterior, level)

    def _posterior(self, success_K: Floats, trial_K: Floats) -> Posterior:
        tried_K = trial_K > 0
        return posterior(success_K[tried_K], trial_K[tried_K], self._grid, self._rate_KXSP[tried_K])

    def _best(self, found: Posterior, group: int) -> tuple[int, float]:
        """The candidate with the largest expected fall of the deviation for each unit of cost, and its success rate."""
        weight_X = found.weight_XSP.sum((1, 2))
        kept = np.flatnonzero(weight_X > 1e-6 * weight_X.max())
        octave_X = self._grid.middles(0)[kept]
        weight_XF1 = found.weight_XSP[kept].reshape(len(kept), -1, 1)
        # moments of the rate at each half-way lag, from which the probability of s successes in a group follows
        moments = [np.broadcast_to(weight_XF1.sum(1), (len(kept), len(self.lags)))]
        moments += [(power_XKF[kept] @ weight_XF1)[:, :, 0] for power_XKF in self._power_PXKF[:group]]
        deviation_K = np.zeros(len(self.lags))
        for s in range(group + 1):
            signs = [(-1) ** j * math.comb(group - s, j) for j in range(group - s + 1)]
            joint_XK = math.comb(group, s) * sum(sign * moments[s + j] for j, sign in enumerate(signs))
            total_K = np.maximum(joint_XK.sum(0), 1e-12)
            mean_K = octave_X @ joint_XK / total_K
            deviation_K += total_K * np.sqrt(np.maximum(octave_X**2 @ joint_XK / total_K - mean_K**2, 0))
        rate_K = moments[1].sum(0)
        share = math.fsum(self._shares) / len(self._shares)  # does not depend on the order of outcomes
        cost_K = (self.lags + OVERHEAD) * (rate_K * share + 1 - rate_K)
        score_K = (found.deviation - deviation_K) / cost_K
        k = int(np.argmax(np.round(score_K / np.abs(score_K).max(), 9)))  # rounding errors decide nothing
        return k, float(rate_K[k])


@lru_cache(maxsize=8)  # many searches have the same range, such as the arms of a tuned sweep
def _candidates(low: int, high: int, step: float, seed: int) -> tuple[np.ndarray, Grid, Floats, list[Floats]]:
    """The candidate lags, the grid, the success rate of each candidate at each cell, and the first powers of the rates.

    The powers have the shape (half-way lags, candidates, slopes and lapses).
    """
    ends = math.log2(low), math.log2(high)
    shift = np.random.default_rng(seed).random() if seed else 0.0
    inner = np.arange(ends[0] + shift / PER_OCTAVE, ends[1], 1 / PER_OCTAVE)
    lags = np.unique(np.round(2 ** np.array([ends[0], *inner, ends[1]])).astype(int))
    around = ends[0] - BEYOND, ends[1] + BEYOND
    count = math.ceil((around[1] - around[0]) / step)
    grid = Grid((around, LOG_SLOPE, ROOT_LAPSE), (count, SLOPES, LAPSES))
    rate_KXSP = grid.rates(np.log2(lags.astype(float)))
    rate_XKF = np.ascontiguousarray(rate_KXSP.swapaxes(0, 1)).reshape(count, len(lags), -1)
    return lags, grid, rate_KXSP, [rate_XKF**power for power in range(1, GROUP + 1)]


def best_probabilities(searches: Sequence[ThresholdSearch]) -> Floats:
    """The probability that each search has the largest half-way lag, from independent posteriors; shape (searches,).

    Half-way lags above the largest lag of a search are equal to each other, and so are those below the smallest: equal
    ones share the probability.

    Raises:
        ValueError: no searches.
    """
    if not searches:
        raise ValueError("needs at least one search, got none")
    ends = [(math.log2(one.low), math.log2(one.high)) for one in searches]
    edges = [np.array([a - BEYOND, *np.arange(a, b, 1 / PER_OCTAVE), b, b + BEYOND]) for a, b in ends]
    edge_E = np.unique(np.concatenate(edges))
    below_NE = [np.interp(edge_E, own, one.posterior.below(own)) for one, own in zip(searches, edges, strict=True)]
    below, mass = np.array(below_NE)[:, :-1, None], np.diff(below_NE)[:, :, None]
    node_Q, weight_Q = np.polynomial.legendre.leggauss(len(searches) // 2 + 1)  # exact: products of linear functions
    below_NEQ = below + mass * (node_Q + 1) / 2
    others = [np.delete(below_NEQ, n, 0).prod(0) for n in range(len(searches))]
    return np.array([(mass[n] * others[n] * weight_Q / 2).sum() for n in range(len(searches))])
