"""The figure of the success rate against the training lag."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from farback.plots.axes import dodged, doublings, lag_axis
from farback.plots.canvas import Canvas
from farback.plots.findings import finding
from farback.plots.panels import group_panels
from farback.plots.series import name_entries, series, stands_for
from farback.plots.style import GREY, Look, groups, names, styled

FEW_LAGS = 8  # for more, the ticks are doublings of the smallest
MOST_TICKS = 6  # in a panel
ONE_WIDTH = 5.2  # inches, of a figure with one panel
PANEL = 2.3  # inches: two panels fit on the screen of a phone
BEYOND = 1.45  # arrows end at this factor beyond the lags tried
APART = 0.055  # between the half-way marks of one panel, as a share of the axis
NOTE = (
    "Lines and bands: fitted success rate, 95 % interval. Dots: observed rates, larger with more trainings. "
    "Marks at one half: half-way lag, 95 % interval; an arrow where it may lie beyond the lags tried."
)
TITLE_LETTERS = 30  # of a panel's title in a line
NOTE_LETTERS = 15.5  # of the note in an inch
ENTRY_LETTERS, HANDLE_LETTERS = 17, 9  # of a legend's text in an inch, and those that its line has room for


@styled
def success(table: pd.DataFrame, curves: pd.DataFrame, horizons: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Observed success rates, the fitted curves with their bands, and the half-way lag of each group.

    Args:
        table: from `tables.success_by_lag`.
        curves: from `tables.success_curves`, for the same groups.
        horizons: from `tables.trainability`, for the same groups.
        ax: the axes to draw into, where all groups share a panel; default: a new figure.
    """
    layout = group_panels(table, "lag", "Success rate", ax=ax)
    letters = int(ENTRY_LETTERS * _panel_width(layout.canvas)) - HANDLE_LETTERS
    fitted = groups(curves, "lag") if len(curves) else {}
    rows = dict(zip(names(horizons, "seeds"), horizons.to_dict("records"), strict=True))
    least, most = float(horizons["smallest_lag"].min()), float(horizons["largest_lag"].max())
    lags = sorted(set(table["lag"]))
    lines = 0  # of the longest legend
    for panel in layout:
        ax, count = panel.ax, len(panel.parts)
        ax.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
        entries = []
        for index, (name, own) in enumerate(panel.parts.items()):
            look, row = layout.look[name], rows[name]
            places = dodged(own["lag"].tolist(), index, count) if len(lags) <= FEW_LAGS else own["lag"]
            fill = look.line["markerfacecolor"]
            style: Any = {"marker": look.marker, "facecolor": fill, "edgecolor": look.colour, "linewidth": 1.0}
            with series(ax, name.text):
                if name in fitted:
                    _curve(ax, fitted[name], look)
                ax.scatter(places, own["rate"], s=_area(own["trials"]), alpha=0.85, zorder=3, label=name.text, **style)
                _half_way(ax, 0.5 + APART * ((count - 1) / 2 - index), row, look)
                # The page shows the values of lines: this invisible one has the lags without the shift of the dots
                ax.plot(own["lag"], own["rate"], **look.line, label=name.text, visible=False)
            part = name.text if layout.inner is None else name.part(layout.inner)  # the title names the other parts
            text = _entry(part, _short(row["horizon"]), letters)
            style = {**look.line, "markersize": 4.5, "linewidth": 1.5, **stands_for([name.text])}
            entries.append(Line2D([], [], label=text, **style))
        lines = max(lines, sum(str(entry.get_label()).count("\n") + 1 for entry in entries))
        ax.set_ylim(-0.06, 1.06)
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        title = ax.get_title(loc="left")
        ax.set_title("")
        made = ax.legend(
            handles=entries,
            title=textwrap.fill(title, TITLE_LETTERS) or None,
            loc="lower left",
            bbox_to_anchor=(-0.03, 1.0),
            alignment="left",
            fontsize=7.8,
            title_fontproperties={"weight": "bold", "size": 9.0},
            handlelength=2.6,
            borderaxespad=0.1,
            labelspacing=0.25,
        )
        name_entries(made, entries)
    _resize(layout.canvas, len(layout.panels), lines)
    ticks = lags if len(lags) <= FEW_LAGS else doublings(least, most)
    for panel in layout:
        lag_axis(panel.ax, ticks if len(ticks) <= MOST_TICKS else ticks[::-2][::-1])
        if lags[0] > 0:
            panel.ax.set_xlim(least / BEYOND / 1.12, most * BEYOND * 1.12)
    width, callers = layout.canvas.width, layout.canvas.ax
    text = finding("Learned by half of the seeds", horizons, width)
    layout.labels("training lag (steps)", "" if callers is None else "share of trainings that succeed")
    if callers is None:
        layout.canvas.title(text, fontsize=10.5)
        layout.canvas.figure.supylabel("share of trainings that succeed", fontsize=9.0)
    elif (legend := callers.get_legend()) is not None:  # it stands where the title of the axes would be
        legend.get_title().set_text(text)
    layout.canvas.note(textwrap.fill(NOTE, int(NOTE_LETTERS * width)), fontsize=7.5, x=0.01, ha="left")
    return layout.figure


def _entry(part: str, horizon: str, letters: int) -> str:
    """A text of the legend, with the horizon in a line of its own where one line has no room for both."""
    if len(part) + len(horizon) + 2 <= letters:
        return f"{part}: {horizon}"
    return textwrap.fill(f"{part}:", max(letters, 1), subsequent_indent="  ") + f"\n  {horizon}"


def _short(horizon: str) -> str:
    """A horizon for a narrow panel: "67 (46 to > 80)"; a bound without its interval, which is drawn."""
    return horizon.split(" (95")[0].replace("(below ", "(< ").replace("to beyond ", "to > ")


def _grid(drawn: Canvas) -> tuple[int, int]:
    """The rows and columns of the panels."""
    place = None if drawn.ax is not None else drawn.figure.axes[0].get_subplotspec()
    return (1, 1) if place is None else place.get_gridspec().get_geometry()


def _panel_width(drawn: Canvas) -> float:
    """The width of a panel in inches, with the labels beside it."""
    columns = _grid(drawn)[1]
    if not drawn.is_new:
        return drawn.width / columns
    return ONE_WIDTH if columns == 1 else PANEL


def _resize(drawn: Canvas, panels: int, lines: int) -> None:
    rows, columns = _grid(drawn)
    height = 1.55 + 0.17 * lines
    drawn.resize(ONE_WIDTH if columns == 1 else PANEL * columns + 0.35, (height if panels > 1 else 2.9) * rows + 1.3)


def _curve(ax: Axes, own: pd.DataFrame, look: Look) -> None:
    """Draw a fitted curve and its band; isotonic rates have no band."""
    ax.fill_between(own["lag"], own["low"], own["high"], color=look.colour, alpha=0.13, linewidth=0)
    ax.plot(own["lag"], own["rate"], color=look.colour, linestyle=look.dashes, linewidth=1.5, zorder=look.layer)


def _half_way(ax: Axes, height: float, row: Mapping[Hashable, Any], look: Look) -> None:
    """Mark the half-way lag and its interval; an arrow leads to what lies beyond the lags tried."""
    least, most = float(row["smallest_lag"]), float(row["largest_lag"])
    if most == 0:
        return
    below, beyond = row["low"] <= 0, math.isinf(row["high"])
    left = least / BEYOND if below else min(float(row["low"]), most)
    right = most * BEYOND if beyond else max(float(row["high"]), least)
    ax.plot([left, right], [height] * 2, color=look.colour, linewidth=2.2, solid_capstyle="butt", zorder=4)
    for place, marker, open_end in ((left, "<", below), (right, ">", beyond)):
        ax.plot([place], [height], color=look.colour, marker=marker if open_end else "|", markersize=6, zorder=4)
    if row["bound"] == "none":
        style = {**look.line, "linestyle": "none"}
        ax.plot([row["estimate"]], [height], **style, markersize=7.5, markeredgewidth=1.3, zorder=5)


def _area(trials: pd.Series[int]) -> Any:
    """The area of a dot, in points squared: in proportion to the number of trainings, within limits."""
    return np.clip(5.0 * trials.to_numpy(float), 8, 60)
