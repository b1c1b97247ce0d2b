"""How a quantity decays with lag: rate, half-life, reach, and whether the decay is exponential.

Averages are taken over logarithms, because the mean of the values is dominated by rare large ones. Values that are
exactly zero, too small for a float, or not finite are counted separately.

Shapes: B sequences, K lags.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from farback.measures.base import Floats

Window = tuple[int, int | None]  # first and last lag of a fit; None is the last lag measured

TRANSIENT = 3  # fits start at this lag: the first steps also pass through input and readout weights
FEWEST = 4  # smallest number of points for comparing an exponential with a power law
ROUNDING = 1e-9  # differences below this, in nats or nats per step, are rounding errors
STATUS = ("measured", "zero", "underflow", "nonfinite")


@dataclass(frozen=True)
class Curve:
    """The logarithm of a quantity g for each lag, summarised over sequences.

    Attributes:
        lag: 0, 1, 2, ...
        log_norm: mean natural logarithm over the sequences with a finite, non-zero value; -inf if more than half of all
            sequences are zero or below the smallest float, nan if more than half are not finite.
        low, high: 10 % and 90 % quantiles of the logarithm over the sequences that are finite or zero (-inf).
        zero, underflow, nonfinite: share of sequences whose value is exactly zero, below the smallest float, or
            infinite or nan.
        slope: nats per step, by least squares on `log_norm`, by default from lag 3 on, where no sequence underflows.
        slope_interval: 95 % interval from the slopes of the sequences or from the residuals of the fit (widened if they
            are correlated), whichever is wider.
        aic_exponential, aic_power: AIC of the fits log g = a + b k and log g = a + b ln k; smaller is better.
    """

    lag: NDArray[np.int64]
    log_norm: Floats
    low: Floats
    high: Floats
    zero: Floats
    underflow: Floats
    nonfinite: Floats
    slope: float
    slope_interval: tuple[float, float]
    aic_exponential: float
    aic_power: float

    @property
    def norm(self) -> Floats:
        """The geometric mean, exp(log_norm)."""
        return np.exp(self.log_norm)

    @property
    def ratio(self) -> Floats:
        """g(k) / g(0), from the mean logarithms."""
        return np.exp(self._log_ratio)

    @property
    def status(self) -> list[str]:
        """The most frequent status over sequences at each lag: measured, zero, underflow or nonfinite."""
        shares = np.stack([1 - self.zero - self.underflow - self.nonfinite, self.zero, self.underflow, self.nonfinite])
        return [STATUS[index] for index in shares.argmax(0)]

    @property
    def exploding(self) -> bool:
        """Whether g grows with lag: the whole interval of the slope is above zero."""
        return self.slope_interval[0] > ROUNDING

    @property
    def law(self) -> str:
        """The better fit by AIC, "exponential" or "power"; "none" if g does not decay or has too few points."""
        if not self.slope_interval[1] < -ROUNDING or math.isnan(self.aic_power):
            return "none"
        return "exponential" if self.aic_exponential <= self.aic_power else "power"

    @property
    def tau(self) -> float:
        """The time constant of an exponential decay in steps, -1 / slope.

        inf if g does not decay; nan if one time constant does not describe the curve: a power law, growth, a drop to
        zero, or too few points.
        """
        if self.law == "exponential":
            return -1 / self.slope
        flat = not math.isnan(self.slope) and not self.exploding and math.isinf(self.half_life)
        return math.inf if flat and self.law == "none" else math.nan

    @property
    def half_life(self) -> float:
        """The first lag with g(k) <= g(0) / 2, interpolated between lags on the logarithm; inf if there is none, nan if
        g is not finite before.

        For an exponential this is ln 2 / rate. `half_life_steps` is the whole number of steps.
        """
        k = self.half_life_steps
        if not math.isfinite(k):
            return k
        before, after = self._log_ratio[int(k) - 1], self._log_ratio[int(k)]
        if not math.isfinite(before) or not math.isfinite(after):
            return k
        return float(k - 1 + min(1.0, (before + math.log(2)) / (before - after)))

    @property
    def half_life_steps(self) -> float:
        """The first whole lag with g(k) <= g(0) / 2; inf if there is none within the sequence."""
        return self._first_below(0.5, strictly=False)

    def reach(self, eps: float = 1e-3) -> float:
        """R_eps, the last lag before g(k) / g(0) first falls below eps.

        inf if the ratio never falls below eps: the reach then exceeds the longest lag measured. nan if g is not finite
        before it falls.

        Raises:
            ValueError: eps is not in (0, 1].
        """
        if not 0 < eps <= 1:
            raise ValueError(f"eps must be a share of g(0), in (0, 1]; got {eps}")
        return self._first_below(eps, strictly=True) - 1

    @property
    def _log_ratio(self) -> Floats:
        with np.errstate(invalid="ignore"):  # log_norm[0] may be infinite
            return np.asarray(self.log_norm - self.log_norm[0])

    def _first_below(self, share: float, strictly: bool) -> float:
        """The first lag with g at or (`strictly`) below this share of g(0); inf if there is none.

        nan if that is unknown: g(0) is zero or not finite, or g is not finite at a lag before.
        """
        if not math.isfinite(self.log_norm[0]):
            return math.nan
        limit = math.log(share) + (-ROUNDING if strictly else ROUNDING)
        (ends,) = np.nonzero((self._log_ratio < limit) | np.isnan(self._log_ratio))
        if not len(ends):
            return math.inf
        return math.nan if np.isnan(self._log_ratio[ends[0]]) else float(self.lag[ends[0]])


def curve(log_g_BK: Floats, window: Window, tiny: float = 0.0) -> dict[str, Any]:
    """The fields of a `Curve`, from the logarithms of each sequence.

    Args:
        log_g_BK: natural logarithms: -inf for zero, inf or nan for values that are not finite. Lags beyond the length
            of a sequence are masked (`numpy.ma`).
        tiny: the smallest normal float of the precision of the values; 0 if they were computed as logarithms.

    Raises:
        ValueError: a window that ends before it begins.
    """
    log_g, absent = np.ma.getdata(log_g_BK), np.ma.getmaskarray(log_g_BK)
    first, last = window
    if first < 0 or (last is not None and last < first):
        raise ValueError(f"window must be (first, last) lag of the fit with 0 <= first <= last, got {window}")
    present_K = np.maximum((~absent).sum(0), 1)
    zero, nonfinite = (log_g == -np.inf) & ~absent, ~(log_g < np.inf) & ~absent
    underflow = _underflow(log_g, zero, tiny)
    shares = [(part & ~absent).sum(0) / present_K for part in (zero & ~underflow, underflow, nonfinite)]
    finite = np.isfinite(log_g) & ~absent
    count_K = finite.sum(0)
    mean_K = np.where(finite, log_g, 0.0).sum(0) / np.maximum(count_K, 1)
    mean_K[shares[0] + shares[1] > 0.5] = -np.inf
    mean_K[(shares[2] > 0.5) | ((count_K == 0) & (mean_K != -np.inf))] = np.nan
    low, high = _quantiles(log_g, ~absent & ~nonfinite)
    lag = np.arange(log_g.shape[1])
    fit = (lag >= first) & (lag <= (lag[-1] if last is None else last)) & np.isfinite(mean_K) & (shares[1] == 0)
    return {
        "lag": lag,
        "log_norm": mean_K,
        "low": low,
        "high": high,
        **dict(zip(STATUS[1:], shares, strict=True)),
        **_fits(lag[fit].astype(float), mean_K[fit], log_g[:, fit][finite[:, fit].all(1)]),
    }


def _underflow(log_g_BK: Floats, zero_BK: NDArray[np.bool_], tiny: float) -> NDArray[np.bool_]:
    """Whether a value is too small for its precision: below `tiny` / eps, or zero after a decay to almost that size.

    A drop to zero from a value that was not decaying is a true zero, such as the end of a shift register.
    """
    if not tiny:
        return np.zeros_like(zero_BK)
    floor = math.log(tiny) + 36  # leaves a factor of 1 / eps for intermediate products
    underflow = ~zero_BK & (log_g_BK < floor)
    for b in np.flatnonzero(zero_BK.any(1)):
        last, rate, last_lag = math.nan, 0.0, 0
        for k, value in enumerate(log_g_BK[b]):
            if zero_BK[b, k]:
                underflow[b, k] = last - rate * (k - last_lag) < floor  # False if no value came before (`last` is nan)
            elif math.isfinite(value):
                rate = 0.0 if math.isnan(last) else max(0.0, (last - value) / (k - last_lag))
                last, last_lag = float(value), k
    return underflow


def _quantiles(log_g_BK: Floats, valid_BK: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The 10 % and 90 % quantiles at each lag, without interpolation, which is undefined between a number and -inf."""
    low, high = np.full(log_g_BK.shape[1], np.nan), np.full(log_g_BK.shape[1], np.nan)
    for k in range(log_g_BK.shape[1]):
        values = np.sort(log_g_BK[valid_BK[:, k], k])
        if len(values):
            low[k], high[k] = values[round(0.1 * (len(values) - 1))], values[round(0.9 * (len(values) - 1))]
    return low, high


def _line(x: Floats, y: Floats) -> tuple[float, Floats]:
    """The slope and residuals of a least-squares line."""
    dx, dy = x - x.mean(), y - y.mean()
    slope = (dx * dy).sum() / (dx * dx).sum()
    return float(slope), dy - slope * dx


def _fits(lag: Floats, mean: Floats, whole_BN: Floats) -> dict[str, Any]:
    """The fitted fields of a `Curve`; `whole_BN` are the sequences with a value at every lag of the fit."""
    n = len(lag)
    slope, interval, aic = math.nan, (math.nan, math.nan), [math.nan, math.nan]
    if n >= 2:
        slope, residual = _line(lag, mean)
        half = _half_width(lag, residual, whole_BN)
        interval = slope - half, slope + half
    if n >= FEWEST and lag[0] > 0:
        sums = [float((part * part).sum()) for part in (residual, _line(np.log(lag), mean)[1])]
        aic = [n * math.log(max(total, n * ROUNDING**2) / n) + 4 for total in sums]
    return {"slope": slope, "slope_interval": interval, "aic_exponential": aic[0], "aic_power": aic[1]}


def _half_width(lag: Floats, residual: Floats, whole_BN: Floats) -> float:
    """Half the width of the slope's 95 % interval: from the fit or from the slopes of sequences, whichever is wider."""
    half, n = 0.0, len(lag)
    total = float((residual * residual).sum())
    if n > 2 and total > n * ROUNDING**2:
        error = math.sqrt(total / (n - 2) / float(((lag - lag.mean()) ** 2).sum()))
        correlation = min(0.99, max(0.0, float((residual[1:] * residual[:-1]).sum()) / total))
        half = float(scipy.special.stdtrit(n - 2, 0.975)) * error * math.sqrt((1 + correlation) / (1 - correlation))
    if len(whole_BN) > 1:
        slopes = np.array([_line(lag, row)[0] for row in whole_BN])
        between = float(scipy.special.stdtrit(len(whole_BN) - 1, 0.975) * slopes.std(ddof=1))
        half = max(half, between / math.sqrt(len(whole_BN)))
    return half
