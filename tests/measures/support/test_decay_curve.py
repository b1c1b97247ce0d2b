"""Rates, half-lives and laws of curves given in closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from farback.measures.support.decay_curve import Curve, curve

LAGS = np.arange(60)
WHOLE = (3, None)


def of(*logs: Any, tiny: float = 0.0, window: tuple[int, int | None] = WHOLE) -> Curve:
    return Curve(**curve(np.array(logs, dtype=float), window, tiny))


@pytest.mark.parametrize("rate", [1e-3, 0.7])
def test_an_exponential_has_the_time_constant_and_half_life_of_its_rate(rate: float) -> None:
    lags = np.arange(1000)
    found = of(2.0 - rate * lags)
    assert found.law == "exponential"
    assert found.tau == pytest.approx(1 / rate)
    assert found.half_life == pytest.approx(math.log(2) / rate)
    assert found.half_life_steps == math.ceil(math.log(2) / rate)
    assert found.slope == pytest.approx(-rate)


@pytest.mark.parametrize("eps", [0.5, 1e-3])
def test_reach_includes_the_lag_that_equals_the_share(eps: float) -> None:
    assert of(LAGS * math.log(0.1)).reach(eps) == math.floor(-math.log10(eps) + 1e-9)
    assert of(LAGS * math.log(0.5)).half_life_steps == 1


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_a_power_law_has_no_time_constant(power: float) -> None:
    found = of(-power * np.log1p(LAGS))
    assert found.law == "power"
    assert math.isnan(found.tau)
    assert found.half_life_steps == math.ceil(2 ** (1 / power) - 1)


@pytest.mark.parametrize("law", ["exponential", "power"])
def test_the_law_is_found_under_noise_and_the_interval_covers_the_slope(law: str, rng: np.random.Generator) -> None:
    mean = -0.08 * LAGS if law == "exponential" else -1.5 * np.log1p(LAGS)
    covered = 0
    for _ in range(40):
        found = of(*(mean + 0.5 * rng.standard_normal((20, 60))))
        assert found.law == law
        covered += found.slope_interval[0] <= -0.08 <= found.slope_interval[1]
    assert law == "power" or covered >= 34  # 95 % of 40, minus three standard deviations


def test_a_flat_curve_has_infinite_half_life_and_reach() -> None:
    found = of(0 * LAGS)
    assert (found.law, found.tau, found.half_life, found.half_life_steps, found.reach()) == ("none", *[math.inf] * 4)
    assert not found.exploding


def test_a_flat_curve_with_noise_has_no_law(rng: np.random.Generator) -> None:
    laws = [of(*(0.1 * rng.standard_normal((20, 60)))).law for _ in range(40)]
    assert laws.count("none") >= 34


def test_a_growing_curve_explodes_and_has_no_time_constant() -> None:
    found = of(0.05 * LAGS)
    assert found.exploding
    assert found.law == "none"
    assert math.isnan(found.tau)
    assert found.reach() == math.inf


def test_growth_in_some_sequences_only_is_not_exploding() -> None:
    assert not of(0.05 * LAGS, -0.04 * LAGS, 0 * LAGS).exploding


def test_fits_skip_the_transient_and_use_the_window() -> None:
    bent = np.where(LAGS < 3, -3.0 * LAGS, -9 - 0.1 * (LAGS - 3))
    assert of(bent).tau == pytest.approx(10)
    late = np.where(LAGS < 30, 0, -0.5 * (LAGS - 29))
    assert of(late, window=(30, None)).tau == pytest.approx(2)
    assert of(late, window=(3, 20)).law == "none"


def test_half_life_and_reach_come_after_a_hump() -> None:
    hump = np.log1p(LAGS) - 0.2 * LAGS
    found = of(hump)
    first = next(k for k in LAGS if hump[k] <= -math.log(2))
    assert hump.max() > 0.5
    assert found.half_life_steps == first
    assert first - 1 < found.half_life <= first
    assert found.reach(0.5) == first - 1


def test_too_few_points_give_no_law() -> None:
    for points in (1, 2, 4, 6):
        assert of(-1.0 * np.arange(points)).law == "none"
    assert of(-1.0 * np.arange(7)).law == "exponential"
    assert math.isnan(of([0.0]).slope)


def test_the_mean_is_over_logarithms_and_the_quantiles_over_sequences() -> None:
    found = of(*[[k] for k in range(11)])
    assert found.log_norm == pytest.approx([5.0])
    assert (found.low, found.high) == (1.0, 9.0)


def test_zero_underflow_and_nonfinite_are_distinguished() -> None:
    """A register drops to zero from its full value; an exponential decays below the smallest float."""
    tiny = float(np.finfo(np.float64).tiny)
    register = np.where(LAGS < 10, 0.0, -np.inf)
    fading = np.where(LAGS < 40, -18.0 * LAGS, -np.inf)
    growing = np.where(LAGS < 35, 20.0 * LAGS, np.inf)
    broken = np.where(LAGS < 5, 0.0, np.nan)
    for logs, status, last in ((register, "zero", 10), (fading, "underflow", 38), (growing, "nonfinite", 35)):
        assert of(logs, tiny=tiny).status == ["measured"] * last + [status] * (60 - last)
    assert of(broken, tiny=tiny).status[5:] == ["nonfinite"] * 55
    assert of(register, tiny=tiny).half_life == 10
    assert math.isnan(of(register, tiny=tiny).tau)
    assert of(fading, tiny=tiny).tau == pytest.approx(1 / 18)
    assert of(growing, tiny=tiny).exploding
    assert of(np.full(60, -np.inf)).status == ["zero"] * 60
    assert math.isnan(of(np.full(60, -np.inf)).reach())


def test_the_mean_ignores_a_minority_of_zeros() -> None:
    logs = np.zeros((4, 3))
    logs[:1, 1], logs[:3, 2] = -np.inf, -np.inf
    found = of(*logs)
    assert found.log_norm.tolist() == [0.0, 0.0, -np.inf]
    assert found.zero.tolist() == [0.0, 0.25, 0.75]
    assert found.low.tolist() == [0.0, -np.inf, -np.inf]
    assert found.high.tolist() == [0.0, 0.0, 0.0]


def test_impossible_windows_and_shares_are_errors() -> None:
    with pytest.raises(ValueError, match="window must be"):
        of(LAGS, window=(5, 4))
    for eps in (0.0, -1.0, 1.5, math.nan):
        with pytest.raises(ValueError, match="share of g"):
            of(-LAGS).reach(eps)


def test_what_lies_behind_values_that_are_not_finite_is_unknown() -> None:
    logs = np.where(LAGS < 5, 0.0, np.nan)
    assert math.isnan(of(logs).reach())
    assert math.isnan(of(logs).half_life)
    falls_before = np.where(LAGS < 5, 0.0, -10.0)
    falls_before[20:] = np.nan
    assert of(falls_before).reach() == 4
    assert of(falls_before).half_life_steps == 5
