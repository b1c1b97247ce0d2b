"""A number against a setting, with a line for each level of another."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from farback.plots.curve_panels import median_note
from farback.plots.style import CELLS, OTHER_DASHES, OTHER_MARKERS, RC, Look, fitting, looks, names

DASHES: tuple[Literal["--", ":", "-."], ...] = ("--", ":", "-.")
SHADES = (0.0, 0.85)  # of the colour map: its lightest end cannot be read on white


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
        x: the column of numbers along the axis, drawn on a logarithmic scale.
        line: the column whose values get a line each: names of networks keep their usual looks, numbers get shades.
        panel: the column whose values get a panel each.
        title: of the figure.
        value: what is drawn, with its unit.
        setting: what `x` is called; by default its name.
        theory: lines to compare with: columns `x`, text, value, drawn in every panel.
        level: a level to draw, where the value means something.
    """
    kinds = [None] if panel is None else sorted(set(table[panel]))
    levels = list(dict.fromkeys(table.sort_values(line, kind="stable")[line]))
    look = _looks(table, line, levels)
    with mpl.rc_context(RC):
        size = (7.0 if len(kinds) == 1 else 2.9 * min(4, len(kinds)) + 0.8, 4.4)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, len(kinds), sharex=True, sharey=True, squeeze=False)[0]
        for kind, ax in zip(kinds, axes, strict=True):
            here = table if kind is None else table[table[panel] == kind]
            if level is not None:
                ax.axhline(level, color="0.45", linewidth=0.9, linestyle=":")
            for name in levels:
                _draw(ax, here[here[line] == name].sort_values(x, kind="stable"), x, look[name], str(name))
            for (text, own), dash in zip(_groups(theory), DASHES, strict=False):
                ax.plot(own[x], own["value"], color="0.3", linestyle=dash, linewidth=1.1, label=text, zorder=1.5)
            ax.set_title("" if kind is None else _heading(str(panel), kind))
            _number_axis(ax, table[x], max(1.0, len(kinds) / 2))
            ax.set_xlabel(setting or _word(x))
        axes[0].set_ylabel(value)
        figure.suptitle(title, x=0.01, ha="left")
        _legend(figure, levels, look, None if set(look) <= set(CELLS) else _word(line), theory, table)
    return figure


def _looks(table: pd.DataFrame, line: str, levels: Sequence[Any]) -> dict[Any, Look]:
    if all(isinstance(level, str) for level in levels):
        named = names(pd.DataFrame({"label": levels, "seeds": 1}), "seeds")
        own = looks(named)
        return _apart({level: own[name] for level, name in zip(levels, named, strict=True)})
    shades = mpl.colormaps["viridis"](np.linspace(*SHADES, max(2, len(levels))))
    markers = ("o", "s", "^", "v", *OTHER_MARKERS)
    colours = [mpl.colors.to_hex(shade) for shade in shades]
    return {level: Look(colours[index], markers[index % len(markers)], "-") for index, level in enumerate(levels)}


def _apart(look: dict[Any, Look]) -> dict[Any, Look]:
    """Lines of one cell and initialisation, of several depths, say, get dashes and markers of their own."""
    seen: Counter[Look] = Counter()
    told = {}
    for level, own in look.items():
        turn = seen[own] - 1
        dashes, marker = OTHER_DASHES[turn % len(OTHER_DASHES)], OTHER_MARKERS[turn % len(OTHER_MARKERS)]
        told[level] = replace(own, dashes=dashes, marker=marker) if seen[own] else own
        seen[own] += 1
    return told


def _draw(ax: Axes, own: pd.DataFrame, x: str, look: Look, text: str) -> None:
    if own.empty:
        return
    ax.fill_between(own[x], own["low"], own["high"], color=look.colour, alpha=0.13, linewidth=0)
    ax.plot(
        own[x],
        own["median"],
        color=look.colour,
        linestyle=look.dashes,
        marker=look.marker,
        markerfacecolor=look.fill,
        markersize=5,
        linewidth=1.5,
        label=text,
    )


def _number_axis(ax: Axes, numbers: pd.Series, narrow: float) -> None:
    at = sorted(set(numbers.astype(float)))
    if at[0] > 0:
        ax.set_xscale("log")
    place = [math.log(number) for number in at] if at[0] > 0 else at
    ax.xaxis.set_major_locator(FixedLocator(fitting(at, place, 1.1 * narrow * (place[-1] - place[0]))))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))


def _groups(theory: pd.DataFrame | None) -> list[tuple[str, pd.DataFrame]]:
    return [] if theory is None else [(str(text), own) for text, own in theory.groupby("text", sort=False)]


def _legend(
    figure: Figure,
    levels: Sequence[Any],
    look: dict[Any, Look],
    word: str | None,
    theory: pd.DataFrame | None,
    table: pd.DataFrame,
) -> None:
    named = all(isinstance(level, str) for level in levels)
    handles = [
        Line2D(
            [],
            [],
            color=look[level].colour,
            linestyle=look[level].dashes,
            marker=look[level].marker,
            markerfacecolor=look[level].fill,
            label=str(level) if named else f"{word} {_short(level)}",
        )
        for level in levels
    ]
    handles += [
        Line2D([], [], color="0.3", linestyle=dash, label=text)
        for (text, _), dash in zip(_groups(theory), DASHES, strict=False)
    ]
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(len(handles), int(figure.get_size_inches()[0] * 13 / (longest + 10))))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=columns,
        handlelength=4.0,
        title=median_note(table),
        title_fontsize=8.5,
    )


def _heading(panel: str, level: Any) -> str:
    """The level of a panel, with the word for it where it does not tell by itself."""
    return level if isinstance(level, str) and " " in level else f"{_word(panel)} {_short(level)}"


def _short(level: Any) -> str:
    return str(level) if isinstance(level, str) else f"{level:g}"


def _word(column: str) -> str:
    return column.rpartition(".")[2].replace("_", " ")
