"""How many steps back a network must see so that half of its skill is there: the median over seeds."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from farback import stats
from farback.tables.grouping import By, as_frame, groups
from farback.tables.horizon_estimates import ENOUGH, HorizonEstimate
from farback.tables.measure_rows import in_training_order, measure_rows, statistic_rows

MEASURE = "truncation_reach"
COLUMNS = ("seeds", "known", "smallest_lag", "largest_lag", "horizon", "estimate", "low", "high", "bound", "skill")


def truncation_reaches(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The smallest lag from which on half of the full skill is there: its median over the seeds that have skill.

    A seed that is not better than chance has no such lag. If that is so for half of the seeds or more, the median is
    unknown. A seed that needs every step of its sequences lies beyond the longest lag: "at least 20".

    Returns:
        by..., moment, seeds, known (seeds that are better than chance), smallest_lag (1), largest_lag, horizon (text,
        as in `retention_horizons`, or "unknown (2 of 5 networks are better than chance)"), estimate, low, high (the
        median and its interval; nan if unknown), bound ("none", "at least", "below", "unknown"), skill (of the full
        run, the median over seeds).
    """
    rows = measure_rows(scores, MEASURE, by)
    top = rows.groupby(["key", "step"])["lag"].max().rename("top").reset_index()
    ends = rows.merge(top, on=["key", "step"])
    full = ends[(ends["lag"] == ends["top"]) & (ends["statistic"] == "skill")]
    reach = statistic_rows(ends, "reach").merge(
        full[["key", "step", "value"]], on=["key", "step"], suffixes=("", "_full")
    )
    results: list[tuple[Any, ...]] = []
    for group, own in groups(reach, [*by, "moment"]):
        known = own[own["value"].notna()]
        largest = int(own["top"].max())
        needs_all = (known["value"] >= known["top"]) & (known["top"] > 0)
        value_S = known["value"].mask(needs_all, math.inf).tolist()
        skills = own["value_full"].dropna().tolist()
        skill = stats.median(skills) if skills else math.nan
        if 2 * len(value_S) <= len(own):
            text = f"unknown ({len(value_S)} of {len(own)} networks are better than chance)"
            numbers: tuple[Any, ...] = (text, *[math.nan] * 3, "unknown")
        else:
            count = len(value_S)
            level = "" if count >= ENOUGH else f"all {count}" if count > 1 else "one network"
            found = HorizonEstimate(stats.median(value_S), *stats.median_interval(value_S), 1, largest, level)
            numbers = (str(found), found.estimate, found.low, found.high, found.bound)
        results.append((*group, len(own), len(value_S), 1, largest, *numbers, skill))
    return in_training_order(as_frame(results, (*by, "moment", *COLUMNS), reach, by), by)
