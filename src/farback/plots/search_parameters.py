"""Figures of the parameters of a search: their importance, and the value of every trial against each."""

from __future__ import annotations

import math
from collections.abc import Collection

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.canvas import Place, canvas
from farback.plots.panels import group_panels, legend, only_panel, subplots
from farback.plots.search_axes import parameter_axis, scales
from farback.plots.style import groups, looks, styled, styled_x_grid

COLUMNS = 3
SPREAD = 0.28  # share of a choice's width over which its trials are spread by group


@styled_x_grid
def importances(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """A panel for each group, a bar for each parameter; the column `importance` sums to 1 in each group.

    `ax` are the axes to draw into, if there is one group; by default a new figure is made.
    """
    only_panel(ax, [name.text for name in groups(table, "parameter")], "group")
    mean = table.groupby("parameter", sort=False)["importance"].mean().sort_values(kind="stable")
    order = mean.index.tolist()
    title = "Importance of the searched parameters"
    layout = group_panels(table, "parameter", title, together=1, height=0.24 * len(order) + 0.75, ax=ax)
    if len(layout.panels) == 1:
        layout.canvas.resize(7.0, 0.34 * len(order) + 1.4)
    for panel in layout:
        ((name, own),) = panel.parts.items()
        heights = [order.index(parameter) for parameter in own["parameter"]]
        bars = panel.ax.barh(heights, own["importance"], color=layout.look[name].colour, height=0.62)
        panel.ax.bar_label(bars, [f"{share:.0%}" for share in own["importance"]], padding=3, fontsize=8)
        panel.ax.set_yticks(range(len(order)), order)
        panel.ax.set_ylim(-0.6, len(order) - 0.4)
        panel.ax.set_xlim(0, 1.12)
        panel.ax.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    layout.labels("share of importance (PED-ANOVA)", "")
    return layout.figure


@styled
def slices(
    history: pd.DataFrame,
    log: Collection[str] = (),
    value: str = "value",
    largest: bool = True,
    *,
    figure: Place = None,
) -> Figure:
    """A panel for each parameter, a point for each complete trial, and a ring around the best of each group.

    `tables.search_history` describes the history. `log` has the names, without "param.", of parameters on a log axis.
    The panels are drawn into `figure`, by default a new one.
    """
    complete = history[history["state"] == "complete"].reset_index(drop=True)
    parts, shown = groups(complete, "number"), scales(complete, log)
    look = looks(parts)
    columns = min(COLUMNS, len(shown))
    title = "Slices: every trial of the search against each parameter"
    drawn = canvas(2.9 * columns + 0.8, 2.35 * math.ceil(len(shown) / columns) + 1.2, title, figure)
    axes = subplots(drawn, len(shown), columns, sharex=False)
    for place, (ax, (column, scale)) in enumerate(zip(axes, shown.items(), strict=True)):
        for index, (name, own) in enumerate(parts.items()):
            shift = SPREAD * (2 * (index + 0.5) / len(parts) - 1) if scale.choices else 0.0
            x, marker, colour = scale.places(own[column]) + shift, look[name].marker, look[name].colour
            ax.plot(x, own["value"], marker, color=colour, markersize=4.2, alpha=0.55, markeredgewidth=0)
            best = int(own["value"].argmax() if largest else own["value"].argmin())
            ax.plot(x[best], own["value"].iloc[best], "o", color=colour, markerfacecolor="none", markersize=10)
        parameter_axis(ax, scale, scale.places(complete[column]))
        ax.set_xlabel(scale.name)
        ax.set_ylabel("" if place % columns else f"{value} in the search")
    legend(drawn, look, "ring: the best trial of its group in the search")
    return drawn.root
