"""The figure of horizons with their intervals, one line for each group."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.axes import doublings, lag_axis, text_beside, without_overlap
from farback.plots.canvas import canvas
from farback.plots.findings import finding, lags
from farback.plots.style import GroupName, Look, looks, names, styled_x_grid

SEED_STEP = 0.05  # distance between the ticks of equal networks, in doublings of the lag
BEYOND = 1.45  # arrows end at this factor beyond the lags asked
AXIS, LETTER = 3.2, 0.075  # inches: the width of the axis, and of a letter beside it


@styled_x_grid
def forest(table: pd.DataFrame, networks: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Figure:
    """A forest plot, the largest horizon on top; an arrow marks what may lie beyond the lags asked.

    Args:
        table: from `tables.trainability` or `tables.retention_horizons`.
        networks: from `tables.seed_horizons` for the same groups, to draw each network as a small tick.
        ax: the axes to draw into; default: a new figure.
    """
    table = table.assign(middle=lags(table)).sort_values(["middle", "low", "high"], kind="stable")
    rows = dict(zip(names(table, "seeds"), table.to_dict("records"), strict=True))
    look = looks(rows)
    asked = {
        name: (float(max(row["smallest_lag"], 1)), float(max(row["largest_lag"], 1))) for name, row in rows.items()
    }
    least, most = min(ends[0] for ends in asked.values()), max(ends[1] for ends in asked.values())
    subject = "Learned by half of the seeds" if networks is None else "Retained by the median network"
    texts = [_text(row) for row in rows.values()]
    width = AXIS + LETTER * (max(len(name.text) for name in rows) + max(map(len, texts)))
    drawn = canvas(width, 0.34 * len(table) + 1.6, finding(subject, table, width), ax)
    ax = drawn.panels()[0, 0]
    for height, ((name, row), text) in enumerate(zip(rows.items(), texts, strict=True)):
        _draw(ax, height, row, look[name], asked[name])
        text_beside(ax, height, text, fontsize=8.5)
    if networks is not None:
        _network_ticks(ax, networks, list(rows), asked)
    ticks = doublings(least, most)
    lag_axis(ax, ticks if len(ticks) <= 9 else without_overlap(ticks[::3], np.log2(ticks[::3]).tolist(), len(ticks)))
    ax.set_xlim(least / BEYOND / 1.08, most * BEYOND * 1.08)
    ax.set_ylim(-0.7, len(table) - 0.3)
    ax.set_yticks(range(len(table)), [name.text for name in rows])
    note = "; small ticks: each network" if networks is not None else ""
    ax.set_xlabel(
        f"lag (steps) — point: estimate; bar: interval{note};\narrow: may lie beyond the lags asked; n: "
        + ("networks" if networks is not None else "trainings")
    )
    return drawn.root


def _text(row: Mapping[Hashable, Any]) -> str:
    """The horizon, the number of trainings or networks, and how many of them diverged."""
    count = row["trainings"] if "trainings" in row else row["seeds"]
    lost = f", {row['diverged']} diverged" if row["diverged"] else ""
    return f"{row['horizon']}   n = {count}{lost}"


def _draw(ax: Axes, height: int, row: Mapping[Hashable, Any], look: Look, asked: tuple[float, float]) -> None:
    """Draw an interval with its ends, and its estimate unless that is a bound; `asked`: the ends of the lags asked."""
    below, beyond = row["low"] <= 0, math.isinf(row["high"])
    left = asked[0] / BEYOND if below else min(row["low"], asked[1])
    right = asked[1] * BEYOND if beyond else max(row["high"], asked[0])
    ax.plot([left, right], [height] * 2, color=look.colour, linestyle="-", linewidth=1.6, solid_capstyle="butt")
    for place, marker in ((left, "<" if below else "|"), (right, ">" if beyond else "|")):
        ax.plot([place], [height], color=look.colour, marker=marker, markersize=7, linestyle="none")
    if row["bound"] == "none":
        ax.plot([row["estimate"]], [height], **{**look.line, "linestyle": "none"}, markersize=7)


def _network_ticks(
    ax: Axes, networks: pd.DataFrame, order: list[GroupName], asked: Mapping[GroupName, tuple[float, float]]
) -> None:
    """Draw a tick for each network: in the middle of its interval, or at the end of the lags asked for a bound."""
    ticks: Counter[tuple[GroupName, float]] = Counter()
    for name, low, high in zip(names(networks, "seed"), networks["low"], networks["high"], strict=True):
        least, most = asked[name]
        ticks[name, least if low <= 0 else most if math.isinf(high) else math.sqrt(low * high)] += 1
    for (name, lag), count in ticks.items():
        places = lag * 2.0 ** (SEED_STEP * (np.arange(count) - (count - 1) / 2))
        height = np.full(count, order.index(name) - 0.3)
        ax.plot(places, height, color="0.5", marker="|", markersize=4, linestyle="none")
