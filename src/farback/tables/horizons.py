"""Success rates, retention curves and horizons of each group of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback import stats
from farback.tables.grouping import By, as_frame, check_columns, check_repeats, groups
from farback.tables.outcomes import SCORE, TRIAL, as_horizons, at_training_lag, tested

Protocol = Literal["trainability", "retention"]
HORIZON = (
    *("seeds", "smallest_lag", "largest_lag", "horizon", "estimate", "low", "high"),
    *("median", "restricted_mean", "below", "beyond", "nonmonotone", "diverged"),
)


def success_by_lag(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How often training *at* each lag succeeds: trials of one fixed training lag, tested at that lag after training.

    Success is the statistic `success` of the measure retention. Where it is missing, success is an accuracy at least
    half-way from chance to perfect; without an accuracy, a skill of at least 0.5.

    Returns:
        by..., lag, trials, successes, diverged, rate, low, high (Wilson, 95 %), isotonic (the rate, never increasing).
    """
    own = at_training_lag(scores, by)
    own = own.assign(diverged=own["status"] == "diverged")
    rows = []
    for group, part in groups(own, by):
        counts = part.groupby("lag").agg(trials=("passed", "size"), passed=("passed", "sum"), lost=("diverged", "sum"))
        fitted = stats.isotonic(counts["passed"], counts["trials"])
        for (lag, trials, passed, lost), rate in zip(counts.itertuples(), fitted, strict=True):
            rows.append((*group, lag, trials, passed, lost, passed / trials, *stats.wilson(passed, trials), rate))
    columns = (*by, "lag", "trials", "successes", "diverged", "rate", "low", "high", "isotonic")
    return as_frame(rows, columns, own, by)


def seed_horizons(scores: pd.DataFrame, by: By = ("label",), protocol: Protocol = "trainability") -> pd.DataFrame:
    """One horizon per seed.

    A horizon of trainability runs from the largest lag at which training succeeds to the next lag tried. A horizon of
    retention (one network tested at every lag) runs from the last lag before the first failure to that failure.

    Returns:
        by..., seed, low, high (inf: no lag fails), horizon (text), last_success, monotone, diverged (number of trials).
    """
    outcomes = _outcomes(scores, by, protocol)
    reading_of = stats.largest_success if protocol == "trainability" else stats.first_failure
    rows = []
    for group, own in groups(outcomes, [*by, "seed"]):
        reading = reading_of(own["lag"], own["passed"])
        diverged = own.loc[own["status"] == "diverged", "key"].nunique()
        horizon = reading.horizon
        rows.append((*group, horizon.low, horizon.high, str(horizon), reading.last_success, reading.monotone, diverged))
    columns = (*by, "seed", "low", "high", "horizon", "last_success", "monotone", "diverged")
    return as_frame(rows, columns, outcomes, by)


def trainability(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How far back each group can be *trained*: the largest lag at which new networks learn the task.

    Returns:
        by..., then:

        - seeds, smallest_lag, largest_lag: the number of seeds and the range of tested lags;
        - horizon: text, the lag that half of the seeds reach ("[20, 40)", ">= 160", "< 5");
        - estimate, low, high: Spearman-Karber and its 95 % bootstrap interval over seeds, within the tested lags; `low`
          is 0 and `high` is inf if that end lies beyond the tested lags;
        - median, restricted_mean: Kaplan-Meier of the largest lags that pass; the median is inf if it is not reached;
        - below, beyond: the numbers of seeds that fail at the smallest lag, and that pass at the largest;
        - nonmonotone: share of seeds that pass a lag beyond one that fails; diverged: number of trials that diverged.
    """
    return _summary(scores, by, "trainability")


def retention_horizons(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How far back one network *retains*: the lag before its first failure, over seeds; columns as `trainability`."""
    return _summary(scores, by, "retention")


def retention_curves(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """Skill and accuracy of every trained network at every test lag, with the median over seeds.

    A network that diverged has skill 0 and the accuracy of chance.

    Returns:
        by..., seed, lag, skill, accuracy, chance_accuracy, passed, diverged, median_skill, median_accuracy (over the
        seeds of the group at that lag, repeated in the row of each).
    """
    curves = _outcomes(scores, by, "retention")
    curves["diverged"] = curves["status"] == "diverged"
    at_lag = curves.groupby([*by, "lag"], dropna=False)
    curves["median_skill"] = at_lag["skill"].transform("median")
    curves["median_accuracy"] = at_lag["accuracy"].transform("median")
    values = ("skill", "accuracy", "chance_accuracy", "passed", "diverged", "median_skill", "median_accuracy")
    return curves.loc[:, [*by, "seed", "lag", *values]].reset_index(drop=True)


def horizon_grid(scores: pd.DataFrame, row: str = "depth", column: str | Sequence[str] = "cell") -> pd.DataFrame:
    """The trainability horizon over two axes, for a heat map: a row for each combination that was run.

    Several columns for the second axis are joined to one, with values such as "RNN tanh, orthogonal".

    Returns:
        `row`, `column` (with the joined name, "cell, init"), then the columns of `trainability`.
    """
    columns = [column] if isinstance(column, str) else list(column)
    check_columns(scores, (*SCORE, *TRIAL, row, *columns))
    joined = ", ".join(columns)
    text = scores.loc[:, columns].astype("object").where(scores.loc[:, columns].notna(), "none").astype("str")
    return _summary(scores.assign(**{joined: text.agg(", ".join, axis=1)}), (row, joined), "trainability")


def _summary(scores: pd.DataFrame, by: By, protocol: Protocol) -> pd.DataFrame:
    outcomes = _outcomes(scores, by, protocol)
    seeds = seed_horizons(scores, by, protocol)
    rows = []
    for (group, part), (_, own) in zip(groups(outcomes, by), groups(seeds, by), strict=True):
        mean = stats.mean_horizon(*_passes(part, protocol))
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
    """Lags above 0 and passes (seeds, L), nan if not tried; for retention, lags after the first failure fail too."""
    table = part[part["lag"] > 0].set_index(["seed", "lag"])["passed"].astype(float).unstack()
    if table.empty:
        raise ValueError(f"a horizon needs trials at a lag above 0, got only lags {sorted(set(part['lag']))}")
    passed_SL = table.to_numpy(float).copy()
    if protocol == "retention":
        failed_SL = np.cumsum(passed_SL == 0, axis=1) > 0
        passed_SL[failed_SL & ~np.isnan(passed_SL)] = 0.0
    return table.columns.to_numpy(float), passed_SL


def _outcomes(scores: pd.DataFrame, by: By, protocol: Protocol) -> pd.DataFrame:
    """The outcomes for a protocol; for "retention", all outcomes of a seed must come from one network."""
    if protocol == "trainability":
        return at_training_lag(scores, by)
    if protocol != "retention":
        raise ValueError(f"protocol must be trainability or retention, got {protocol!r}")
    outcomes = tested(scores, by)
    check_repeats(outcomes.drop_duplicates("key"), by, ())
    return outcomes
