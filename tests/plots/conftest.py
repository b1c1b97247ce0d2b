"""Tables with known numbers, for figures of any number of groups."""

import math

import numpy as np
import pandas as pd
import pytest


def success_table(labels, lags=(5, 10, 20, 40), trials=5):
    rows = []
    for at, label in enumerate(labels):
        for index, lag in enumerate(lags):
            wins = max(0, trials - index - at % 3)
            rate = wins / trials
            rows.append((label, lag, trials, wins, 0, rate, max(0, rate - 0.3), min(1, rate + 0.2), rate))
    columns = ["label", "lag", "trials", "successes", "diverged", "rate", "low", "high", "isotonic"]
    return pd.DataFrame(rows, columns=columns)


def curve_table(labels, lags=(1, 2, 4, 8), seeds=3):
    rows = []
    for at, label in enumerate(labels):
        for seed in range(seeds):
            for lag in lags:
                skill, middle = (1 / (1 + lag / (at % 5 + seed + 1)), 1 / (1 + lag / (at % 5 + seeds // 2 + 1)))
                rows.append((label, seed, lag, skill, skill >= 0.5, False, middle))
    columns = ["label", "seed", "lag", "above_chance", "passed", "diverged", "median_above_chance"]
    return pd.DataFrame(rows, columns=columns)


ENDS = [  # estimate, low, high, text, bound
    (28.28, 20.0, 40.0, "28 (20 to 40)", "none"),
    (math.inf, 40.0, math.inf, "at least 40", "at least"),
    (0.0, 0.0, 5.0, "below 5", "below"),
    (14.1, 0.0, math.inf, "14 (below 5 to beyond 40)", "none"),
]


def horizon_table(labels, first="label", **more):
    rows = []
    for at, label in enumerate(labels):
        estimate, low, high, text, bound = ENDS[at % len(ENDS)]
        isotonic = (estimate, low, high, 3.0, 0.05, at % 5 > 0)
        rows.append((label, 5, 25, 5, 40, text, estimate, low, high, bound, *isotonic, at % 2))
    columns = ["seeds", "trainings", "smallest_lag", "largest_lag", "horizon", "estimate", "low", "high", "bound"]
    columns += ["isotonic", "isotonic_low", "isotonic_high", "slope", "lapse", "fits", "diverged"]
    return pd.DataFrame(rows, columns=[first, *columns]).assign(**more)


def fitted_table(labels, ends=(5, 40)):
    """Curves that fall from 0.9 at the first lag to 0.1 at the last."""
    lags = np.geomspace(*ends, 9)
    rates = np.linspace(0.9, 0.1, 9)
    rows = [
        (label, lag, rate, rate - 0.1, rate + 0.1) for label in labels for lag, rate in zip(lags, rates, strict=True)
    ]
    return pd.DataFrame(rows, columns=["label", "lag", "rate", "low", "high"])


@pytest.fixture
def make_fitted():
    return fitted_table


@pytest.fixture
def make_success():
    return success_table


@pytest.fixture
def make_curves():
    return curve_table


@pytest.fixture
def make_horizons():
    return horizon_table
