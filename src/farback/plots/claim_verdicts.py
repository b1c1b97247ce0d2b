"""The figure of all published claims, sorted by verdict."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.figure import Figure

from farback.plots.panels import new_figure
from farback.plots.style import styled_no_grid

MARKS = {  # Paul Tol's high contrast scheme; the shapes differ too
    "refuted": ("#BB5566", "X"),
    "depends": ("#DDAA33", "D"),
    "confirmed": ("#004488", "o"),
}
INCHES_PER_LINE = 0.17
LEFT, CHARACTERS = 0.25, 125  # statements begin at this share of the width and wrap after this many letters


@styled_no_grid
def verdicts(table: pd.DataFrame) -> Figure:
    """A line for each claim, refuted claims on top; columns: id, verdict (confirmed, depends or refuted), claim."""
    order = list(MARKS)
    ordered = table.assign(place=table["verdict"].map(order.index)).sort_values(["place", "id"], kind="stable")
    texts = [textwrap.wrap(text, CHARACTERS) for text in ordered["claim"]]
    heights = [len(lines) + 0.6 for lines in texts]
    figure = new_figure(11.0, INCHES_PER_LINE * sum(heights) + 0.9, "Published claims, and the verdict of our runs")
    ax = figure.subplots()
    ax.set(xlim=(0, 1), ylim=(sum(heights), 0))
    ax.set_axis_off()
    top = 0.0
    for row, lines, height in zip(ordered.to_dict("records"), texts, heights, strict=True):
        colour, marker = MARKS[row["verdict"]]
        middle = top + height / 2
        ax.plot([0.005], [middle], marker=marker, color=colour, markersize=7, clip_on=False, linestyle="none")
        ax.text(0.02, middle, row["id"], va="center", fontsize=8.5)
        ax.text(LEFT, middle, "\n".join(lines), va="center", fontsize=8, parse_math=False)
        ax.axhline(top + height, color="0.92", linewidth=0.6, zorder=0)
        top += height
    for verdict, (colour, marker) in MARKS.items():
        count = int((ordered["verdict"] == verdict).sum())
        ax.plot([], [], marker=marker, color=colour, linestyle="none", label=f"{verdict}: {count}")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=len(order))
    return figure
