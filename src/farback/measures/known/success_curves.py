"""Checks of the statistics on simulated success curves: does each interval cover, and what does a search cost?

The networks are drawn at random: half-way lag log-uniform from 7 to 230, slope 2, 4 or 8 per factor e of the lag or a
step function, lapse 0, 0.1 or 0.3. Every training has a seed of its own and succeeds with the rate of the curve.
A failure costs its lag, a success 0.4 times its lag.

Bisection tries the middle of the lags that are left for one seed after the other, a grid tries all lags with each seed.
Both are judged by the posterior of the search itself, and stop when its interval is as narrow as that of the adaptive
search for the same network. Their cost is counted for at most 40 seeds, so it is a lower bound where these do not do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from farback.measures.known.check import Check
from farback.stats import ThresholdSearch, isotonic_threshold, psychometric
from farback.system.random_streams import stream

LOW, HIGH = 5, 320
GRID = [5, 10, 20, 40, 80, 160, 320]
PRECISION = 0.3  # octaves
SEEDS = 17  # at each lag of the grid: 119 trainings
SHARE = 0.4  # of the budget that a success uses
MOST = 40  # seeds of bisection or of the grid in the comparison of costs
SLOPES, LAPSES = (2.0, 4.0, 8.0, math.inf), (0.0, 0.1, 0.3)


@dataclass(frozen=True)
class Curve:
    """The success rate falls from 1 - lapse to 0; it is one half at `half`."""

    half: float
    slope: float
    lapse: float

    def rate(self, lag: float) -> float:
        """The probability that a fresh seed succeeds."""
        if math.isinf(self.slope):
            return 1 - self.lapse if lag <= self.half else 0.0
        odds: float = (1 - 2 * self.lapse) * (lag / self.half) ** self.slope
        return (1 - self.lapse) / (1 + odds)


def curves(rng: np.random.Generator, count: int) -> list[Curve]:
    """Curves in equal shares of slopes and lapses."""
    kinds = [(slope, lapse) for slope in SLOPES for lapse in LAPSES]
    halves = 2 ** rng.uniform(math.log2(7), math.log2(230), count)
    return [Curve(half, *kinds[n % len(kinds)]) for n, half in enumerate(halves)]


def train(curve: Curve, search: ThresholdSearch, lag: int, rng: np.random.Generator) -> tuple[bool, float]:
    """One training at a lag, told to the search: whether it succeeds and what it costs."""
    success = bool(rng.random() < curve.rate(lag))
    search.tell(lag, success, SHARE)
    return success, lag * (SHARE if success else 1.0)


def adaptive(curve: Curve, precision: float, rng: np.random.Generator) -> tuple[ThresholdSearch, float]:
    """A search until it is done, three trainings at a time, and its cost."""
    search, cost = ThresholdSearch(LOW, HIGH, precision), 0.0
    while not search.done:
        cost += sum(train(curve, search, lag, rng)[1] for lag in search.ask(3))
    return search, cost


def bisected(curve: Curve, search: ThresholdSearch, rng: np.random.Generator) -> float:
    """The cost of one seed of bisection between the lags of the grid."""
    passed, failed, cost = -1, len(GRID), 0.0
    while failed - passed > 1:
        middle = (passed + failed) // 2
        success, paid = train(curve, search, GRID[middle], rng)
        passed, failed, cost = (middle, failed, cost + paid) if success else (passed, middle, cost + paid)
    return cost


def whole_grid(curve: Curve, search: ThresholdSearch, rng: np.random.Generator) -> float:
    """The cost of one seed at all lags of the grid."""
    return sum(train(curve, search, lag, rng)[1] for lag in GRID)


def cost_until(
    curve: Curve,
    width: float,
    seed: Callable[[Curve, ThresholdSearch, np.random.Generator], float],
    rng: np.random.Generator,
) -> float:
    """The cost of seeds until the interval has this width in octaves, or of MOST seeds."""
    known, cost = ThresholdSearch(LOW, HIGH), 0.0
    for _ in range(MOST):
        cost += seed(curve, known, rng)
        if width_of(known) <= width:
            break
    return cost


def width_of(search: ThresholdSearch) -> float:
    """Of the 95 % interval within the lags from LOW to HIGH, in octaves."""
    low, high = np.clip(search.posterior.quantiles([0.025, 0.975]), math.log2(LOW), math.log2(HIGH))
    return float(high - low)


def check_statistics(count: int = 200) -> list[Check]:
    """Coverage of three kinds of interval, and the cost of a search against bisection and a grid, over `count` curves.

    Coverage may differ from its nominal value by 0.03 and three standard errors.
    """
    rng = stream(0, "calibrate", "success curves")
    hits, costs = np.zeros((count, 3)), np.zeros((count, 3))
    for n, curve in enumerate(curves(rng, count)):
        counts = GRID, rng.binomial(SEEDS, [curve.rate(lag) for lag in GRID]), [SEEDS] * len(GRID)
        fitted, (_, low, high) = psychometric(*counts), isotonic_threshold(*counts)
        search, cost = adaptive(curve, PRECISION, rng)
        found, width = search.result(), width_of(search)
        hits[n] = [a <= curve.half <= b for a, b in ((fitted.low, fitted.high), (low, high), (found.low, found.high))]
        others = [cost_until(curve, width, seed, rng) for seed in (bisected, whole_grid)]
        costs[n] = np.array([cost, *others]) / curve.half
    cover, mean = hits.mean(0), costs.mean(0)
    system, within = f"{count} simulated networks", 0.03 + 3 * math.sqrt(0.0475 / count)
    return [
        Check(system, "psychometric", "coverage of the 95 % interval, 119 trainings", 0.95, float(cover[0]), within),
        Check(system, "isotonic_threshold", "coverage, 0.95 or more", 1.0, float(cover[1]), 0.05 + within - 0.03),
        Check(system, "ThresholdSearch", "coverage of the 95 % interval", 0.95, float(cover[2]), within),
        Check(system, "ThresholdSearch", "cost / that of bisection, at most 0.4", 0.0, float(mean[0] / mean[1]), 0.4),
        Check(
            system,
            "ThresholdSearch",
            "cost / that of a grid of octaves, at most 0.1",
            0.0,
            float(mean[0] / mean[2]),
            0.1,
        ),
    ]
