"""How far back trained networks retain: the first failure of each network, its median, and curves by test lag."""

from __future__ import annotations

import numpy as np
import pandas as pd

from farback import stats
from farback.tables.grouping import By, as_frame, check_repeats, groups
from farback.tables.horizon_estimates import median_retained
from farback.tables.outcomes import as_horizons, check_one_protocol, tested

HORIZON = ("seeds", "smallest_lag", "largest_lag", "horizon", "estimate", "low", "high", "bound", "diverged")


def retention_horizons(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How far back one network *retains*: the median over networks of the lag of the first failure.

    Each network's horizon lies between the last lag before its first failure and that failure; networks may be tested
    at different lags. The interval of the median lies between order statistics and is exact. Fewer than six networks
    have no 95 % interval; theirs is the range over all networks, and the text says so.

    Returns:
        by..., seeds (networks), smallest_lag, largest_lag, horizon (text: "44 (31 to 60)", "45 (all 5: 32 to 64)", or
        for a bound "at least 320" or "below 5"), estimate, low, high, bound (as in `trainability`), diverged.
    """
    networks = seed_horizons(scores, by)
    rows = []
    for group, own in groups(networks, by):
        smallest, largest = int(own["smallest_lag"].min()), int(own["largest_lag"].max())
        found = median_retained(as_horizons(own), smallest, largest)
        numbers = (str(found), found.estimate, found.low, found.high, found.bound)
        rows.append((*group, len(own), smallest, largest, *numbers, int(own["diverged"].sum())))
    return as_frame(rows, (*by, *HORIZON), networks, by)


def seed_horizons(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The retention horizon of each network, of one seed: from the last lag before its first failure to that failure.

    Returns:
        by..., seed, smallest_lag, largest_lag (at which it was tested), low (at most 0: the smallest lag fails), high
        (inf: no lag fails), horizon (text: "32 to 64", "at least 320", "below 5"), diverged.
    """
    outcomes = _networks(scores, by)
    rows = []
    for group, own in groups(outcomes, [*by, "seed"]):
        horizon = stats.first_failure(own["lag"], own["passed"]).horizon
        ends = (int(own["lag"].min()), int(own["lag"].max()), horizon.low, horizon.high, str(horizon))
        rows.append((*group, *ends, bool((own["status"] == "diverged").any())))
    columns = (*by, "seed", "smallest_lag", "largest_lag", "low", "high", "horizon", "diverged")
    return as_frame(rows, columns, outcomes, by)


def retention_curves(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """Skill and accuracy of every trained network at every test lag, with the median over seeds.

    `above_chance` is what decides whether a network passes (`tables.tested`).

    A network that diverged has skill 0 and the accuracy of chance; a test whose loss is not finite has skill 0. In the
    medians, a network that was not tested at a lag has a score between those at its neighbouring lags (linear in the
    logarithm of the lag), and beyond its first failure its last score; otherwise the medians would be those of other
    networks at each lag.

    Returns:
        by..., seed, lag, skill, accuracy, chance_accuracy, above_chance, passed, diverged, median_skill,
        median_accuracy, median_above_chance (over the networks of the group at that lag, repeated in the row of each).
    """
    curves = _networks(scores, by)
    curves["diverged"] = curves["status"] == "diverged"
    curves["skill"] = curves["skill"].mask(curves["skill"].isna() & curves["accuracy"].notna(), 0.0)
    for name in ("skill", "accuracy", "above_chance"):
        curves = curves.merge(_medians(curves, name, by), on=[*by, "lag"], how="left")
    scales = ("skill", "accuracy", "chance_accuracy", "above_chance")
    middles = ("median_skill", "median_accuracy", "median_above_chance")
    return curves.loc[:, [*by, "seed", "lag", *scales, "passed", "diverged", *middles]].reset_index(drop=True)


def _networks(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """The outcomes of every test; all outcomes of a seed must come from one network."""
    outcomes = tested(scores, by)
    check_one_protocol(outcomes)
    check_repeats(outcomes.drop_duplicates("key"), by, ())
    return outcomes


def _medians(curves: pd.DataFrame, name: str, by: By) -> pd.DataFrame:
    """The median of a score over networks, by group and lag."""
    wide = curves.set_index([*by, "seed", "lag"])[name].unstack("lag")
    octaves = np.log2(wide.columns.to_numpy(float) + 1)
    between = wide.T.set_axis(octaves).interpolate(method="index", limit_area="inside")
    wide = between.T.set_axis(wide.columns, axis=1)
    failed = curves.groupby([*by, "seed"], dropna=False)["passed"].last() == 0  # curves ascend in the lag
    filled = wide.mask(failed, wide.ffill(axis=1, limit_area="outside"))
    median = filled.groupby(list(by), dropna=False).median()
    long = median.reset_index().melt(list(by), var_name="lag", value_name=f"median_{name}")
    return long.astype({"lag": int} | {column: curves[column].dtype for column in by})
