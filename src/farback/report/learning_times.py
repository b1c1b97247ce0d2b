"""The table and the figure of the law of learning time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from farback import tables
from farback.report.analysis import Figure, Table
from farback.report.group_columns import group_cells

SURE = 0.95  # probability from which one law is called the better one


def learning_time_parts(scores: pd.DataFrame, by: Sequence[str]) -> list[Table | Figure]:
    """What more updates would give: the law of learning time of each network; empty where none can be fitted."""
    from farback import plots

    laws = tables.learning_time(scores, by)
    if laws.empty:
        return []
    trainings, curves = tables.learning_times(scores, by), tables.learning_time_curves(scores, by)
    caption = (
        "The law of learning time: how the updates until a lag is learned grow with the lag, and the horizon that "
        "follows for other numbers of updates (95 % intervals; not beyond four times the longest lag that was learned)"
    )
    alt = "Updates until each training learned its lag, against the lag, with the fitted law and its 90 % band."
    return [
        Table("learning_time", caption, laws, _shown(laws, by)),
        Figure("learning_time_curves", "Updates to learn a lag", plots.learning_time(trainings, curves), curves, alt),
    ]


def _shown(laws: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    rows = []
    for row in laws.to_dict("records"):
        budget = row["budget"]
        cells = {
            **group_cells(row, by),
            "law": _law_text(row),
            "power of the lag": f"{row['exponent']:.2g} ({row['exponent_low']:.2g} to {row['exponent_high']:.2g})",
            "e-fold every": f"{row['time_constant']:.3g} steps",
            f"{budget:.0f} updates": row["horizon"],
            f"{4 * budget:.0f} updates": row["further"],
        }
        if not laws["fits"].all():
            cells["law fits"] = "yes" if row["fits"] else "no"
        rows.append(cells)
    return pd.DataFrame(rows).fillna("")


def _law_text(row: Mapping[Any, Any]) -> str:
    if row["probability"] >= SURE:
        return f"{row['law']} ({row['probability']:.2f})"
    return f"undecided ({row['law']} {row['probability']:.2f})"
