"""Forecast a map of lightning strikes from the map of `lag` days ago: a problem of Pickleprat 2024, calibrated."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import scipy
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import override

from farback.records.record import Several
from farback.tasks.base import Batch, Lags, Task, batch_at, batch_from
from farback.tasks.support.answers import Bits, Chance, Rung

Share = Annotated[float, Field(gt=0, lt=1)]
MERGED = 1e-12  # probabilities that differ by less are merged, so that m equal weights give m + 1 values, not 2 ** m
VALUES = 1 << 18  # if there are more values, those that differ by more than `MERGED` are merged too


def _pair(drift: Any) -> Any:
    return (0, drift) if isinstance(drift, int) and not isinstance(drift, bool) else drift


class Lightning(Task):
    """Each day shows a map of strikes on a torus of grid * grid pixels, and asks where lightning strikes on that day.

    A pixel of a day's input map X is struck with probability `strike_rate`, q, independently of all other days. The
    answer at step t is another map Y of the same day. It depends on the input map of `lag` days ago, moved by `drift`
    (rows, columns): Y_t(p) is 1 with probability `hit`, a, where X_{t-lag}(p - drift) is 1, and with probability
    `miss`, b, elsewhere. The input map of day t is visible when day t is asked, but says nothing about Y_t.

    Modes:

    - `single`: a flag marks one watch day, and `lag` days later the map Y that depends on it is asked for, once. The
      network must remember grid ** 2 bits, at any lag. Sequences of different lags can be mixed. The watch day is day
      0, or, when `days` fixes the length, any day that leaves room for the lag.
    - `stream`: Y is asked for on every day from the lag on, so lag * grid ** 2 bits must be remembered at once.
    - `noisy_or`: Y depends on every one of the last `lag` days, P(Y = 0) = (1 - miss) * product over j = 1..lag of
      (1 - w_j X_{t-j}), and is asked for on every day from the lag on. `weight` is w_j, one number for all days or a
      list of `lag` numbers; `hit` is not used.
    - `persistent`: as `single`, but from day to day each pixel keeps its value with probability `persistence`, r, and
      is otherwise drawn anew. So the map X_t of the asked day is a hint: P(X_s = 1 | X_t = 1) = q + (1 - q) r ** lag.

    If `correlation` is above 0, strikes come in patches of this radius (pixels): X is a smoothed Gaussian field above
    a threshold. A pixel's rate and the losses below stay the same, because Y's pixels are independent given X. In the
    mode `persistent` the whole map is then kept or drawn anew, so that patches stay whole and a later map says nothing
    about a pixel of the watch day but by the same pixel.

    Example (single, grid 3, lag 2, hit 1, miss 0; ! is the flag):

        #..   ..#   .#.
        ...   #..   ...   -> at the last day: the map of day 0
        ..#!  ...   ..#

    Chance: forecasting the base rate pi = q a + (1 - q) b at every pixel has the loss h(pi), the entropy of a yes/no
    answer in nats; for `persistent` chance is the best guess from the last map. The best possible loss is q h(a) +
    (1 - q) h(b) (`noisy_or` has other formulas). Skill is 0 at chance and 1 at the best loss; only luck with the test
    maps gives more. Ladder (partial memory): some of the pixels; for `noisy_or` and `persistent` the last m days.

    Source: the forecast of Pickleprat 2024 from satellite images; the scores are derived here (test_lightning.py).
    """

    grid: Annotated[int, Field(ge=1, le=64)] = 6
    strike_rate: Share = 0.1
    hit: Annotated[float, Field(ge=0, le=1)] = 0.9
    miss: Annotated[float, Field(ge=0, le=1)] = 0.02
    drift: Annotated[Several[int], BeforeValidator(_pair), Field(min_length=2, max_length=2)] = (0, 0)
    mode: Literal["single", "stream", "noisy_or", "persistent"] = "single"
    weight: Annotated[float, Field(ge=0, le=1)] | Several[Annotated[float, Field(ge=0, le=1)]] = 0.6
    persistence: Annotated[float, Field(ge=0, lt=1)] = 0.5
    correlation: Annotated[float, Field(ge=0, le=32)] = 0.0
    days: Annotated[int, Field(ge=1, le=100_001)] | None = None
    asked: Annotated[int, Field(ge=1, le=10_000)] = 10

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.days is not None and (self.days <= self.lag or not self.mixes):
            raise ValueError(f"days is {self.days}: it is only for modes single and persistent, and must exceed lag")
        if isinstance(self.weight, tuple) and self.mode == "noisy_or" and len(self.weight) != self.lag:
            raise ValueError(f"weight lists {len(self.weight)} numbers, but needs one for each of {self.lag} days")
        if self.lag and not self.chance().loss > self.chance().best + 1e-9:
            raise ValueError(f"hit {self.hit}, miss {self.miss} and weight {self.weight} leave nothing to remember")
        return self

    @property
    def least(self) -> int:
        """1 for `noisy_or`, whose answer needs at least one past day; 0 for the other modes."""
        return 1 if self.mode == "noisy_or" else 0

    @property
    def mixes(self) -> bool:
        """Only in the modes with a flag; without a flag each lag is a different question."""
        return self.mode in ("single", "persistent")

    @property
    def inputs(self) -> int:
        """One input for each pixel, and one for the flag in modes with a watch day."""
        return self.grid**2 + (1 if self.mixes else 0)

    @property
    def base_rate(self) -> float:
        """The probability pi that a pixel of the answer is struck."""
        if self.mode == "noisy_or":
            return 1 - (1 - self.miss) * math.prod(1 - w * self.strike_rate for w in self._weights())
        return self.strike_rate * self.hit + (1 - self.strike_rate) * self.miss

    @property
    def answer(self) -> Bits:
        """A yes or no for each pixel."""
        return Bits(self.grid**2, self.base_rate)

    @override
    def digested(self) -> dict[str, Any]:
        """The values to hash, and that maps with patches persist as a whole: in release 0.1 each pixel did alone."""
        whole = {"persists": "map"} if self.mode == "persistent" and self.correlation else {}
        return {**super().digested(), **whole}

    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of `days`, by default lag + 1 days, or of lag + asked days in modes without a flag."""
        if not self.mixes:
            return self._stream(rng, size, self.one_lag(size, lag_B))
        lag_B = self.lags(size, lag_B)
        steps, row_B = self.lag + 1 if self.days is None else self.days, np.arange(size)
        strike_BTGG = self._maps(rng, size, steps)
        if self.mode == "persistent":
            together = (size, steps, 1, 1) if self.correlation else strike_BTGG.shape
            redrawn_BTGG = rng.random(together) >= self.persistence
            for t in range(1, steps):
                strike_BTGG[:, t] = np.where(redrawn_BTGG[:, t], strike_BTGG[:, t], strike_BTGG[:, t - 1])
        watch_B = np.zeros(size, dtype=np.int64) if self.days is None else rng.integers(0, steps - lag_B)
        moved_BGG = np.roll(strike_BTGG[row_B, watch_B], self.drift, (-2, -1))
        struck_BGG = rng.random(moved_BGG.shape) < np.where(moved_BGG, self.hit, self.miss)
        input_BTI = np.zeros((size, steps, self.inputs), dtype=np.float32)
        input_BTI[..., :-1] = strike_BTGG.reshape(size, steps, -1)
        input_BTI[row_B, watch_B, -1] = 1.0
        return batch_at(input_BTI, (watch_B + lag_B)[:, None], struck_BGG.reshape(size, 1, -1), lag_B[:, None])

    def _stream(self, rng: np.random.Generator, size: int, lag: int) -> Batch:
        steps = lag + self.asked
        strike_BTGG = self._maps(rng, size, steps)
        moved_BTGG = np.roll(strike_BTGG, self.drift, (-2, -1))
        if self.mode == "stream":
            p_BNGG = np.where(moved_BTGG[:, : self.asked], self.hit, self.miss)
        else:
            quiet_BNGG = np.full((size, self.asked, self.grid, self.grid), 1 - self.miss)
            for j, w in enumerate(self._weights(), 1):
                quiet_BNGG *= np.where(moved_BTGG[:, lag - j : steps - j], 1 - w, 1.0)
            p_BNGG = 1 - quiet_BNGG
        struck_BNGG = rng.random(p_BNGG.shape) < p_BNGG
        input_BTI = strike_BTGG.reshape(size, steps, -1).astype(np.float32)
        return batch_from(input_BTI, lag, struck_BNGG.reshape(size, self.asked, -1))

    def _maps(self, rng: np.random.Generator, size: int, steps: int) -> NDArray[np.bool_]:
        """Maps of independent days, with strikes in patches of the correlation radius."""
        shape = (size, steps, self.grid, self.grid)
        if not self.correlation:
            return rng.random(shape) < self.strike_rate
        from scipy import ndimage  # imported only where it is used, because the import is slow

        sigma, point = (0, 0, self.correlation, self.correlation), np.zeros((1, 1, self.grid, self.grid))
        point[..., 0, 0] = 1.0
        spread = np.sqrt((ndimage.gaussian_filter(point, sigma, mode="wrap") ** 2).sum())
        field = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
        strike: NDArray[np.bool_] = field > spread * float(scipy.special.ndtri(1 - self.strike_rate))
        return strike

    def chance(self) -> Chance:
        """The base rate at every pixel; for `persistent`, the best guess from the last map."""
        scores = self._scores()
        return Chance(*scores[0], best=scores[-1][1])

    def ladder(self) -> list[Rung]:
        """Models that remember a fraction of the pixels, or the last m days."""
        scores = self._scores()
        if self.mode in ("noisy_or", "persistent") and self.lag:
            return [Rung(f"the last {m} of {self.lag} days", *score, m) for m, score in enumerate(scores)]
        (guessed, chance_loss), (known, best_loss) = scores
        shares = (0.0, 1.0) if self.correlation else (0.0, 0.25, 0.5, 0.75, 1.0)  # pixels of a patch predict each other
        return [
            Rung(
                f"{share:.0%} of the pixels",
                share * known + (1 - share) * guessed,
                share * best_loss + (1 - share) * chance_loss,
                share,
            )
            for share in shares
        ]

    def forecast(self, input_TI: NDArray[np.float32], step: int) -> NDArray[np.float64]:
        """The best forecast for one day of one sequence: the probability of a strike at every pixel, (grid ** 2,)."""
        maps_TGG = input_TI[:, : self.grid**2].reshape(-1, self.grid, self.grid) > 0
        moved_TGG = np.roll(maps_TGG, self.drift, (-2, -1))
        if self.mode == "noisy_or":
            factors = [np.where(moved_TGG[step - j], 1 - w, 1.0) for j, w in enumerate(self._weights(), 1)]
            p_GG: NDArray[np.float64] = 1 - (1 - self.miss) * np.prod(factors, axis=0)
        else:
            cue = step - self.lag if self.mode == "stream" else int(input_TI[:, -1].argmax())
            p_GG = np.where(moved_TGG[cue], self.hit, self.miss)
        return p_GG.reshape(-1)

    def _weights(self) -> Sequence[float]:
        return self.weight if isinstance(self.weight, tuple) else (self.weight,) * self.lag

    def _scores(self) -> list[tuple[float, float]]:
        """Accuracy and loss of the best forecast without memory, and with full memory.

        For `noisy_or` and `persistent`: of the best forecast that remembers the last m days, for m = 0 to `lag`.
        """
        q = self.strike_rate
        best = _forecast_scores((q, self.hit), (1 - q, self.miss))
        if self.mode == "noisy_or":
            return _noisy_or_scores(q, self.miss, tuple(self._weights()))
        if self.mode == "persistent" and self.lag:
            correlations = [self.persistence**days for days in range(self.lag, 0, -1)]  # with the watch day's map
            return [*(self._scores_from(q + (1 - q) * r, q * (1 - r)) for r in correlations), best]
        return [_forecast_scores((1.0, self.base_rate)), best]

    def _scores_from(self, struck: float, not_struck: float) -> tuple[float, float]:
        """Accuracy and loss of a forecast from a later map; the arguments are the probabilities that a pixel was struck
        on the watch day if it is struck in that map, and if it is not."""
        rates = (p * self.hit + (1 - p) * self.miss for p in (struck, not_struck))
        return _forecast_scores(*zip((self.strike_rate, 1 - self.strike_rate), rates, strict=True))


def _forecast_scores(*cases: tuple[float, float]) -> tuple[float, float]:
    """Accuracy and loss of a forecast with the right probability p in a share of the pixels: cases (share, p)."""
    accuracy = sum(share * max(p, 1 - p) for share, p in cases)
    return accuracy, sum(share * entropy(p) for share, p in cases)


@functools.cache
def _noisy_or_scores(q: float, miss: float, weights: tuple[float, ...]) -> list[tuple[float, float]]:
    """Accuracy and loss of a model that remembers the last m days, for m = 0, 1, ...

    Days are independent, so the factor of a day that is not remembered is replaced by its mean, 1 - w q.
    """
    quiet_A, share_A = np.array([1 - miss]), np.ones(1)  # values of the remembered product, and their probabilities
    scores = []
    for m in range(len(weights) + 1):
        p_A = 1 - quiet_A * math.prod(1 - w * q for w in weights[m:])
        loss = float(share_A @ (scipy.special.entr(p_A) + scipy.special.entr(1 - p_A)))
        scores.append((float(share_A @ np.maximum(p_A, 1 - p_A)), loss))
        if m < len(weights) and weights[m]:
            quiet_A, share_A = _merged(
                np.concatenate([quiet_A, quiet_A * (1 - weights[m])]), np.concatenate([share_A * (1 - q), share_A * q])
            )
    return scores


def _merged(value_A: NDArray[Any], share_A: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A discrete distribution with (nearly) equal values merged."""
    width = MERGED if len(value_A) < VALUES else 8 / VALUES
    _, group_A = np.unique(np.round(value_A / width), return_inverse=True)
    share = np.bincount(group_A, share_A)
    return np.bincount(group_A, share_A * value_A) / share, share


def entropy(p: float) -> float:
    """The entropy of a yes/no answer, in nats."""
    return -sum(x * math.log(x) for x in (float(p), 1 - float(p)) if x > 0)
