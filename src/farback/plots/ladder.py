"""Losses on the staircase of partial memory."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from farback.plots.style import GREY, RC, inner_ticks, legend, looks, names


def staircase(table: pd.DataFrame, steps: pd.DataFrame, unit: str = "days") -> Figure:
    """The loss of a perfect memory of the last m, as a line, and every seed of every network where its loss puts it.

    Args:
        table: group columns, then seed, height, loss.
        steps: height and loss of each rung.
        unit: what a height counts.
    """
    group = names(table, "seed")
    look = looks(group)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.0, 4.2), layout="constrained")
        ax = figure.subplots()
        ax.plot(steps["height"], steps["loss"], color=GREY, linewidth=1.2, marker=".", markersize=7, zorder=1)
        ax.annotate(
            f"a perfect memory of the last m {unit}",
            (float(steps["height"].iloc[1]), float(steps["loss"].iloc[1])),
            xytext=(10, 8),
            textcoords="offset points",
            color="0.35",
            fontsize=8.5,
        )
        for name, own in look.items():
            mine = table[[other == name for other in group]]
            ax.plot(
                mine["height"],
                mine["loss"],
                linestyle="none",
                marker=own.marker,
                color=own.colour,
                markerfacecolor=own.fill,
                markersize=8,
                alpha=0.75,
                label=name.text,
            )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        inner_ticks(ax)
        ax.set(xlabel=f"{unit} remembered", ylabel="test loss (nats a pixel)")
        figure.suptitle(f"How many {unit} each network remembers", x=0.01, ha="left")
        legend(figure, {"": list(look)}, look, "each marker is a seed")
    return figure
