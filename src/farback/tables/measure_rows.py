"""Rows of one measure by the moment of training at which the measure was taken, and their medians over seeds."""

from __future__ import annotations

import pandas as pd

from farback import stats
from farback.tables.grouping import By, as_frame, check_columns, check_repeats, groups, ordered
from farback.tables.outcomes import SCORE, judged

START, END = "start", "end"


def measure_rows(scores: pd.DataFrame, measure: str, by: By) -> pd.DataFrame:
    """The rows of a measure with a column `moment`: start (as initialised), end (trained), or "after N updates".

    A trial without updates has only the moment start.
    """
    check_columns(scores, (*SCORE, "key", "seed", *by))
    scores = judged(scores)
    rows = scores[scores["measure"] == measure]
    if rows.empty:
        raise ValueError(f"the table needs the measure {measure}; the frame has {sorted(set(scores['measure']))}")
    last = rows["key"].map(scores.groupby("key")["step"].max())
    text = "after " + rows["step"].astype(str) + " updates"
    rows = rows.assign(moment=text.mask(rows["step"] == last, END).mask(rows["step"] == 0, START))
    check_repeats(rows, by, ("moment", "lag", "statistic"))
    return rows


def statistic_rows(rows: pd.DataFrame, statistic: str) -> pd.DataFrame:
    """The rows of one statistic of a measure. Raises ValueError: the measure has no such statistic."""
    own = rows[rows["statistic"] == statistic]
    if own.empty:
        measure = rows["measure"].iloc[0]
        raise ValueError(f"{measure} has no statistic {statistic!r}; it has {sorted(set(rows['statistic']))}")
    return own


def medians(rows: pd.DataFrame, by: By, within: By) -> pd.DataFrame:
    """The median over seeds of the column `value`, with its interval.

    Args:
        within: the columns that distinguish the rows of a seed: moment, step, lag, statistic.

    Returns:
        by..., within..., seeds (those with a number), median, low, high (`stats.median_interval`).
    """
    keys = [*by, *within]
    rows = ordered(rows[rows["value"].notna()], [*keys, "seed"])
    results = []
    for group, own in groups(rows, keys):
        value_S = own["value"].to_numpy(float)
        results.append((*group, len(own), stats.median(value_S), *stats.median_interval(value_S)))
    return as_frame(results, (*keys, "seeds", "median", "low", "high"), rows, keys)


def in_training_order(frame: pd.DataFrame, by: By) -> pd.DataFrame:
    """The frame sorted by group, then by moment: start, the updates in increasing order, end."""
    order = {START: -1.0, END: float("inf")}
    places = frame["moment"].map(lambda moment: order.get(moment) or float(moment.split()[1]))
    return ordered(frame.assign(place=places), [*by, "place"]).drop(columns="place")
