"""A heat map of the horizon over two settings."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from farback.plots.axes import doublings
from farback.plots.canvas import canvas
from farback.plots.heat_maps import heat_map
from farback.plots.style import styled_no_grid


@styled_no_grid
def horizon_map(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Draw `tables.horizon_grid`: the text is the horizon with its interval, the shade its estimate.

    The shade of a bound is that of the limit asked. `ax` are the axes to draw into, by default those of a new figure.
    """
    row, column = (str(name) for name in table.columns[:2])
    wide = table.set_index([row, column])
    least, most = float(max(1, table["smallest_lag"].min())), float(max(1, table["largest_lag"].max()))
    mean = wide["estimate"].clip(wide["smallest_lag"].clip(lower=1), wide["largest_lag"].clip(lower=1)).unstack()
    text = wide["horizon"].str.split(" (95", regex=False).str[0].str.replace(" (", "\n(", regex=False).unstack()
    columns = [str(name).replace(", ", ",\n") for name in mean.columns]
    letters = max(len(line) for name in columns for line in name.split("\n"))
    width = max(4.4, max(1.2, 0.08 * letters + 0.15) * mean.shape[1] + 2.0)
    title = f"Learned by half of the seeds, by {row} and {column}"
    drawn = canvas(width, max(2.4, 0.6 * mean.shape[0] + 1.7), title, ax)
    ax = drawn.panels()[0, 0]
    heat_map(
        ax,
        mean,
        text,
        ("not run", "0.4"),
        norm=LogNorm(least, max(most, 2 * least)),
        linewidths=1.5,
        annot_kws={"fontsize": 8.5},
        cbar_kws={"label": "shade: estimate (steps)", "ticks": doublings(least, most), "format": "%g"},
    )
    scale = ax.collections[0].colorbar
    if scale is not None:
        scale.minorticks_off()
    ax.set(xlabel=f"{column}\ntext: half-way lag and 95 % interval", ylabel=row)
    ax.set_xticks(ax.get_xticks(), columns, rotation=0)
    ax.tick_params(axis="y", rotation=0)
    return drawn.root
