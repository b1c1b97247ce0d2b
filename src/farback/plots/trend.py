"""The figure of a number against a setting, with a line for each value of another setting."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from farback.plots.axes import fixed_ticks, without_overlap
from farback.plots.panels import legend_below, median_note, new_figure
from farback.plots.style import OTHER_DASHES, OTHER_MARKERS, Look, looks, names, styled

DASHES = ("--", ":", "-.")
SHADES = (0.0, 0.85)  # part of the colour map that is used: its lightest end cannot be read on white


@styled
def trend(
    table: pd.DataFrame,
    x: str,
    line: str,
    panel: str | None = None,
    *,
    title: str,
    value: str,
    setting: str | None = None,
    theory: pd.DataFrame | None = None,
    level: float | None = None,
) -> Figure:
    """Medians over seeds with their intervals.

    Args:
        table: columns `x`, `line`, `panel`, then seeds, median, low, high.
        x: the column of numbers for the x axis, which is logarithmic.
        line: the column whose values are lines: names of networks keep their usual looks, numbers get shades.
        panel: the column whose values are panels.
        value: the label of the y axis, with the unit.
        setting: the label of the x axis; by default the name of `x`.
        theory: lines to compare with: columns `x`, text, value, drawn in every panel.
        level: a height at which to draw a horizontal line.
    """
    kinds = [None] if panel is None else sorted(set(table[panel]))
    levels = list(dict.fromkeys(table.sort_values(line, kind="stable")[line]))
    look = _looks(levels)
    expected = [] if theory is None else list(zip(theory.groupby("text", sort=False), DASHES, strict=False))
    figure = new_figure(7.0 if len(kinds) == 1 else 2.9 * min(4, len(kinds)) + 0.8, 4.4, title)
    axes = figure.subplots(1, len(kinds), sharex=True, sharey=True, squeeze=False)[0]
    for kind, ax in zip(kinds, axes, strict=True):
        shown = table if kind is None else table[table[panel] == kind]
        if level is not None:
            ax.axhline(level, color="0.45", linewidth=0.9, linestyle=":")
        for name in levels:
            own = shown[shown[line] == name].sort_values(x, kind="stable")
            ax.fill_between(own[x], own["low"], own["high"], color=look[name].colour, alpha=0.13, linewidth=0)
            ax.plot(own[x], own["median"], **look[name].line, markersize=5, linewidth=1.5, label=str(name))
        for (text, own), dashes in expected:
            ax.plot(own[x], own["value"], color="0.3", linestyle=dashes, linewidth=1.1, label=text, zorder=1.5)
        ax.set_title("" if kind is None else kind if " " in str(kind) else _with_word(str(panel), kind))
        _number_axis(ax, table[x], max(1.0, len(kinds) / 2))
        ax.set_xlabel(setting or _word(x))
    axes[0].set_ylabel(value)
    entries = [(name if isinstance(name, str) else _with_word(line, name), look[name].line) for name in levels]
    entries += [(str(text), {"color": "0.3", "linestyle": dashes}) for (text, _), dashes in expected]
    legend_below(
        figure, [Line2D([], [], label=text, **own) for text, own in entries], median_note(table), handlelength=4
    )
    return figure


def _looks(levels: Sequence[Any]) -> dict[Any, Look]:
    if all(isinstance(level, str) for level in levels):
        named = names(pd.DataFrame({"label": levels, "seeds": 1}), "seeds")
        usual = looks(named)
        seen: Counter[Look] = Counter()
        found = {}
        for level, name in zip(levels, named, strict=True):
            own, turn = usual[name], seen[usual[name]] - 1
            seen[own] += 1
            if turn >= 0:  # for example another depth of the same cell
                dashes, marker = OTHER_DASHES[turn % len(OTHER_DASHES)], OTHER_MARKERS[turn % len(OTHER_MARKERS)]
                own = replace(own, dashes=dashes, marker=marker)
            found[level] = own
        return found
    shades = mpl.colormaps["viridis"](np.linspace(*SHADES, max(2, len(levels))))
    markers = ("o", "s", "^", "v", *OTHER_MARKERS)
    return {
        level: Look(mpl.colors.to_hex(shades[index]), markers[index % len(markers)], "-")
        for index, level in enumerate(levels)
    }


def _number_axis(ax: Axes, numbers: pd.Series, narrow: float) -> None:
    """A logarithmic axis where all numbers are positive; the larger `narrow`, the fewer labels have room."""
    distinct = sorted(set(numbers.astype(float)))
    if distinct[0] > 0:
        ax.set_xscale("log")
    positions = [math.log(number) for number in distinct] if distinct[0] > 0 else distinct
    kept = without_overlap(distinct, positions, 1.1 * narrow * (positions[-1] - positions[0]))
    fixed_ticks(ax.xaxis, kept, "{:g}".format)


def _with_word(column: str, level: Any) -> str:
    """A level with the name of its column: "hidden 8"."""
    return f"{_word(column)} {level if isinstance(level, str) else format(level, 'g')}"


def _word(column: str) -> str:
    return column.rpartition(".")[2].replace("_", " ")
