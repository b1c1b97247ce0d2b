"""Horizons of retention: the first failure of each network, and the median over networks."""

import math

import numpy as np
import pandas as pd
import pytest

from farback import stats, tables
from made_up_scores import behaviour, rows_of

DOUBLING = tuple(2**step for step in range(10))


def network(seed, horizon, lags=DOUBLING, label="GRU", **more):
    """Rows of a network that passes up to its horizon, tested at lags that stop after the first failure."""
    failures = [lag for lag in lags if lag > horizon]
    return rows_of(
        label, seed, behaviour(500, horizon, [lag for lag in lags if lag <= min(failures, default=lag)]), **more
    )


def only(table):
    (row,) = table.to_dict("records")
    return row


def horizons(reached, **more):
    return tables.retention_horizons(
        pd.DataFrame([row for seed, own in enumerate(reached) for row in network(seed, own, **more)])
    )


def test_the_median_network_has_an_exact_interval():
    reached = [3, 9, 17, 33, 40, 70, 100, 130, 300]
    row = only(horizons(reached))
    low, high = (
        [2 ** math.floor(math.log2(own)) for own in reached],
        [2 ** math.ceil(math.log2(own)) for own in reached],
    )
    assert row["estimate"] == pytest.approx(math.sqrt(32 * 64))
    assert (row["low"], row["high"]) == (stats.median_interval(low)[0], stats.median_interval(high)[1])
    assert (row["horizon"], row["bound"]) == ("45 (8 to 256)", "none")
    assert (row["seeds"], row["smallest_lag"], row["largest_lag"]) == (9, 1, 512)


def test_the_interval_covers_the_median_of_fresh_networks():
    rng = np.random.default_rng(0)
    rows = [horizons(2 ** rng.normal(5, 1.5, 7)).iloc[0] for _ in range(60)]
    assert np.mean([row["low"] <= 32 <= row["high"] for row in rows]) >= 0.95
    assert all(row["low"] <= row["estimate"] <= row["high"] for row in rows)


@pytest.mark.parametrize(
    ("reached", "text", "bound"),
    [
        ([40, 40, 40], "45 (all 3: 32 to 64)", "none"),
        ([40], "45 (one network: 32 to 64)", "none"),
        ([10, 40, 1000], "45 (all 3: 8 to beyond 512)", "none"),
        ([600] * 7, "at least 512", "at least"),
        ([600, 600, 40], "at least 512 (all 3: from 32)", "at least"),
        ([0] * 3, "below 1", "below"),
        ([0, 0, 5], "below 1 (all 3: up to 8)", "below"),
        ([0, 600], "below 1 (all 2: up to beyond 512)", "below"),
    ],
)
def test_few_networks_and_bounds_are_told(reached, text, bound):
    row = only(horizons(reached))
    assert (row["horizon"], row["bound"]) == (text, bound)


def test_networks_may_have_limits_of_their_own():
    rows = [*network(0, 999, (1, 2, 4)), *network(1, 999, (1, 2, 4, 8, 16)), *network(2, 999, (1, 2, 4, 8))]
    row = only(tables.retention_horizons(pd.DataFrame(rows)))
    assert row["horizon"] == "at least 8 (all 3: from 4)"
    assert (row["bound"], row["largest_lag"]) == ("at least", 16)


def test_lag_zero_needs_no_memory():
    assert only(horizons([0] * 3, lags=(0, 1, 2)))["horizon"] == "below 1"
    assert only(horizons([-1] * 3, lags=(0, 1, 2)))["horizon"] == "below 0"


def test_each_network_stops_at_its_first_failure():
    def rows(seed, skills):
        values = [("retention", 500, lag, "skill", skill) for lag, skill in zip((1, 2, 4, 8), skills, strict=True)]
        return rows_of("GRU", seed, values)

    timer, latch = rows(0, (0.9, 0.1, 0.2, 1.0)), rows(1, (0.9, 0.9, 0.9, 0.1))
    table = tables.seed_horizons(pd.DataFrame([*timer, *latch, *rows(2, (1, 1, 1, 1)), *rows(3, (0, 0, 0, 0))]))
    assert list(table.columns) == [
        *("label", "seed", "smallest_lag", "largest_lag", "low", "high", "horizon", "diverged"),
    ]
    assert table["horizon"].tolist() == ["1 to 2", "4 to 8", "at least 8", "below 1"]


def test_the_median_curve_keeps_networks_that_failed():
    rows = [row for seed, own in enumerate((2, 2, 40)) for row in network(seed, own)]
    curves = tables.retention_curves(pd.DataFrame(rows))
    median = curves.drop_duplicates("lag").set_index("lag")["median_skill"]
    assert median.loc[[1, 2, 4, 8, 16, 64]].tolist() == [1, 1, 0, 0, 0, 0]
    limits = [
        row for seed, own in enumerate((2, 4, 8)) for row in network(seed, 999, [lag for lag in DOUBLING if lag <= own])
    ]
    assert (tables.retention_curves(pd.DataFrame(limits))["median_skill"] == 1).all()


def test_a_lag_without_a_score_is_unknown_and_no_failure():
    values = [("retention", 500, lag, "skill", skill) for lag, skill in ((1, 1.0), (2, math.nan), (4, 0.9), (8, 0.1))]
    table = tables.seed_horizons(pd.DataFrame(rows_of("GRU", 0, values)))
    assert table["horizon"].tolist() == ["4 to 8"]
    lost = pd.DataFrame(rows_of("GRU", 0, values, status="diverged"))
    assert tables.seed_horizons(lost)["horizon"].tolist() == ["below 1"]


def test_the_curve_is_on_the_scale_on_which_a_network_passes_at_one_half():
    """Classes pass by accuracy, numbers by R2, although their shares of right answers are recorded too."""
    kinds = {
        "recall": {"skill": -0.9, "accuracy": 0.65, "chance_accuracy": 0.25, "success": 1.0},
        "hold": {"skill": 0.6, "accuracy": 0.1, "chance_accuracy": 0.05, "success": 1.0},
    }
    rows = [
        row | {"task": task}
        for seed, (task, values) in enumerate(kinds.items())
        for row in rows_of("A", seed, [("retention", 500, 10, *pair) for pair in values.items()])
    ]
    found = tables.retention_curves(pd.DataFrame(rows), ["task"]).set_index("task")["above_chance"]
    assert found["recall"] == pytest.approx(0.4 / 0.75)
    assert found["hold"] == 0.6
