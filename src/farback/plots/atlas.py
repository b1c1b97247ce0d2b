"""Figures of the horizons of many networks: a map with a row for each, and lines against their budgets or sizes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from farback.plots.axes import curve_ticks, doublings, fixed_ticks, lag_axis, text_beside
from farback.plots.canvas import Place, canvas
from farback.plots.findings import LETTERS
from farback.plots.panels import labels, legend_below, subplots
from farback.plots.series import series
from farback.plots.style import LEVEL_MARKERS, OTHER_COLOURS, styled, styled_x_grid

BEYOND = 1.35  # bounds are drawn at this factor beyond the lags asked
SHADES = ("#88CCEE", "#004488", "#000000")  # of sizes, the smallest first
LETTER = 0.075  # inches: the width of a letter beside the map
ROW = 0.23  # inches
APART = 0.18  # of the rows of two sizes
PAIR = 2  # points of a line that have bars; more have a band
MOST_TICKS = 6
ARROWS = {"at least": r"$\uparrow$", "below": r"$\downarrow$"}  # on bounds
WIDE = 30  # a range with fewer labels in each power of ten


def _within(table: pd.DataFrame, column: str) -> pd.Series[float]:
    """Lags to draw: what lies beyond the lags asked is drawn a little beyond them."""
    low, high = table["smallest_lag"] / BEYOND, table["largest_lag"] * BEYOND
    found: pd.Series[float] = table[column].clip(low, high)
    return found


def _drawable(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{column: _within(table, column) for column in ("estimate", "low", "high")})


@styled_x_grid
def horizon_rows(
    table: pd.DataFrame, row: str, size: str, beside: str, *, title: str, note: str, ax: Axes | None = None
) -> Figure:
    """Horizons with their intervals, a line for each network in the order of the table, from the top.

    Args:
        table: columns `row` (the network), `size` (a number: each has a shade), `beside` (a text that stands beside the
            row, that of its largest size), and horizon, estimate, low, high, bound, smallest_lag, largest_lag.
        title: the finding.
        note: how to read the figure, below it.
        ax: the axes to draw into; default: a new figure.
    """
    table = _drawable(table)
    rows, sizes = list(dict.fromkeys(table[row])), sorted(set(table[size]))
    texts = table.sort_values(size, kind="stable").groupby(row, sort=False)[beside].last()
    width = 4.6 + LETTER * (max(map(len, map(str, rows))) + max(map(len, texts)))
    drawn = canvas(width, ROW * len(rows) + 1.9, textwrap.fill(title, int(LETTERS * width)), ax)
    ax = drawn.panels()[0, 0]
    shades = dict(zip(sizes, SHADES, strict=False))
    for one in table.to_dict("records"):
        at = len(rows) - 1 - rows.index(one[row]) + APART * (len(sizes) - 1) / 2 - APART * sizes.index(one[size])
        with series(ax, str(one[row])):
            _interval(ax, at, one, shades[one[size]])
    for place, name in enumerate(reversed(rows)):
        text_beside(ax, place, texts[name], fontsize=8)
    least, most = float(table["smallest_lag"].min()), float(table["largest_lag"].max())
    lag_axis(ax, doublings(least, most))
    ax.set_xlim(least / BEYOND / 1.1, most * BEYOND * 1.1)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    fixed_ticks(ax.yaxis, range(len(rows)), lambda place: str(rows[len(rows) - 1 - round(place)]))
    ax.set_xlabel("horizon (steps)")
    entries = [
        Line2D([], [], color=shade, marker="o", linewidth=1.4, label=f"{size} {value:g}")
        for value, shade in shades.items()
    ]
    legend_below(drawn, entries, note)
    return drawn.root


def _interval(ax: Axes, at: float, row: Mapping[Any, Any], colour: str) -> None:
    ax.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=1.2, solid_capstyle="butt")
    marker = {"at least": ">", "below": "<"}.get(row["bound"], "o")
    ax.plot(
        [row["estimate"]], [at], color=colour, marker=marker, markersize=4.5, linestyle="none", label=row["horizon"]
    )


@styled
def horizon_lines(
    table: pd.DataFrame,
    x: str,
    line: str,
    panel: str,
    *,
    title: str,
    label: str,
    note: str = "",
    figure: Place = None,
) -> Figure:
    """Horizons against a number on a logarithmic axis, with a panel for each family of networks.

    Args:
        table: columns `x`, `line` (the network), `panel` (its family), and estimate, low, high, bound, smallest_lag,
            largest_lag, and source: "law" is drawn hollow and dashed.
        title: the finding.
        label: of the x axis, with its unit.
        note: how to read the figure.
        figure: the figure to draw the panels into; default: a new one.
    """
    table = _drawable(table)
    kinds = list(dict.fromkeys(table[panel]))
    columns = min(3, len(kinds))
    width = 3.5 * columns + 0.6
    height = 2.9 * math.ceil(len(kinds) / columns) + 1.3
    drawn = canvas(width, height, textwrap.fill(title, int(LETTERS * width)), figure)
    axes = subplots(drawn, len(kinds), columns)
    ticks = doublings(float(table["smallest_lag"].min()), float(table["largest_lag"].max()))
    for kind, ax in zip(kinds, axes, strict=True):
        own = table[table[panel] == kind]
        _panel(ax, own, x, line)
        drawn.panel_title(ax, str(kind))
        ax.set_xscale("log", base=2)
        ax.set_yscale("log", base=2)
        fixed_ticks(ax.yaxis, ticks)
        fixed_ticks(ax.xaxis, _few(sorted(set(table[x]))))
        ax.legend(fontsize=6.8, loc="best", handlelength=2.2, labelspacing=0.25, framealpha=0.7, frameon=True)
    labels(axes, label, "horizon (steps)")
    if note:
        drawn.note(note, fontsize=8.5)
    return drawn.root


def _panel(ax: Axes, own: pd.DataFrame, x: str, line: str) -> None:
    for place, name in enumerate(dict.fromkeys(own[line])):
        rows = own[own[line] == name].sort_values(x, kind="stable")
        colour = OTHER_COLOURS[place % len(OTHER_COLOURS)]
        look: Any = {"color": colour, "marker": LEVEL_MARKERS[place % len(LEVEL_MARKERS)], "markersize": 4.0}
        seen = rows["source"] != "law"
        last = rows[seen].tail(1)
        with series(ax, str(name)):
            if len(rows) > PAIR:
                ax.fill_between(rows[x], rows["low"], rows["high"], color=colour, alpha=0.07, linewidth=0)
            else:
                ax.vlines(rows[x], rows["low"], rows["high"], color=colour, linewidth=0.8, alpha=0.7)
            ax.plot(rows[x][seen], rows["estimate"][seen], **look, linewidth=1.3, label=str(name))
            beyond = pd.concat([last, rows[~seen]])
            ax.plot(beyond[x], beyond["estimate"], color=colour, linewidth=1.1, linestyle=(0, (2, 1.5)))
            ax.plot(rows[x][~seen], rows["estimate"][~seen], **look, linestyle="none", markerfacecolor="white")
            for bound, arrow in ARROWS.items():
                own_bound = rows[rows["bound"] == bound]
                ax.plot(
                    own_bound[x],
                    own_bound["estimate"],
                    color=colour,
                    marker=arrow,
                    markersize=13,
                    markeredgewidth=0,
                    linestyle="none",
                )


def _few(numbers: Sequence[float]) -> list[float]:
    """The numbers, if there are few; else round ones between the smallest and the largest."""
    if len(numbers) <= MOST_TICKS:
        return list(numbers)
    digits = (1, 3) if numbers[-1] > WIDE * numbers[0] else (1, 2, 5)
    return [tick for tick in curve_ticks(numbers[-1], digits=digits) if tick >= numbers[0]]
