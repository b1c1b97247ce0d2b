"""Figures of the values of a search: the best so far, the Pareto front, and the gap to fresh seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from farback.plots.axes import text_beside
from farback.plots.canvas import canvas
from farback.plots.panels import group_panels, legend
from farback.plots.series import series
from farback.plots.style import GREY, Look, groups, looks, names, styled, styled_x_grid

DEFAULT_BELOW = 0.36  # in rows: how far the default setting is drawn below the tuned one
BANDS = {
    True: "band: 95 % bootstrap of the best of the trials so far, dashed: its mean\n"
    "(how much the best depends on single lucky trials)",
    False: "band: central 95 % of the best over all orders of these trials, dashed: its mean",
}


@styled
def best_after(table: pd.DataFrame, value: str = "value", adaptive: bool = True, *, ax: Axes | None = None) -> Figure:
    """The best value of each group's search after n trials, with the band, from `tables.best_after`.

    `adaptive`, as passed to `tables.best_after`, decides what the band means. `ax` are the axes to draw into,
    where all groups share a panel; by default a new figure is made.
    """
    layout = group_panels(table, "trials", "Best value of the search after n trials", together=1, height=2.3, ax=ax)
    for panel in layout:
        for index, (name, own) in enumerate(panel.parts.items()):
            with series(panel.ax, name.text):
                _draw(panel.ax, own, layout.look[name], name.text, 1 + 0.4 * (len(panel.parts) - 1 - index))
        panel.ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.ax.set_xlim(0.5, table["trials"].max() + 0.5)
    layout.labels("trials of the search", f"best {value} so far")
    layout.legend(BANDS[adaptive])
    return layout.figure


def _draw(ax: Axes, own: pd.DataFrame, look: Look, text: str, width: float) -> None:
    own = pd.concat([own, own.tail(1).assign(trials=own["trials"].max() + 0.5)])  # draws the last step at full width
    ax.fill_between(own["trials"], own["low"], own["high"], step="post", color=look.colour, alpha=0.18, linewidth=0)
    ax.plot(own["trials"], own["expected"], color=look.colour, linewidth=1.0, linestyle=(0, (3, 2)))
    ax.step(own["trials"], own["best"], where="post", color=look.colour, linewidth=1.6 * width, label=text)


@styled
def pareto(
    table: pd.DataFrame,
    values: Sequence[str] = ("value", "value 1"),
    largest: Sequence[bool] = (True, True),
    *,
    ax: Axes | None = None,
) -> Figure:
    """Every trial of `tables.front`; each group's Pareto front is drawn as full markers joined by steps.

    `values` names the two objectives; `largest` says of each whether the largest value is the best. `ax`
    are the axes to draw into, by default those of a new figure.
    """
    parts = groups(table, "number")
    look = looks(parts)
    drawn = canvas(7.0, 4.6, "Pareto front: no other trial is better in both", ax)
    ax = drawn.panels()[0, 0]
    # Between two points of the front only the corner that both dominate is known to be reachable.
    steps = "steps-pre" if largest[0] else "steps-post"
    for name, own in parts.items():
        rest, best = own[~own["front"]], own[own["front"]].sort_values("value", kind="stable")
        style: Any = {"color": look[name].colour, "marker": look[name].marker}
        pale: Any = {"linestyle": "none", "alpha": 0.3, "markersize": 4, "markeredgewidth": 0}
        ax.plot(rest["value"], rest["value_1"], **style, **pale)
        front: Any = {"drawstyle": steps, "linewidth": 1.4, "markersize": 6.5, "label": name.text}
        ax.plot(best["value"], best["value_1"], **style, **front)
    x, y = (f"{name} ({'more' if up else 'less'} is better)" for name, up in zip(values, largest, strict=True))
    ax.set(xlabel=x, ylabel=y)
    legend(drawn, look, "pale: trials dominated by another trial of the group; values of the search")
    return drawn.root


@styled_x_grid
def seen_fresh(
    table: pd.DataFrame, seeds: pd.DataFrame | None = None, value: str = "value", *, ax: Axes | None = None
) -> Figure:
    """For each setting of `tables.gaps`: the search's value, the mean over fresh seeds with its interval, and the gap.

    `seeds`, the table of fresh seeds of the same settings, adds each seed as a small tick. `ax` are the axes to draw
    into, by default those of a new figure.
    """
    group = names(table, "number", ignored="setting")
    look, order = looks(group), list(dict.fromkeys(group))[::-1]
    values = table.loc[:, ["seen", "low", "high"]].to_numpy(float)
    decimals = max(0, 2 - math.floor(math.log10(max(float(np.ptp(values)), 1e-9))))
    both = bool((table["setting"] != table["setting"].iloc[0]).any())
    column = 1.15 if both else 1.02  # where the gaps are written, as a share of the panel's width
    title = "Values of the search, and of fresh seeds"
    drawn = canvas(7.0, (0.62 if both else 0.45) * len(order) + 1.9, title, ax)
    ax = drawn.panels()[0, 0]
    heights = {}
    for name, row in zip(group, table.to_dict("records"), strict=True):
        tuned = row["setting"] == "tuned"
        height = heights[name, row["setting"]] = order.index(name) - (0 if tuned else DEFAULT_BELOW)
        colour = look[name].colour if tuned else GREY
        ax.plot([row["seen"], row["fresh"]], [height] * 2, color=colour, linewidth=0.9, linestyle=":")
        ax.plot([row["low"], row["high"]], [height] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
        ax.plot([row["seen"]], [height], "o", color=colour, markerfacecolor="white", markersize=6.5)
        ax.plot([row["fresh"]], [height], "D" if tuned else "s", color=colour, markersize=6.0)
        gap, low, high = (round(row[name], decimals) + 0.0 for name in ("gap", "gap_low", "gap_high"))  # no "-0"
        text = f"{gap:+.{decimals}f} ({low:+.{decimals}f} to {high:+.{decimals}f})"
        text_beside(ax, height, row["setting"] if both else "", fontsize=8.5)
        text_beside(ax, height, text, column, fontsize=8.5)
    if seeds is not None:
        every = names(seeds, "number", ignored="setting")
        for name, setting, number in zip(every, seeds["setting"], seeds["value"], strict=True):
            if (name, setting) in heights:
                ax.plot([number], [heights[name, setting] + 0.15], "|", color="0.55", markersize=4)
    ax.set_ylim(-0.5 - (DEFAULT_BELOW if both else 0), len(order) - 0.5)
    ax.set_yticks(np.arange(len(order)) - (DEFAULT_BELOW / 2 if both else 0), [name.text for name in order])
    ax.set_xlabel(value)
    ax.annotate("gap (95 %)", (column, 1.02), xycoords="axes fraction", fontsize=8.5)
    lines = [
        Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="none", label="value of the search"),
        Line2D([], [], color="0.15", marker="D", linewidth=2.2, label="fresh seeds, tuned: mean, 95 %"),
        Line2D([], [], color=GREY, marker="s", linewidth=2.2, label="fresh seeds, default"),
        Line2D([], [], color="0.55", marker="|", linestyle="none", label="a seed"),
    ]
    if not both:
        del lines[2]
    drawn.legend(lines, ncols=4, columnspacing=1.4)
    return drawn.root
