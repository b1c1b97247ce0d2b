"""What a search saw against what fresh seeds gave."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from farback.plots.style import GREY, RC, Name, looks, names

SIDE = ("axes fraction", "data")  # right of the panel, at a height of its own
BETWEEN = 0.36  # of a line: how far the default setting lies below the tuned one


def seen_fresh(table: pd.DataFrame, seeds: pd.DataFrame | None = None, value: str = "value") -> Figure:
    """For each group's setting the value that the search saw, the fresh mean with its interval, and the gap.

    Args:
        table: what `tables.gaps` gives.
        seeds: the fresh frame of the same settings, to draw each seed as a small tick.
        value: the objective's name.
    """
    group = names(table.drop(columns="setting"), "number")
    look, order = looks(group), list(dict.fromkeys(group))[::-1]
    drawn = table.loc[:, ["seen", "low", "high"]].to_numpy(float)
    decimals = max(0, 2 - math.floor(math.log10(max(float(np.ptp(drawn)), 1e-9))))
    both = bool((table["setting"] != table["setting"].iloc[0]).any())
    with mpl.rc_context({**RC, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(7.0, (0.62 if both else 0.45) * len(order) + 1.9), layout="constrained")
        ax = figure.subplots()
        heights: dict[tuple[Name, str], float] = {}
        for name, row in zip(group, table.to_dict("records"), strict=True):
            tuned = row["setting"] == "tuned"
            height = order.index(name) - (0 if tuned else BETWEEN)
            heights[name, row["setting"]] = height
            colour = look[name].colour if tuned else GREY
            ax.plot([row["seen"], row["fresh"]], [height] * 2, color=colour, linewidth=0.9, linestyle=":")
            ax.plot([row["low"], row["high"]], [height] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
            ax.plot([row["seen"]], [height], "o", color=colour, markerfacecolor="white", markersize=6.5)
            ax.plot([row["fresh"]], [height], "D" if tuned else "s", color=colour, markersize=6.0)
            ends = (round(row[name], decimals) + 0.0 for name in ("gap", "gap_low", "gap_high"))  # and no -0
            text = "{:+.{d}f} ({:+.{d}f} to {:+.{d}f})".format(*ends, d=decimals)
            ax.annotate(row["setting"] if both else "", (1.02, height), xycoords=SIDE, va="center", fontsize=8.5)
            ax.annotate(text, (1.15 if both else 1.02, height), xycoords=SIDE, va="center", fontsize=8.5)
        if seeds is not None:
            for name, setting, at in zip(
                names(seeds.drop(columns="setting"), "number"), seeds["setting"], seeds["value"], strict=True
            ):
                if (name, setting) in heights:
                    ax.plot([at], [heights[name, setting] + 0.15], "|", color="0.55", markersize=4)
        ax.set_ylim(-0.5 - (BETWEEN if both else 0), len(order) - 0.5)
        ax.set_yticks(np.arange(len(order)) - (BETWEEN / 2 if both else 0), [name.text for name in order])
        ax.set_xlabel(value)
        ax.annotate("gap (95 %)", (1.15 if both else 1.02, 1.02), xycoords="axes fraction", fontsize=8.5)
        figure.suptitle("What the search saw, and what fresh seeds gave", x=0.01, ha="left")
        figure.legend(handles=_entries(both), loc="outside lower center", ncols=4, columnspacing=1.4)
    return figure


def _entries(both: bool) -> list[Line2D]:
    seen = Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="none", label="seen by the search")
    fresh = Line2D([], [], color="0.15", marker="D", linewidth=2.2, label="fresh seeds, tuned: mean, 95 %")
    default = Line2D([], [], color=GREY, marker="s", linewidth=2.2, label="fresh seeds, default")
    tick = Line2D([], [], color="0.55", marker="|", linestyle="none", label="a seed")
    return [seen, fresh, *([default] if both else []), tick]
