"""Success, curves and horizons of each group of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback import stats
from farback.tables.outcomes import (
    SCORE,
    TRIAL,
    By,
    as_frame,
    as_horizons,
    check_columns,
    check_repeats,
    groups,
    tested,
    trained_at,
)

Protocol = Literal["trainability", "retention"]
HORIZON = (
    *("seeds", "smallest_lag", "largest_lag", "horizon", "estimate", "low", "high"),
    *("median", "restricted_mean", "below", "beyond", "nonmonotone", "diverged"),
)


def success_by_lag(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How often training *at* each lag succeeds: trials with one fixed training lag, scored at that lag at the end.

    Success is the row `success` of the measure retention; where it is missing, accuracy at least half-way from chance
    to perfect; where that is missing too, skill at least 0.5.

    Returns:
        by..., lag, trials, successes, diverged, rate, low, high (Wilson, 95 %), isotonic (the rate, never rising).

    Raises:
        ValueError: missing columns or rows, or a group in which two trials share seed and lag.
    """
    at_own = trained_at(scores, by)
    rows = []
    for group, part in groups(at_own, by):
        counts = part.groupby("lag")["passed"].agg(["size", "sum"])
        fitted = stats.isotonic(counts["sum"], counts["size"])
        for index, (lag, here) in enumerate(part.groupby("lag")):
            successes, trials = int(here["passed"].sum()), len(here)
            diverged = int((here["status"] == "diverged").sum())
            interval = stats.wilson(successes, trials)
            rows.append((*group, lag, trials, successes, diverged, successes / trials, *interval, fitted[index]))
    return as_frame(
        rows, (*by, "lag", "trials", "successes", "diverged", "rate", "low", "high", "isotonic"), at_own, by
    )


def seed_horizons(scores: pd.DataFrame, by: By = ("label",), protocol: Protocol = "trainability") -> pd.DataFrame:
    """One horizon per seed.

    Trainability: from the largest lag at which training succeeds to the next lag tried. Retention: one network tested
    at every lag, from the last lag before the first failure to that failure.

    Returns:
        by..., seed, low, high (inf: nothing fails), horizon (text), last_success, monotone, diverged (trials).

    Raises:
        ValueError: as `success_by_lag`.
    """
    outcomes = _protocol(scores, by, protocol)
    read = stats.largest_success if protocol == "trainability" else stats.first_failure
    rows = []
    for group, part in groups(outcomes, by):
        for seed, own in part.groupby("seed"):
            reading = read(own["lag"], own["passed"])
            diverged = own.loc[own["status"] == "diverged", "key"].nunique()
            ends = (reading.horizon.low, reading.horizon.high, str(reading.horizon))
            rows.append((*group, seed, *ends, reading.last_success, reading.monotone, diverged))
    columns = (*by, "seed", "low", "high", "horizon", "last_success", "monotone", "diverged")
    return as_frame(rows, columns, outcomes, by)


def trainability(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How far back each group can be *trained*: the largest lag at which fresh networks learn the task.

    Returns:
        by..., then:

        - seeds, smallest_lag, largest_lag: what was run;
        - horizon: text, what half of the seeds reach ("[20, 40)", ">= 160", "< 5");
        - estimate, low, high: Spearman-Karber and its 95 % bootstrap interval over seeds, within the tested lags; `low`
          is 0 and `high` is inf where seeds beyond the tested lags hold that end;
        - median, restricted_mean: Kaplan-Meier of the largest lags that pass; the median is inf when not reached;
        - below, beyond: seeds that fail the smallest lag, and that pass the largest;
        - nonmonotone: share of seeds that pass a lag beyond one that fails; diverged: trials.

    Raises:
        ValueError: as `success_by_lag`, or no lag above 0.
    """
    return _summary(scores, by, "trainability")


def retention_horizons(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How far back one trained network *retains*: the first lag at which it fails, over seeds.

    Returns:
        The columns of `trainability`.
    """
    return _summary(scores, by, "retention")


def retention_curves(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """Skill and accuracy of every trained network at every test lag, with the median over seeds.

    A network that diverged knows nothing: skill 0, and accuracy at chance.

    Returns:
        by..., seed, lag, skill, accuracy, chance_accuracy, passed, diverged, median_skill, median_accuracy (over the
        seeds of the group at that lag, repeated in the row of each).

    Raises:
        ValueError: as `success_by_lag`.
    """
    curves = _one_network(scores, by)
    curves["diverged"] = curves["status"] == "diverged"
    at_lag = curves.groupby([*by, "lag"], dropna=False)
    curves["median_skill"] = at_lag["skill"].transform("median")
    curves["median_accuracy"] = at_lag["accuracy"].transform("median")
    values = ("skill", "accuracy", "chance_accuracy", "passed", "diverged", "median_skill", "median_accuracy")
    return curves.loc[:, [*by, "seed", "lag", *values]].reset_index(drop=True)


def horizon_grid(
    scores: pd.DataFrame,
    row: str = "depth",
    column: str | Sequence[str] = "cell",
    protocol: Protocol = "trainability",
) -> pd.DataFrame:
    """The horizon over two axes, for the heat map: a row for each combination that was run.

    Args:
        scores: the tidy frame.
        row: the column whose values become the map's rows.
        column: the one whose values become its columns; several are joined ("RNN tanh, orthogonal").
        protocol: which horizon.

    Returns:
        `row`, `column` (named by its columns, "cell, init"), then the columns of `trainability`.
    """
    columns = [column] if isinstance(column, str) else list(column)
    check_columns(scores, (*SCORE, *TRIAL, row, *columns))
    joined = ", ".join(columns)
    text = scores.loc[:, columns].astype("object").where(scores.loc[:, columns].notna(), "none").astype("str")
    return _summary(scores.assign(**{joined: text.agg(", ".join, axis=1)}), (row, joined), protocol)


def _summary(scores: pd.DataFrame, by: By, protocol: Protocol) -> pd.DataFrame:
    outcomes = _protocol(scores, by, protocol)
    seeds = seed_horizons(scores, by, protocol)
    rows = []
    for (group, part), (_, own) in zip(groups(outcomes, by), groups(seeds, by), strict=True):
        lag_L, passed_SL = _passes(part, protocol)
        mean = stats.mean_horizon(lag_L, passed_SL)
        horizons = as_horizons(own)
        survival = stats.kaplan_meier([max(0.0, one.low) for one in horizons], [one.right for one in horizons])
        rows.append(
            (
                *group,
                *(len(own), int(part["lag"].min()), int(part["lag"].max()), str(stats.median_horizon(horizons))),
                *(mean.lag, mean.low, mean.high, survival.median, survival.restricted_mean),
                *(sum(one.left for one in horizons), sum(one.right for one in horizons)),
                *(1 - own["monotone"].mean(), int(own["diverged"].sum())),
            )
        )
    return as_frame(rows, (*by, *HORIZON), outcomes, by)


def _passes(part: pd.DataFrame, protocol: Protocol) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lags above 0 and passes (seeds, L), nan where not tried; in retention nothing passes after a failure."""
    above = part[part["lag"] > 0]
    table = above.set_index(["seed", "lag"])["passed"].astype(float).unstack()
    if table.empty:
        raise ValueError(f"a horizon needs a lag above 0, got only {sorted(set(part['lag']))}")
    passed_SL = table.to_numpy(float).copy()
    if protocol == "retention":
        failed_SL = np.cumsum(passed_SL == 0, axis=1) > 0
        passed_SL[failed_SL & ~np.isnan(passed_SL)] = 0.0
    return table.columns.to_numpy(float), passed_SL


def _protocol(scores: pd.DataFrame, by: By, protocol: Protocol) -> pd.DataFrame:
    if protocol == "trainability":
        return trained_at(scores, by)
    if protocol != "retention":
        raise ValueError(f"protocol must be trainability or retention, got {protocol!r}")
    return _one_network(scores, by)


def _one_network(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """Outcomes of which each seed's come from one network."""
    outcomes = tested(scores, by)
    check_repeats(outcomes.drop_duplicates("key"), by, ())
    return outcomes
