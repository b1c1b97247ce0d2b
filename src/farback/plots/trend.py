"""The figure of a number against a setting, with a line for each value of another setting."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from farback.plots.axes import fixed_ticks, without_overlap
from farback.plots.canvas import canvas
from farback.plots.panels import legend_below, median_note, only_panel
from farback.plots.series import series, stands_for
from farback.plots.style import looks, names, styled
from farback.records.setting_text import setting_text, word

DASHES = ("--", ":", "-.")


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
    ax: Axes | None = None,
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
        ax: the axes to draw into, if there is one panel; default: a new figure.
    """
    kinds = [None] if panel is None else sorted(set(table[panel]))
    levels = list(dict.fromkeys(table.sort_values(line, kind="stable")[line]))
    column = "label" if all(isinstance(level, str) for level in levels) else line
    named = names(pd.DataFrame({column: levels, "seeds": 1}), "seeds")
    every = looks(named)
    look = {level: every[name] for level, name in zip(levels, named, strict=True)}
    expected = [] if theory is None else list(zip(theory.groupby("text", sort=False), DASHES, strict=False))
    only_panel(ax, kinds, str(panel))
    drawn = canvas(7.0 if len(kinds) == 1 else 2.9 * min(4, len(kinds)) + 0.8, 4.4, title, ax)
    axes = drawn.panels(1, len(kinds), sharex=True, sharey=True)[0]
    for kind, ax in zip(kinds, axes, strict=True):
        shown = table if kind is None else table[table[panel] == kind]
        if level is not None:
            ax.axhline(level, color="0.45", linewidth=0.9, linestyle=":")
        for name in levels:
            own = shown[shown[line] == name].sort_values(x, kind="stable")
            with series(ax, str(name)):
                ax.fill_between(own[x], own["low"], own["high"], color=look[name].colour, alpha=0.13, linewidth=0)
                style: Any = {**look[name].line, "zorder": look[name].layer, "markersize": 5, "linewidth": 1.5}
                ax.plot(own[x], own["median"], **style, label=str(name))
        for (text, own), dashes in expected:
            ax.plot(own[x], own["value"], color="0.3", linestyle=dashes, linewidth=1.1, label=text, zorder=1.5)
        if kind is not None:
            drawn.panel_title(ax, kind if " " in str(kind) else setting_text(str(panel), kind))
        _number_axis(ax, table[x], max(1.0, len(kinds) / 2))
        ax.set_xlabel(setting or word(x))
    axes[0].set_ylabel(value)
    entries = [
        (name.text, every[name].line | stands_for([str(level)])) for level, name in zip(levels, named, strict=True)
    ]
    entries += [(str(text), {"color": "0.3", "linestyle": dashes}) for (text, _), dashes in expected]
    legend_below(
        drawn, [Line2D([], [], label=text, **own) for text, own in entries], median_note(table), handlelength=4
    )
    return drawn.root


def _number_axis(ax: Axes, numbers: pd.Series, narrow: float) -> None:
    """A logarithmic axis where all numbers are positive; the larger `narrow`, the fewer labels have room."""
    distinct = sorted(set(numbers.astype(float)))
    if distinct[0] > 0:
        ax.set_xscale("log")
    positions = [math.log(number) for number in distinct] if distinct[0] > 0 else distinct
    kept = without_overlap(distinct, positions, 1.1 * narrow * (positions[-1] - positions[0]))
    fixed_ticks(ax.xaxis, kept, "{:g}".format)
