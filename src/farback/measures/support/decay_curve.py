"""How a curve of logarithms falls with lag: its rate, its half-life, its reach, and whether it is exponential at all.

What is averaged are logarithms, for the mean of the values belongs to rare explosions. Zero is a floor, not a
measurement: a value that is exactly zero, one that a float cannot hold, and one that is not finite are told apart.

Shapes: B sequences, K lags.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

TRANSIENT = 3  # lags before this one are left out of every fit: the first steps pass through readout and input weights
FEWEST = 4  # points below which no law is told from another
ROUNDING = 1e-9  # what is smaller, in nats or nats a step, is the arithmetic's
STATUS = ("measured", "zero", "underflow", "nonfinite")


@dataclass(frozen=True)
class Curve:
    """Logarithms of one quantity over the lags, summed up over sequences.

    Attributes:
        lag: 0, 1, 2, ...
        log_norm: mean natural logarithm over the sequences that have a value; -inf where more than half have none
            because theirs is zero or too small for a float, nan where more than half are not finite.
        low, high: the 10 % and 90 % quantiles over all sequences, zeros included.
        zero, underflow, nonfinite: the share of sequences whose value is exactly zero, lost below the smallest float,
            or infinite or no number.
        slope: nats a step, by least squares on `log_norm` from lag 3 to the last that is measured in every sequence.
        slope_interval: 95 %, the wider of that over sequences and that of the fit, widened for correlated residuals.
        aic_exponential, aic_power: of the fits log g = a + b k and log g = a + b ln k there; smaller is better.
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
        return np.exp(self._relative)

    @property
    def status(self) -> list[str]:
        """What holds for most sequences at each lag: measured, zero, underflow or nonfinite."""
        shares = np.stack([1 - self.zero - self.underflow - self.nonfinite, self.zero, self.underflow, self.nonfinite])
        return [STATUS[index] for index in shares.argmax(0)]

    @property
    def exploding(self) -> bool:
        """Whether it grows with lag: the whole interval of the slope lies above zero."""
        return self.slope_interval[0] > ROUNDING

    @property
    def law(self) -> str:
        """By AIC "exponential" or "power"; "none" where it does not fall, or has too few points to tell."""
        if not self.slope_interval[1] < -ROUNDING or math.isnan(self.aic_power):
            return "none"
        return "exponential" if self.aic_exponential <= self.aic_power else "power"

    @property
    def tau(self) -> float:
        """Time constant in steps, -1 / slope, of an exponential.

        inf where nothing is seen to fall; nan where no one constant says how it falls: a power law, a growing curve,
        one that drops to zero, too few points.
        """
        if self.law == "exponential":
            return -1 / self.slope
        flat = not math.isnan(self.slope) and not self.exploding and math.isinf(self.half_life)
        return math.inf if flat and self.law == "none" else math.nan

    @property
    def half_life(self) -> float:
        """The first lag with g(k) <= g(0) / 2, interpolated between lags on the logarithm, so that an exponential gives
        ln 2 / rate. inf where it never falls so far within the sequence; see `half_life_steps` for the whole lag.
        """
        k = self.half_life_steps
        if not math.isfinite(k):
            return k
        before, after = self._relative[int(k) - 1], self._relative[int(k)]
        if not math.isfinite(before) or not math.isfinite(after):
            return k
        return float(k - 1 + min(1.0, (before + math.log(2)) / (before - after)))

    @property
    def half_life_steps(self) -> float:
        """The first whole lag with g(k) <= g(0) / 2; inf where there is none within the sequence."""
        return self._first_below(0.5, strictly=False)

    def reach(self, eps: float = 1e-3) -> float:
        """R_eps, the largest lag up to which g(k) / g(0) >= eps throughout. Rising first does not end it.

        inf where it never falls below: the sequence is too short to say more than "beyond `lag[-1]`".

        Raises:
            ValueError: eps is not in (0, 1].
        """
        if not 0 < eps <= 1:
            raise ValueError(f"eps is the share of g(0) that is left, in (0, 1]; got {eps}")
        return self._first_below(eps, strictly=True) - 1

    @property
    def _relative(self) -> Floats:
        with np.errstate(invalid="ignore"):  # no value at lag 0: nothing can be compared with it
            return np.asarray(self.log_norm - self.log_norm[0])

    def _first_below(self, share: float, strictly: bool) -> float:
        """The first lag at (or, strictly, below) a share of lag 0; nan where lag 0 itself has no value."""
        if not math.isfinite(self.log_norm[0]):
            return math.nan
        limit = math.log(share) + (-ROUNDING if strictly else ROUNDING)
        (fallen,) = np.nonzero(self._relative < limit)
        return float(self.lag[fallen[0]]) if len(fallen) else math.inf


def curve(log_g_BK: Floats, window: tuple[int, int | None], tiny: float = 0.0) -> dict[str, Any]:
    """The fields of a `Curve` from the logarithms of each sequence.

    Args:
        log_g_BK: natural logarithms; -inf is zero, inf and nan are not finite. A sequence too short for a lag is masked
            (`numpy.ma`).
        window: first and last lag of the fit; None is the last that is measured.
        tiny: the smallest normal float of the precision; 0 where the values do not come as floats but as logarithms.

    Raises:
        ValueError: a window that ends before it begins.
    """
    log_g, absent = np.ma.getdata(log_g_BK), np.ma.getmaskarray(log_g_BK)
    first, last = window
    if first < 0 or (last is not None and last < first):
        raise ValueError(f"the window is the first and the last lag of the fit, got {window}")
    there_K = np.maximum((~absent).sum(0), 1)
    zero, nonfinite = (log_g == -np.inf) & ~absent, ~(log_g < np.inf) & ~absent
    lost = _lost(log_g, zero, tiny)
    shares = [(part & ~absent).sum(0) / there_K for part in (zero & ~lost, lost, nonfinite)]
    seen = np.isfinite(log_g) & ~absent
    count_K = seen.sum(0)
    mean_K = np.where(seen, log_g, 0.0).sum(0) / np.maximum(count_K, 1)
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
        **_fits(lag[fit].astype(float), mean_K[fit], log_g[:, fit], seen[:, fit]),
    }


def _lost(log_g_BK: Floats, zero_BK: NDArray[np.bool_], tiny: float) -> NDArray[np.bool_]:
    """Values that a float of this precision cannot hold: below `tiny` / eps, or zeros where the last fall leads there.

    A drop to zero from a value that had not been falling is a true zero: a register that ends, a direction cut off.
    """
    if not tiny:
        return np.zeros_like(zero_BK)
    floor = math.log(tiny) + 36  # nats above the smallest normal number: an eps of room for the products on the way
    lost = ~zero_BK & (log_g_BK < floor)
    for b in np.flatnonzero(zero_BK.any(1)):
        value, fall, at = math.nan, 0.0, 0
        for k, here in enumerate(log_g_BK[b]):
            if zero_BK[b, k]:
                lost[b, k] = value - fall * (k - at) < floor  # nan, nothing before it, is a true zero
            elif math.isfinite(here):
                fall = 0.0 if math.isnan(value) else max(0.0, (value - here) / (k - at))
                value, at = float(here), k
    return lost


def _quantiles(log_g_BK: Floats, valid_BK: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The 10 % and 90 % quantiles of each lag: values that occurred, for between one and -inf nothing can be."""
    low, high = np.full(log_g_BK.shape[1], np.nan), np.full(log_g_BK.shape[1], np.nan)
    for k in range(log_g_BK.shape[1]):
        values = np.sort(log_g_BK[valid_BK[:, k], k])
        if len(values):
            low[k], high[k] = values[round(0.1 * (len(values) - 1))], values[round(0.9 * (len(values) - 1))]
    return low, high


def _line(x: Floats, y: Floats) -> tuple[float, Floats]:
    """Least squares: slope and residuals."""
    dx, dy = x - x.mean(), y - y.mean()
    slope = (dx * dy).sum() / (dx * dx).sum()
    return float(slope), dy - slope * dx


def _fits(lag: Floats, mean: Floats, log_g_BN: Floats, seen_BN: NDArray[np.bool_]) -> dict[str, Any]:
    n = len(lag)
    if n < 2:
        return dict.fromkeys(("slope", "aic_exponential", "aic_power"), math.nan) | {
            "slope_interval": (math.nan, math.nan)
        }
    slope, residual = _line(lag, mean)
    interval = _interval(lag, slope, residual, log_g_BN, seen_BN)
    aic = [math.nan, math.nan]
    if n >= FEWEST and lag[0] > 0:
        sums = [float((part * part).sum()) for part in (residual, _line(np.log(lag), mean)[1])]
        aic = [n * math.log(max(total, n * ROUNDING**2) / n) + 4 for total in sums]
    return {"slope": slope, "slope_interval": interval, "aic_exponential": aic[0], "aic_power": aic[1]}


def _interval(
    lag: Floats, slope: float, residual: Floats, log_g_BN: Floats, seen_BN: NDArray[np.bool_]
) -> tuple[float, float]:
    """95 % of the slope: the wider of the fit's own and the spread of the sequences' slopes."""
    half = 0.0
    n = len(lag)
    total = float((residual * residual).sum())
    if n > 2 and total > n * ROUNDING**2:
        error = math.sqrt(total / (n - 2) / float(((lag - lag.mean()) ** 2).sum()))
        follow = min(0.99, max(0.0, float((residual[1:] * residual[:-1]).sum()) / total))
        half = float(stdtrit(n - 2, 0.975)) * error * math.sqrt((1 + follow) / (1 - follow))
    whole = log_g_BN[seen_BN.all(1)]
    if len(whole) > 1:
        slopes = np.array([_line(lag, row)[0] for row in whole])
        half = max(half, float(stdtrit(len(whole) - 1, 0.975)) * float(slopes.std(ddof=1)) / math.sqrt(len(whole)))
    return slope - half, slope + half
