"""Titles of figures of horizons that say what was found."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd

from farback.plots.style import names

LETTERS = 10.5  # of a bold title in an inch


def finding(subject: str, table: pd.DataFrame, width: float) -> str:
    """The shortest and the longest horizon of a table of horizons, on lines that fit into `width` inches.

    For example "Learned by half of the seeds: lag 9 with RNN relu; at least 320 with 4 of 8 networks".
    """
    horizon = table["horizon"].str.split(" (", regex=False).str[0]
    label = pd.Series([name.text for name in names(table, "seeds")], index=table.index)
    ends = [horizon.iloc[row] for row in shortest_and_longest(table)]
    if len(table) == 1:
        found = f"{label.iloc[0]} {table['horizon'].iloc[0]}"
    elif ends[0] == ends[1] and len(set(horizon)) == 1:
        found = f"all {ends[0]}{_limit(ends[0], table)}"
    else:
        found = "; ".join(_with(end, label[horizon == end].tolist(), len(table)) for end in ends)
    return textwrap.fill(f"{subject}: {found}", int(LETTERS * width))


def shortest_and_longest(table: pd.DataFrame) -> tuple[int, int]:
    """The positions of the rows with the shortest and the longest horizon in a table of horizons.

    "at least 320" stands where 320 would, but is the shortest only where every horizon is such a bound.
    """
    order = np.argsort(lags(table).to_numpy(float), kind="stable")
    known = [row for row in order if not table["horizon"].iloc[row].startswith("at least")]
    return int((known or order)[0]), int(order[-1])


def lags(table: pd.DataFrame) -> pd.Series[float]:
    """The estimate of each horizon of a table, with "at least 320" as 320."""
    return table["estimate"].clip(upper=table["largest_lag"])


def _limit(end: str, table: pd.DataFrame) -> str:
    """What follows a bound that all networks share: the limit, only where all were asked up to (down to) just there."""
    notes = {"at least": ("largest_lag", ", the limit asked"), "below": ("smallest_lag", ", the smallest lag asked")}
    bound = table["bound"].iloc[0]
    column, note = notes.get(bound, ("", ""))
    return note if column and all(end == f"{bound} {lag:.10g}" for lag in table[column]) else " steps"


def _with(end: str, own: list[str], count: int) -> str:
    lag = f"lag {end}" if end[:1].isdigit() else end
    return f"{lag} with {own[0] if len(own) == 1 else f'{len(own)} of {count} networks'}"
