"""A heat map of the horizon over two settings."""

from __future__ import annotations

import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from farback.plots.axes import doublings
from farback.plots.heat_maps import heat_map
from farback.plots.panels import new_figure
from farback.plots.style import styled_no_grid


@styled_no_grid
def horizon_map(table: pd.DataFrame) -> Figure:
    """Draw `tables.horizon_grid`: the text is the lag that half of the seeds reach, the shade the mean horizon."""
    row, column = (str(name) for name in table.columns[:2])
    wide = table.set_index([row, column])
    mean, text = wide["estimate"].unstack(), wide["horizon"].unstack()
    least, most = float(max(1, table["smallest_lag"].min())), float(table["largest_lag"].max())
    columns = [str(name).replace(", ", ",\n") for name in mean.columns]
    letters = max(len(line) for name in columns for line in name.split("\n"))
    width = max(4.4, max(1.1, 0.08 * letters + 0.15) * mean.shape[1] + 2.0)
    figure = new_figure(width, max(2.4, 0.55 * mean.shape[0] + 1.6), f"Horizon by {row} and {column}")
    ax = figure.subplots()
    heat_map(
        ax,
        mean,
        text,
        ("not run", "0.4"),
        norm=LogNorm(least, max(most, 2 * least)),
        linewidths=1.5,
        annot_kws={"fontsize": 9},
        cbar_kws={"label": "shade: mean (steps)", "ticks": doublings(least, most), "format": "%g"},
    )
    scale = ax.collections[0].colorbar
    if scale is not None:
        scale.minorticks_off()
    ax.set(xlabel=f"{column}\ntext: the lag that half of the seeds reach", ylabel=row)
    ax.set_xticks(ax.get_xticks(), columns, rotation=0)
    ax.tick_params(axis="y", rotation=0)
    return figure
