"""Rows of one measure, with the moment of training that they were taken at."""

from __future__ import annotations

from typing import Any

import pandas as pd

from farback import stats
from farback.tables.outcomes import SCORE, By, as_frame, as_text, check_columns, groups, ordered

START, END = "start", "end"
MIDDLE = ("seeds", "median", "low", "high")


def taken(scores: pd.DataFrame, measure: str, by: By) -> pd.DataFrame:
    """The rows of a measure with a column `moment`: start (as initialised), end (trained), or "after N updates".

    A trial without updates has only a start.

    Raises:
        ValueError: missing columns, no such measure, or a group in which two trials share a seed.
    """
    check_columns(scores, (*SCORE, "key", "seed", *by))
    rows = scores[scores["measure"] == measure]
    if rows.empty:
        raise ValueError(f"needs the measure {measure}, the frame has {sorted(set(scores['measure']))}")
    last = rows["key"].map(scores.groupby("key")["step"].max())
    text = "after " + rows["step"].astype(str) + " updates"
    moment = text.mask(rows["step"] == last, END).mask(rows["step"] == 0, START)
    found = rows.assign(moment=moment)
    twice = found[found.duplicated([*by, "seed", "moment", "lag", "statistic"])]
    if len(twice):
        raise ValueError(
            f"in the group {as_text(twice.iloc[0][column] for column in by)} two trials share seed "
            f"{twice.iloc[0]['seed']}: select fewer trials, or name in `by` what they differ in (by is {list(by)})"
        )
    return found


def middles(rows: pd.DataFrame, by: By, at: By) -> pd.DataFrame:
    """The median over seeds with its interval, of the column `value`.

    Args:
        rows: a row for each seed.
        by: what makes a group; its order is kept as sorted text.
        at: what more tells the rows of a seed apart, sorted by value: moment, step, lag, statistic.

    Returns:
        by..., at..., seeds (those with a number), median, low, high (`stats.median_interval`).
    """
    rows = ordered(rows[rows["value"].notna()], [*by, *at, "seed"])
    found: list[tuple[Any, ...]] = []
    for group, own in groups(rows, [*by, *at]):
        value_S = own["value"].to_numpy(float)
        found.append((*group, len(own), stats.median(value_S), *stats.median_interval(value_S)))
    return as_frame(found, (*by, *at, *MIDDLE), rows, [*by, *at])


def earlier_first(frame: pd.DataFrame, by: By) -> pd.DataFrame:
    """A table sorted by group, then by moment: the start, the updates between, the end."""
    order = frame["moment"].map(lambda text: (text != START) + 2.0**40 * (text == END) + _updates(text))
    return ordered(frame.assign(moment_order=order), [*by, "moment_order"]).drop(columns="moment_order")


def _updates(moment: str) -> float:
    return float(moment.split()[1]) if moment.startswith("after ") else 0.0
