"""Horizons as texts: of one group, and of a table in a headline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from farback.records.setting_text import group_text
from farback.report.without_horizon import FEW


def reach_text(row: Mapping[Any, Any], unit: str = " steps", farthest: float | None = None) -> str:
    """A horizon as text that says what a bound is: "26 (24 to 30) steps", "at least 320 steps, the limit asked".

    A bound below the `farthest` lag that other networks tried is "the longest lag tried" for this one.
    """
    text, shorter = str(row["horizon"]), farthest is not None and row["largest_lag"] < farthest
    for word, limit, note in (
        ("at least", row["largest_lag"], "the longest lag tried" if shorter else "the limit asked"),
        ("below", row["smallest_lag"], "the smallest lag asked"),
    ):
        if re.match(rf"{word} {limit:.10g}(?!\S)", text):
            return text.replace(f"{word} {limit:.10g}", f"{word} {limit:.10g}{unit}, {note}", 1)
    return text + unit


def listed(horizons: pd.DataFrame, by: Sequence[str]) -> str:
    """A horizon table as a phrase: "LSTM, chrono at least 160; GRU 26 (24 to 30)"; equal bounds are said once."""
    rows = horizons.to_dict("records")
    if len(rows) > 1 and len(set(horizons["horizon"])) == 1 and rows[0]["bound"] != "none":
        return f"all {reach_text(rows[0], '')}"
    names = [group_text({name: row[name] for name in by}) for row in rows]
    marks = [":" if name[-1:].isdigit() else "" for name in names]
    return "; ".join(f"{name}{mark} {row['horizon']}" for name, mark, row in zip(names, marks, rows, strict=True))


def summarised(horizons: pd.DataFrame, by: Sequence[str]) -> str:
    """A horizon table as a phrase for a headline: all horizons of a few networks, else the shortest and the longest.

    For example "from 9 (6 to 14) with RNN relu to at least 320 with 2 of 8 networks".
    """
    if len(horizons) <= FEW or len(set(horizons["horizon"])) == 1:
        return listed(horizons, by)
    from farback.plots.findings import shortest_and_longest

    ends = []
    for row in (horizons.iloc[end] for end in shortest_and_longest(horizons)):
        short = row["horizon"].split(" (")[0]
        same = int((horizons["horizon"].str.split(" (", regex=False).str[0] == short).sum())
        if same == 1:
            ends.append(f"{row['horizon']} with {group_text({column: row[column] for column in by})}")
        else:
            ends.append(f"{short} with {same} of {len(horizons)} networks")
    return f"from {ends[0]} to {ends[1]}"
