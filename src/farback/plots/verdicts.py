"""Claims by verdict: what was published, and what was found."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from farback.plots.style import RC

MARKS = {  # Tol's high contrast scheme; told apart by shape too
    "confirmed": ("#004488", "o"),
    "depends": ("#DDAA33", "D"),
    "refuted": ("#BB5566", "X"),
}
INCHES_A_LINE = 0.26
COLUMNS = (("published", 0.26, 44), ("found", 0.57, 62))  # where they begin, as a share of the width, and characters
WIDTH = 11.0


def verdicts(table: pd.DataFrame) -> Figure:
    """A line for each claim, the refuted on top, with the published number beside what was found.

    Args:
        table: a row for each claim: id, verdict (confirmed, depends or refuted), published, found.
    """
    order = ["refuted", "depends", "confirmed"]
    ordered = table.assign(place=table["verdict"].map(order.index)).sort_values(["place", "id"], kind="stable")
    with mpl.rc_context({**RC, "axes.grid": False}):
        figure = Figure(figsize=(WIDTH, INCHES_A_LINE * (len(ordered) + 1) + 0.9), layout="constrained")
        ax = figure.subplots()
        ax.set_xlim(0, 1)
        ax.set_ylim(len(ordered) - 0.4, -1.4)
        ax.set_axis_off()
        for column, left, _ in (("claim", 0.02, 0), *COLUMNS):
            ax.text(left, -1, column, weight="bold", va="center")
        for height, row in enumerate(ordered.to_dict("records")):
            colour, marker = MARKS[row["verdict"]]
            ax.plot([0.005], [height], marker=marker, color=colour, markersize=7, clip_on=False, linestyle="none")
            ax.text(0.02, height, row["id"], va="center")
            for column, left, longest in COLUMNS:
                ax.text(left, height, _short(row[column], longest), va="center", fontsize=8, parse_math=False)
            ax.axhline(height + 0.5, color="0.92", linewidth=0.6, zorder=0)
        for verdict in order:
            colour, marker = MARKS[verdict]
            count = int((ordered["verdict"] == verdict).sum())
            ax.plot([], [], marker=marker, color=colour, linestyle="none", label=f"{verdict}: {count}")
        figure.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=len(order))
        figure.suptitle("Published claims, held against our runs", x=0.01, ha="left")
    return figure


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
