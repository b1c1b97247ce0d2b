"""A horizon as an estimate and an interval, or as a bound where it lies beyond the lags asked."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import pandas as pd

from farback import stats

Bound = Literal["none", "at least", "below"]


@dataclass(frozen=True)
class HorizonEstimate:
    """A horizon of a group and its interval.

    The text is "26 (24 to 30)", or for a bound "at least 320" or "below 5". Where the interval of a bound reaches into
    the lags asked, the text has its end too: "at least 320 (95 %: from 280)".

    Attributes:
        estimate: a lag; inf if it lies beyond the largest lag asked, 0 if it lies below the smallest.
        low: lower end of the interval, in the same way.
        high: upper end.
        smallest: the lag below which a horizon is only known to be below it.
        largest: the lag beyond which a horizon is only known to be at least this.
        level: what the interval is, if it is not a 95 % interval, such as "all 3".
    """

    estimate: float
    low: float
    high: float
    smallest: float
    largest: float
    level: str = ""

    @property
    def bound(self) -> Bound:
        """ "at least" for an estimate beyond the largest lag asked, "below" for one below the smallest."""
        return "at least" if math.isinf(self.estimate) else "below" if self.estimate <= 0 else "none"

    def __str__(self) -> str:
        if self.bound == "at least":
            known = self.low >= self.largest
            return f"at least {lag_text(self.largest)}" + (
                "" if known else f" ({self._kind}from {self._end(self.low)})"
            )
        if self.bound == "below":
            known = self.high <= self.smallest
            return f"below {lag_text(self.smallest)}" + (
                "" if known else f" ({self._kind}up to {self._end(self.high)})"
            )
        kind = self._kind if self.level else ""
        return f"{lag_text(self.estimate)} ({kind}{self._end(self.low)} to {self._end(self.high)})"

    @property
    def _kind(self) -> str:
        return f"{self.level or '95 %'}: "

    def _end(self, lag: float) -> str:
        if lag <= 0:
            return f"below {lag_text(self.smallest)}"
        return f"beyond {lag_text(self.largest)}" if math.isinf(lag) else lag_text(lag)


@dataclass(frozen=True)
class HalfWay:
    """The lag at which half of fresh seeds succeed, by both estimates.

    Attributes:
        horizon: the headline (see `half_way`).
        fit: the psychometric curve; None if no lag above 0 was tried.
        isotonic: estimate, low, high of `stats.isotonic_threshold`.
    """

    horizon: HorizonEstimate
    fit: stats.Psychometric | None
    isotonic: tuple[float, float, float]


def half_way(outcomes: pd.DataFrame) -> HalfWay:
    """The half-way lag of one group from its outcomes (columns lag, seed, passed); lag 0 needs no memory.

    - If every training has a seed of its own, the estimate and interval are those of the psychometric curve.
    - If seeds were trained at several lags (a grid), the estimate is the isotonic crossing of one half, which never
      contradicts the rates at the lags of the grid; the interval is that of the curve, extended to the estimate.
    - If the curve does not fit, the estimate and the interval are the isotonic ones.
    """
    counts = outcomes[outcomes["lag"] > 0].groupby("lag")["passed"].agg(["sum", "size"])
    if counts.empty:
        end = math.inf if outcomes["passed"].mean() >= 0.5 else 0.0
        return HalfWay(HorizonEstimate(end, end, end, 0, 0), None, (end, end, end))
    lags = tuple(int(lag) for lag in counts.index)
    fit, isotonic = _estimates(lags, tuple(counts["sum"].tolist()), tuple(counts["size"].tolist()))
    estimate, low, high = (fit.estimate, fit.low, fit.high) if fit.fits else isotonic
    if fit.fits and outcomes["seed"].duplicated().any():
        estimate = isotonic[0]
        low, high = min(low, estimate), max(high, estimate)
    return HalfWay(HorizonEstimate(estimate, low, high, lags[0], lags[-1]), fit, isotonic)


@lru_cache(maxsize=512)  # tables, figures and comparisons of a page need the same fits
def _estimates(
    lags: tuple[int, ...], successes: tuple[int, ...], trials: tuple[int, ...]
) -> tuple[stats.Psychometric, tuple[float, float, float]]:
    return stats.psychometric(lags, successes, trials), stats.isotonic_threshold(lags, successes, trials)


def median_retained(horizons: list[stats.Horizon], smallest: float, largest: float) -> HorizonEstimate:
    """The median horizon over networks, each known to lie between a lag that passes and the next, which fails.

    The estimate is the geometric mean of the medians of both ends. With an even number of networks a median is the
    geometric mean of the middle two, so that it is a bound unless more than half of the networks fail. The interval
    runs from an order statistic of the lower ends to one of the upper ends (`stats.median_interval`, exact). Fewer than
    six networks have no 95 % interval: the interval is then the range over all of them, and the text says so.

    Args:
        smallest: the smallest lag at which the networks were tested.
        largest: the largest.
    """
    lows, highs = [max(0.0, one.low) for one in horizons], [one.high for one in horizons]
    low, high = (math.sqrt(statistics.median_low(ends) * statistics.median_high(ends)) for ends in (lows, highs))
    if low == 0 and math.isinf(high):  # the middle two are so far apart that a mean says nothing
        low, high = statistics.median_low(lows), statistics.median_low(highs)
    bound = math.isinf(high)
    count = len(horizons)
    return HorizonEstimate(
        math.inf if bound else math.sqrt(low * high),
        math.inf if bound and min(lows) >= low else stats.median_interval(lows)[0],
        stats.median_interval(highs)[1],
        high if low == 0 else smallest,
        low if bound else largest,
        "" if count >= ENOUGH else f"all {count}" if count > 1 else "one network",
    )


SUMMARY = ("horizon", "low", "high", "least", "most", "beyond")  # columns of `horizon_summary`


def horizon_summary(horizons: list[stats.Horizon], smallest: float, largest: float) -> tuple[Any, ...]:
    """The median horizon as text, its ends, the seeds' smallest and largest `low`, and how many pass every lag.

    The text is that of `median_retained`, with the same lags.
    """
    median = stats.median_horizon(horizons)
    passed = [max(0.0, one.low) for one in horizons]
    text = str(median_retained(horizons, smallest, largest))
    return (text, median.low, median.high, min(passed), max(passed), sum(one.right for one in horizons))


ENOUGH = 6  # networks for a 95 % interval of a median: 1 - 2 / 2^6 = 0.969


def lag_text(lag: float) -> str:
    """A lag as text: one decimal below 10, whole numbers from there, three digits from 1000 steps."""
    rounded = round(lag, 1) if lag < 10 else float(f"{lag:.3g}") if lag >= 1000 and lag != int(lag) else round(lag)
    return f"{rounded:.10g}"
