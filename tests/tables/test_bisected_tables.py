"""Tables of a bisected sweep equal those of the whole grid, because bisection implies the outcomes it skips."""

import numpy as np
import pandas as pd
import pytest

from farback import tables
from farback.runs import bisection
from farback.trials.trial import Trial
from made_up_scores import rows_of

LAGS = [5, 10, 20, 40, 80, 160, 320]


def scores(lag, passed):
    values = {"skill": float(passed), "accuracy": 0.25 + 0.75 * passed, "chance_accuracy": 0.25}
    return [("retention", 500, lag, name, value) for name, value in {**values, "success": float(passed)}.items()]


def frame(horizons, tried):
    """A frame of networks that pass up to a lag each; `tried` gives the training lags for a horizon."""
    text = " ".join(map(str, LAGS))
    rows = []
    for (label, seed), horizon in horizons.items():
        for lag in tried(horizon):
            rows += rows_of(label, seed, scores(lag, lag <= horizon), "fixed", lag, bracket=text)
    return pd.DataFrame(rows)


def bisected(horizon):
    """The lags that bisection tries."""
    trials = chain()
    passed: dict[str, bool] = {}
    lags = []
    while (due := bisection.bounds(trials, passed)[2]) is not None:
        lags.append(trials[due].lag)
        passed[trials[due].key] = lags[-1] <= horizon
    return lags


def chain():
    return [Trial(task={"name": "recall", "symbols": 2}, cell={"name": "gru"}, lag=lag) for lag in LAGS]


@pytest.mark.parametrize("horizon", [0, 5, 13, 40, 159, 320, 1000])
def test_bisection_ends_between_a_lag_that_passes_and_the_next_that_fails(horizon):
    lags = bisected(horizon)
    passing = max((lag for lag in LAGS if lag <= horizon), default=None)
    failing = min((lag for lag in LAGS if lag > horizon), default=None)
    assert {passing, failing} - {None} <= set(lags)
    assert len(lags) == len(set(lags)) <= 3  # of seven


def test_tables_of_a_bisected_sweep_are_those_of_the_whole_grid():
    draw = np.random.default_rng(0)
    horizons = {(label, seed): int(draw.choice([0, *LAGS])) for label in ("GRU", "LSTM") for seed in range(3)}
    whole = frame(horizons, lambda horizon: LAGS).drop(columns="bracket")
    part = frame(horizons, bisected)
    assert len(part) < len(whole) / 2
    for table in (tables.trainability, tables.success_by_lag):
        pd.testing.assert_frame_equal(table(part), table(whole))
    mine, theirs = tables.seed_horizons(part), tables.seed_horizons(whole)
    pd.testing.assert_frame_equal(mine, theirs)


def test_rates_include_the_outcomes_that_bisection_implies():
    horizons = {("GRU", seed): 5 if seed else 320 for seed in range(4)}
    part = frame(horizons, bisected)
    rates = tables.success_by_lag(part).set_index("lag")["rate"]
    assert rates[160] == 0.25
    assert tables.success_by_lag(part.drop(columns="bracket")).set_index("lag")["rate"][160] == 1.0


def test_implied_outcomes_have_no_skill():
    part = frame({("GRU", 0): 20, ("LSTM", 0): 80}, bisected)
    assert tables.skills(part)["skill"].notna().all()
