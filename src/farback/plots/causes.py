"""The figure of why networks fail: the shares of the causes, a bar for each network and lag."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from farback.plots.axes import fixed_ticks, text_beside
from farback.plots.canvas import canvas
from farback.plots.findings import LETTERS
from farback.plots.panels import legend_below
from farback.plots.style import names, styled_x_grid

ANSWERS, UNKNOWN = "#E4E4E4", "#9A9A9A"
COLOURS = ("#117733", "#CC6677", "#88CCEE", "#DDAA33", "#004488", "#AA4499", "#000000")  # of the causes, in their order
ROW, BAR = 0.25, 0.78  # inches; and the share of a row that its bar takes
AXIS, LETTER = 4.6, 0.075  # inches: the width of the axis, and of a letter beside it


@styled_x_grid
def causes(table: pd.DataFrame, *, title: str, ax: Axes | None = None) -> Figure:
    """How many networks answer at each lag, and why the others do not, as stacked bars.

    Args:
        table: from `tables.diagnoses`.
        title: the finding.
        ax: the axes to draw into; default: a new figure.
    """
    columns = [str(name) for name in table.columns]
    kinds = columns[columns.index("not_learnable") + 1 : columns.index("step")]
    rows = [f"{name.text}, lag {lag}" for name, lag in zip(names(table, "moment"), table["lag"], strict=True)]
    beside = [_beside(row) for row in table.to_dict("records")]
    width = AXIS + LETTER * (max(map(len, rows)) + max(map(len, beside)))
    drawn = canvas(width, ROW * len(rows) + 1.8, textwrap.fill(title, int(LETTERS * width)), ax)
    ax = drawn.panels()[0, 0]
    seeds, fails, unknown = (table[name].to_numpy(float) for name in ("seeds", "fails", "unknown"))
    parts = {"answers": (ANSWERS, (seeds - fails) / seeds)}
    for place, kind in enumerate(kinds):
        share = table[kind].fillna(0.0).to_numpy(float) * (fails - unknown) / seeds
        parts[kind.replace("_", " ")] = (COLOURS[place % len(COLOURS)], share)
    parts["unknown"] = (UNKNOWN, unknown / seeds)
    place_R, left_R = np.arange(len(rows))[::-1], np.zeros(len(rows))
    shown = {name: part for name, part in parts.items() if part[1].any()}
    for colour, share_R in shown.values():
        ax.barh(place_R, share_R, BAR, left=left_R, color=colour, edgecolor="white", linewidth=0.6)
        left_R = left_R + share_R
    for place, text in zip(place_R, beside, strict=True):
        text_beside(ax, float(place), text, fontsize=8)
    fixed_ticks(ax.yaxis, list(range(len(rows))), lambda place: rows[len(rows) - 1 - round(place)])
    fixed_ticks(ax.xaxis, [0, 0.25, 0.5, 0.75, 1], "{:.0%}".format)
    ax.set_xlim(0, 1)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlabel("share of networks")
    patches = [Patch(color=colour, label=name) for name, (colour, _) in shown.items()]
    note = "at the right: median steps after the cue at which it is lost; networks whose gradient at the lag is noise"
    legend_below(drawn, patches, note)
    return drawn.root


def _beside(row: Mapping[Any, Any]) -> str:
    """When the cue is lost, and how often the gradient is noise, of the networks that fail."""
    lost = f"after {row['step']:.3g} steps" if row["step"] == row["step"] else ""
    noise = f"noise {row['not_learnable']:.0f}/{row['fails']:.0f}" if row["fails"] else ""
    return "; ".join(filter(None, (lost, noise)))
