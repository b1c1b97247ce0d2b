"""The figure of all published claims, sorted by verdict."""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.canvas import canvas
from farback.plots.style import styled_no_grid

MARKS = {  # Paul Tol's high contrast scheme and a grey; the shapes differ too, and the verdict stands beside the mark
    "refuted": ("#BB5566", "X"),
    "depends": ("#DDAA33", "D"),
    "inconclusive": ("0.55", "o"),  # drawn hollow
    "confirmed": ("#004488", "o"),
}
INCHES_PER_LINE = 0.17
VERDICT, NAME, TEXT, CHARACTERS = 0.02, 0.105, 0.325, 112  # columns, as shares of the width; letters per line


@styled_no_grid
def verdicts(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """A line for each claim, refuted claims on top; columns: id, verdict (one of `MARKS`), claim.

    `ax` are the axes to draw into, by default those of a new figure.
    """
    order = list(MARKS)
    ordered = table.assign(place=table["verdict"].map(order.index)).sort_values(["place", "id"], kind="stable")
    texts = [textwrap.wrap(text, CHARACTERS) for text in ordered["claim"]]
    heights = [len(lines) + 0.6 for lines in texts]
    title = "Published claims, and the verdict of our runs"
    drawn = canvas(11.5, INCHES_PER_LINE * sum(heights) + 0.9, title, ax)
    ax = drawn.panels()[0, 0]
    ax.set(xlim=(0, 1), ylim=(sum(heights), 0))
    ax.set_axis_off()
    top = 0.0
    for row, lines, height in zip(ordered.to_dict("records"), texts, heights, strict=True):
        verdict, middle = row["verdict"], top + height / 2
        ax.plot([0.005], [middle], clip_on=False, **_mark(verdict))
        ax.text(VERDICT, middle, verdict, va="center", fontsize=8)
        ax.text(NAME, middle, row["id"], va="center", fontsize=8.5)
        ax.text(TEXT, middle, "\n".join(lines), va="center", fontsize=8, parse_math=False)
        ax.axhline(top + height, color="0.92", linewidth=0.6, zorder=0)
        top += height
    for verdict in MARKS:
        ax.plot([], [], label=f"{verdict}: {int((ordered['verdict'] == verdict).sum())}", **_mark(verdict))
    drawn.legend(ax.get_legend_handles_labels()[0], loc="outside upper right", ncols=len(order))
    return drawn.root


def _mark(verdict: str) -> dict[str, Any]:
    """The look of a verdict's mark."""
    colour, marker = MARKS[verdict]
    filled = "none" if verdict == "inconclusive" else colour
    return {"marker": marker, "color": colour, "markerfacecolor": filled, "markersize": 7, "linestyle": "none"}
