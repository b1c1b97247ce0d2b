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

from farback.plots.axes import doublings, lag_axis, text_beside
from farback.plots.panels import new_figure
from farback.plots.style import GroupName, Look, looks, names, styled_x_grid

SEED_STEP = 0.05  # distance between the ticks of equal seeds, in doublings of the lag
BEYOND = 1.3  # arrows end at this factor beyond the tested lags


@styled_x_grid
def forest(
    table: pd.DataFrame, seeds: pd.DataFrame | None = None, title: str = "How far back each network remembers"
) -> Figure:
    """A forest plot, the largest horizon on top; an arrow marks an interval that ends beyond the tested lags.

    Args:
        table: from `tables.trainability` or `tables.retention_horizons`.
        seeds: from `tables.seed_horizons` for the same groups, to draw each seed as a small tick.
    """
    table = table.sort_values(["estimate", "restricted_mean"], kind="stable")
    rows = dict(zip(names(table, "seeds"), table.to_dict("records"), strict=True))
    look = looks(rows)
    tested = {name: (float(max(row["smallest_lag"], 1)), float(row["largest_lag"])) for name, row in rows.items()}
    least, most = min(ends[0] for ends in tested.values()), max(ends[1] for ends in tested.values())
    figure = new_figure(7.0, 0.34 * len(table) + 1.5, title)
    ax = figure.subplots()
    for height, (name, row) in enumerate(rows.items()):
        _draw(ax, height, row, look[name], tested[name])
        text = f"{row['horizon']}   n = {row['seeds']}" + (f", {row['diverged']} diverged" if row["diverged"] else "")
        text_beside(ax, height, text, fontsize=8.5)
    if seeds is not None:
        _seed_ticks(ax, seeds, list(rows), tested)
    lag_axis(ax, doublings(least, most))
    ax.set_xlim(least / BEYOND / 1.08, most * BEYOND * 1.08)
    ax.set_ylim(-0.7, len(table) - 0.3)
    ax.set_yticks(range(len(table)), [name.text for name in rows])
    ax.set_xlabel(
        "horizon (lag in steps) — point: Spearman-Karber mean; bar: 95 % bootstrap over seeds;\n"
        "small ticks: seeds; arrow: beyond the tested lags; on the right: the lag that half of the seeds reach"
    )
    return figure


def _draw(ax: Axes, height: int, row: Mapping[Hashable, Any], look: Look, tested: tuple[float, float]) -> None:
    """Draw an interval with its ends and its estimate; `tested` has the smallest and the largest lag tested."""
    below, beyond = row["low"] <= 0, math.isinf(row["high"])
    left, right = tested[0] / BEYOND if below else row["low"], tested[1] * BEYOND if beyond else row["high"]
    ax.plot([left, right], [height] * 2, color=look.colour, linestyle="-", linewidth=1.6, solid_capstyle="butt")
    for place, marker in ((left, "<" if below else "|"), (right, ">" if beyond else "|")):
        ax.plot([place], [height], color=look.colour, marker=marker, markersize=7, linestyle="none")
    ax.plot([row["estimate"]], [height], **{**look.line, "linestyle": "none"}, markersize=7)


def _seed_ticks(
    ax: Axes, seeds: pd.DataFrame, order: list[GroupName], tested: Mapping[GroupName, tuple[float, float]]
) -> None:
    """Draw a tick for each seed: in the middle of its interval, or at the end of the tested lags if it lies beyond."""
    ticks: Counter[tuple[GroupName, float]] = Counter()
    for name, low, high in zip(names(seeds, "seed"), seeds["low"], seeds["high"], strict=True):
        least, most = tested[name]
        ticks[name, least if low <= 0 else most if math.isinf(high) else math.sqrt(low * high)] += 1
    for (name, lag), count in ticks.items():
        places = lag * 2.0 ** (SEED_STEP * (np.arange(count) - (count - 1) / 2))
        height = np.full(count, order.index(name) - 0.3)
        ax.plot(places, height, color="0.5", marker="|", markersize=4, linestyle="none")
