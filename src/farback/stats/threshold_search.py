"""Which lag to train next, so that the half-way lag is known to a precision at the least cost: ask and tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from farback.stats.psychometric import BEYOND, LAPSE_PRIOR, Floats, Posterior, Psychometric, success_rate, summary

GROUP = 3  # trainings at one lag between two looks at the posterior: they run as one cohort
PER_OCTAVE = 8  # candidate lags
CERTAIN = 0.95  # probability that the half-way lag lies beyond an end, at which a search ends
FEWEST = 2 * GROUP  # trainings before a search may end


class ThresholdSearch:
    """A search for the lag at which half of fresh seeds succeed.

    The next lag is the one with the largest expected fall of the posterior variance of log2 of the half-way lag for
    each unit of expected cost. A training costs its lag if it fails, and its lag times the share of the budget that
    successes have used so far if it succeeds, because it stops then. Every training must be of a fresh seed.

    A search with the same arguments and the same answers asks for the same lags.

    Args:
        low: the smallest lag to try, at least 1.
        high: the largest.
        precision: the posterior standard deviation of log2 of the half-way lag, in octaves, at which the search ends.
        seed: shifts the candidate lags between `low` and `high` by a part of their spacing; 0 for none.

    Raises:
        ValueError: ends that are not whole numbers with 1 <= low < high, or a precision that is not above 0.

    Source: Kontsevich and Tyler 1999 (expected entropy of the next trial; here the variance, for each unit of cost).
    """

    def __init__(self, low: int, high: int, precision: float = 0.3, *, seed: int = 0) -> None:
        if not (low == int(low) and high == int(high) and 1 <= low < high):
            raise ValueError(f"needs whole lags with 1 <= low < high, got {low} and {high}")
        if not 0 < precision < math.inf:
            raise ValueError(f"precision must be above 0 octaves, got {precision}")
        self.low, self.high, self.precision, self.seed = int(low), int(high), precision, seed
        ends = math.log2(low), math.log2(high)
        shift = np.random.default_rng(seed).random() if seed else 0.0
        inner = np.arange(ends[0] + shift / PER_OCTAVE, ends[1], 1 / PER_OCTAVE)
        self.lags = np.unique(np.round(2 ** np.array([ends[0], *inner, ends[1]])).astype(int))
        self._octave_X = np.arange(ends[0] - BEYOND, ends[1] + BEYOND, min(1 / 16, precision / 4))
        self._rate_KXSP = np.clip(success_rate(np.log2(self.lags.astype(float)), self._octave_X), 1e-12, 1 - 1e-12)
        self._success_K, self._trial_K = np.zeros(len(self.lags)), np.zeros(len(self.lags))
        self._shares = [0.4, 0.4]  # of the budget that a success uses: two made-up ones, then those told

    def ask(self, n: int = 1) -> list[int]:
        """The lags of the next n trainings, in groups of equal ones; nothing is recorded.

        After each group the expected number of its successes is counted as if it had been told.

        Raises:
            ValueError: n below 1.
        """
        if n < 1:
            raise ValueError(f"asks for at least one lag, got {n}")
        success_K, trial_K = self._success_K.copy(), self._trial_K.copy()
        lags: list[int] = []
        while len(lags) < n:
            group = min(GROUP, n - len(lags))
            k, rate = self._best(self._posterior(success_K, trial_K).weight_XSP, group)
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
            ValueError: a lag that is not a candidate, or a share outside (0, 1].
        """
        if lag not in self.lags:
            raise ValueError(f"lag {lag} is not one of the candidates {self.lags.tolist()}")
        if not 0 < share_of_budget <= 1:
            raise ValueError(f"share_of_budget must be above 0 and at most 1, got {share_of_budget}")
        k = int(np.searchsorted(self.lags, lag))
        self._success_K[k] += bool(success)
        self._trial_K[k] += 1
        if success:
            self._shares.append(share_of_budget)

    @property
    def done(self) -> bool:
        """Whether the half-way lag is known to the precision, or lies beyond `low` or `high` with probability 0.95."""
        if self._trial_K.sum() < FEWEST:
            return False
        found = self._posterior(self._success_K, self._trial_K)
        weight_X = found.weight_XSP.sum((1, 2))
        above = weight_X[self._octave_X > math.log2(self.high)].sum()
        below = weight_X[self._octave_X < math.log2(self.low)].sum()
        return bool(found.deviation <= self.precision or max(above, below) >= CERTAIN)

    def result(self, level: float = 0.95) -> Psychometric:
        """What is known so far.

        Raises:
            ValueError: nothing was told yet.
        """
        tried_K = self._trial_K > 0
        if not tried_K.any():
            raise ValueError("no outcome was told yet")
        counts = self._success_K[tried_K], self._trial_K[tried_K]
        return summary(
            self.lags[tried_K].astype(float), *counts, self._posterior(self._success_K, self._trial_K), level
        )

    def _posterior(self, success_K: Floats, trial_K: Floats) -> Posterior:
        tried_K = trial_K > 0
        rate_KXSP = self._rate_KXSP[tried_K]
        log_XSP = np.tensordot(success_K[tried_K], np.log(rate_KXSP), 1)
        log_XSP += np.tensordot((trial_K - success_K)[tried_K], np.log1p(-rate_KXSP), 1)
        weight_XSP = np.exp(log_XSP - log_XSP.max()) * LAPSE_PRIOR
        return Posterior(self._octave_X, weight_XSP / weight_XSP.sum())

    def _best(self, weight_XSP: Floats, group: int) -> tuple[int, float]:
        """The candidate with the largest expected fall of the variance for each unit of cost, and its success rate."""
        kept = np.flatnonzero(weight_XSP.sum((1, 2)) > 1e-9)
        octave_X, weight_XF = self._octave_X[kept], weight_XSP[kept].reshape(len(kept), -1)
        rate_KXF = self._rate_KXSP[:, kept].reshape(len(self.lags), len(kept), -1)
        # moments of the rate at each half-way lag, from which the probability of s successes in a group follows
        powers = [np.broadcast_to(weight_XF.sum(1), rate_KXF.shape[:2])]
        product_KXF = weight_XF
        for _ in range(group):
            product_KXF = product_KXF * rate_KXF
            powers.append(product_KXF.sum(2))
        variance_K = np.zeros(len(self.lags))
        for s in range(group + 1):
            signs = [(-1) ** j * math.comb(group - s, j) for j in range(group - s + 1)]
            joint_KX = math.comb(group, s) * sum(sign * powers[s + j] for j, sign in enumerate(signs))
            total_K = np.maximum(joint_KX.sum(1), 1e-300)
            mean_K = joint_KX @ octave_X / total_K
            variance_K += joint_KX @ octave_X**2 - total_K * mean_K**2
        weight_X = weight_XF.sum(1)
        before = weight_X @ octave_X**2 - (weight_X @ octave_X) ** 2
        rate_K = powers[1].sum(1)
        share = float(np.mean(self._shares))
        cost_K = self.lags * (rate_K * share + 1 - rate_K)
        k = int(np.argmax((before - variance_K) / cost_K))
        return k, float(rate_K[k])


def best_probabilities(searches: Sequence[ThresholdSearch]) -> Floats:
    """For each search, the probability that its half-way lag is the largest, from independent posteriors."""
    weights = [s._posterior(s._success_K, s._trial_K).weight_XSP.sum((1, 2)) for s in searches]
    total = np.prod([np.cumsum(w) - w / 2 for w in weights], axis=0)
    raw = np.array(
        [
            (w * np.prod([np.cumsum(o) - o / 2 for j, o in enumerate(weights) if j != i], axis=0)).sum()
            for i, w in enumerate(weights)
        ]
    )
    return raw / raw.sum()
