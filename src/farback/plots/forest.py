"""Horizons with their intervals, one line per group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.style import RC, Look, Name, doublings, lag_axis, looks, names

SIDE = 0.05  # doublings between the ticks of equal seeds
BEYOND = 1.3  # arrows end this factor beyond the tested lags


def forest(
    table: pd.DataFrame, seeds: pd.DataFrame | None = None, title: str = "How far back each network remembers"
) -> Figure:
    """A forest plot, the farthest horizon on top; arrows where an interval is held by seeds beyond the tested lags.

    Args:
        table: what `tables.trainability` or `tables.retention_horizons` gives.
        seeds: what `tables.seed_horizons` gives for the same groups, to draw each seed as a small tick.
        title: of the figure.
    """
    group = names(table, "seeds")
    look = looks(group)
    order = sorted(range(len(table)), key=lambda at: (table["estimate"].iloc[at], table["restricted_mean"].iloc[at]))
    records = table.to_dict("records")
    least, most = min(_ends(row)[0] for row in records), max(_ends(row)[1] for row in records)
    with mpl.rc_context({**RC, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(7.0, 0.34 * len(table) + 1.5), layout="constrained")
        ax = figure.subplots()
        for height, at in enumerate(order):
            row = records[at]
            low, high = float(row["low"]), float(row["high"])
            ends = _ends(row)
            beyond = (ends[0] / BEYOND, ends[1] * BEYOND)
            _draw(ax, height, (low, float(row["estimate"]), high), look[group[at]], beyond)
            text = f"{row['horizon']}   n = {row['seeds']}" + (
                f", {row['diverged']} diverged" if row["diverged"] else ""
            )
            ax.annotate(text, (1.02, height), xycoords=("axes fraction", "data"), va="center", fontsize=8.5)
        if seeds is not None:
            places = {group[at]: (height, *_ends(records[at])) for height, at in enumerate(order)}
            _ticks(ax, seeds, places)
        lag_axis(ax, doublings(least, most))
        ax.set_xlim(least / BEYOND / 1.08, most * BEYOND * 1.08)
        ax.set_ylim(-0.7, len(table) - 0.3)
        ax.set_yticks(range(len(table)), [group[at].text for at in order])
        ax.set_xlabel(
            "horizon (lag in steps) — point: Spearman-Karber mean; bar: 95 % bootstrap over seeds;\n"
            "small ticks: seeds; arrow: beyond the tested lags; on the right: what half of the seeds reach"
        )
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def _ends(row: Mapping[Any, Any]) -> tuple[float, float]:
    """The smallest and the largest lag at which this network was tested."""
    return float(max(row["smallest_lag"], 1)), float(row["largest_lag"])


def _draw(ax: Axes, height: int, interval: tuple[float, float, float], look: Look, ends: tuple[float, float]) -> None:
    low, estimate, high = interval
    start, stop = (low if low > 0 else ends[0]), (high if math.isfinite(high) else ends[1])
    ax.plot([start, stop], [height, height], color=look.colour, linestyle="-", linewidth=1.6, solid_capstyle="butt")
    for censored, at, marker in ((low <= 0, start, "<"), (math.isinf(high), stop, ">")):
        ax.plot([at], [height], color=look.colour, marker=marker if censored else "|", markersize=7, linestyle="none")
    ax.plot(
        [estimate],
        [height],
        color=look.colour,
        marker=look.marker,
        markerfacecolor=look.fill,
        markersize=7,
        linestyle="none",
    )


def _ticks(ax: Axes, seeds: pd.DataFrame, rows: Mapping[Name, tuple[int, float, float]]) -> None:
    """Each seed's horizon, in the middle of its interval or at the end it lies beyond; equal ones side by side.

    Args:
        ax: to draw on.
        seeds: the horizons.
        rows: the height of each group, and the smallest and the largest lag at which it was tested.
    """
    places: dict[tuple[Name, float], int] = {}
    for name, low, high in zip(names(seeds, "seed"), seeds["low"], seeds["high"], strict=True):
        _, least, most = rows[name]
        at = least if low <= 0 else most if math.isinf(high) else math.sqrt(low * high)
        places[name, at] = places.get((name, at), 0) + 1
    for (name, at), count in places.items():
        beside = at * 2.0 ** (SIDE * (np.arange(count) - (count - 1) / 2))
        height = np.full(count, rows[name][0] - 0.3)
        ax.plot(beside, height, color="0.5", marker="|", markersize=4, linestyle="none")
