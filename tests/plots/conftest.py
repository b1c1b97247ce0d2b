"""Tables with known numbers, for figures of any number of groups."""

import math

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
                rows.append((label, seed, lag, skill, skill, 0.25, skill >= 0.5, False, middle, middle))
    columns = ["label", "seed", "lag", "skill", "accuracy", "chance_accuracy", "passed", "diverged"]
    return pd.DataFrame(rows, columns=[*columns, "median_skill", "median_accuracy"])


ENDS = [  # estimate, low, high, text, below, beyond
    (28.28, 20.0, 40.0, "[20, 40)", 0, 0),
    (40.0, 40.0, math.inf, ">= 40", 0, 5),
    (5.0, 0.0, 5.0, "< 5", 5, 0),
    (14.1, 0.0, math.inf, "[10, 20)", 1, 1),
]


def horizon_table(labels, first="label", **more):
    rows = []
    for at, label in enumerate(labels):
        estimate, low, high, text, below, beyond = ENDS[at % len(ENDS)]
        rows.append((label, 5, 5, 40, text, estimate, low, high, estimate, estimate, below, beyond, 0.0, at % 2))
    columns = ["seeds", "smallest_lag", "largest_lag", "horizon", "estimate", "low", "high", "median"]
    columns += ["restricted_mean", "below", "beyond", "nonmonotone", "diverged"]
    return pd.DataFrame(rows, columns=[first, *columns]).assign(**more)


@pytest.fixture
def make_success():
    return success_table


@pytest.fixture
def make_curves():
    return curve_table


@pytest.fixture
def make_horizons():
    return horizon_table
