"""The horizon over two axes as a heat map."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from farback.plots.style import RC, doublings, legible


def horizon_map(table: pd.DataFrame) -> Figure:
    """Each field shows what half of the seeds reach (">= 160" where censored); its shade is the mean horizon.

    Args:
        table: what `tables.horizon_grid` gives: the first column makes the rows, the second the columns.
    """
    row, column = (str(name) for name in table.columns[:2])
    wide = table.set_index([row, column])
    mean = wide["estimate"].unstack()
    text = wide["horizon"].unstack()
    least, most = float(max(1, table["smallest_lag"].min())), float(table["largest_lag"].max())
    columns = [str(name).replace(", ", ",\n") for name in mean.columns]
    letters = max(len(line) for name in columns for line in name.split("\n"))
    size = (max(4.4, max(1.1, 0.08 * letters + 0.15) * mean.shape[1] + 2.0), max(2.4, 0.55 * mean.shape[0] + 1.6))
    with mpl.rc_context({**RC, "axes.grid": False}):
        figure = Figure(figsize=size, layout="constrained")
        ax = figure.subplots()
        sns.heatmap(
            mean,
            annot=text,
            fmt="",
            ax=ax,
            cmap="cividis",
            norm=LogNorm(least, max(most, 2 * least)),
            linewidths=1.5,
            linecolor="white",
            annot_kws={"fontsize": 9},
            cbar_kws={"label": "shade: mean (steps)", "ticks": doublings(least, most), "format": "%g"},
        )
        legible(ax, mean.shape[1])
        for at, beside in np.argwhere(mean.isna().to_numpy()):  # seaborn leaves masked fields without text
            ax.text(beside + 0.5, at + 0.5, "not run", ha="center", va="center", color="0.4")
        scale = ax.collections[0].colorbar
        if scale is not None:
            scale.minorticks_off()
        ax.set(xlabel=f"{column}\ntext: what half of the seeds reach", ylabel=row, facecolor="0.93")
        ax.set_xticks(ax.get_xticks(), columns, rotation=0)
        ax.tick_params(length=0)
        ax.tick_params(axis="y", rotation=0)
        figure.suptitle(f"Horizon by {row} and {column}", x=0.01, ha="left")
    return figure
