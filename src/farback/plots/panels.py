"""Figures with panels: one for each cell, network or moment of measurement, and a legend below."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from farback.plots.canvas import Canvas, canvas
from farback.plots.series import stands_for
from farback.plots.style import GREY, LEVEL_MARKERS, GroupName, Look, axes_of, groups, looks
from farback.records.setting_text import DEFAULT_INIT, value_text

ONE_PANEL = 4  # groups that one panel shows without crowding
ONE_PANEL_OF_CURVES = 8  # for example four cells with two initialisations each
MOMENTS = {"start": "as initialised", "end": "trained"}


@dataclass(frozen=True)
class Panel:
    """The axes of one panel, and the rows of each group that it shows."""

    ax: Axes
    parts: dict[GroupName, pd.DataFrame]


@dataclass(frozen=True)
class Panels:
    """A figure with panels.

    Attributes:
        panels: from left to right, then from top to bottom.
        inner: the axis whose levels share a panel; None if one panel has all groups.
    """

    canvas: Canvas
    panels: list[Panel]
    look: dict[GroupName, Look]
    inner: str | None

    @property
    def figure(self) -> Figure:
        """The whole figure."""
        return self.canvas.root

    def __iter__(self) -> Iterator[Panel]:
        return iter(self.panels)

    def labels(self, x: str, y: str) -> None:
        """Label the outer axes."""
        labels([panel.ax for panel in self.panels], x, y)

    def legend(self, note: str, extra: Sequence[tuple[str, Look]] = ()) -> None:
        """Add a legend of all groups, or of the axis inside the panels where their titles name the others."""
        legend(self.canvas, self.look, note, extra, self.inner)


def subplots(drawn: Canvas, count: int, columns: int, sharex: bool = True, sharey: bool = True) -> list[Axes]:
    """`count` axes in rows of `columns`; a panel above an empty place has its own numbers on the x axis."""
    rows = math.ceil(count / columns)
    axes = drawn.panels(rows, columns, sharex=sharex, sharey=sharey)
    for empty in axes.flat[count:]:
        empty.remove()
    for place in range(count, rows * columns):
        axes.flat[place - columns].tick_params(labelbottom=True)
    return list(axes.flat[:count])


def group_panels(
    table: pd.DataFrame,
    first_value: str,
    title: str,
    together: int = ONE_PANEL,
    height: float = 2.5,
    ax: Axes | None = None,
) -> Panels:
    """One panel for all groups if there are at most `together`, else panels as in `panel_groups`.

    The columns before `first_value` name the group of each row; `height` is the height of a panel in inches. The
    caller's axes `ax` are one panel for all groups.
    """
    parts = groups(table, first_value)
    shared, inner = panel_groups(parts, together if ax is None else len(parts)), inner_axis(parts)
    count, columns = len(shared), _columns(list(shared.values()))
    width = 3.1 * columns + 0.8 if columns > 1 else 7.0
    drawn = canvas(width, height * math.ceil(count / columns) + 1.2 if count > 1 else 4.2, title, ax)
    axes = subplots(drawn, count, columns)
    for panel, text in zip(axes, shared, strict=True):
        if ax is None:
            drawn.panel_title(panel, text)
    panels = [Panel(each, {name: parts[name] for name in own}) for each, own in zip(axes, shared.values(), strict=True)]
    return Panels(drawn, panels, looks(parts), inner if len(shared) > 1 else None)


def moment_panels(table: pd.DataFrame, first_value: str, title: str, ax: Axes | None = None) -> Panels:
    """A column of panels for each moment of measurement, and rows as in `panel_groups` where there are many groups.

    The columns before `first_value`, except `moment`, name the group of each row. The caller's axes `ax` are one panel
    for all groups.

    Raises:
        ValueError: the table has no column `moment`, no group columns, or no rows; or it has several moments, and
            there are only the caller's axes.
    """
    if "moment" not in table.columns:
        raise ValueError(f"a figure of curves needs a column 'moment'; the table has {list(table.columns)}")
    parts = groups(table, first_value, ignored="moment")
    moments = list(dict.fromkeys(table["moment"]))
    only_panel(ax, moments, "moment")
    shared, inner = panel_groups(parts, ONE_PANEL_OF_CURVES if ax is None else len(parts)), inner_axis(parts)
    rows, columns = len(shared), len(moments)
    width = 7.0 if columns == 1 else 3.6 * columns + 0.8
    drawn = canvas(width, 3.0 * rows + (1.6 if rows == 1 else 1.2), title, ax)
    panels = []
    axes = subplots(drawn, rows * columns, columns)
    for panel, ((text, names), moment) in zip(axes, itertools.product(shared.items(), moments), strict=True):
        now = {name: parts[name][parts[name]["moment"] == moment] for name in names}
        panels.append(Panel(panel, {name: part for name, part in now.items() if len(part)}))
        if ax is None:
            drawn.panel_title(
                panel, ", ".join(filter(None, (text, MOMENTS.get(moment, moment) if columns > 1 else "")))
            )
    return Panels(drawn, panels, looks(parts), inner if len(shared) > 1 else None)


def only_panel(ax: Axes | None, levels: Sequence[Any], column: str) -> None:
    """Refuse to draw several panels into the caller's axes. Raises ValueError: `column` has several levels."""
    if ax is not None and len(levels) > 1:
        found = ", ".join(map(str, levels))
        raise ValueError(
            f"ax= has room for one panel, and the table has one for each {column} ({found}): "
            f"pass the rows of one {column}, or leave ax out"
        )


def inner_axis(distinct: Iterable[GroupName]) -> str:
    """The axis whose levels share a panel where there are several: initialisations, else the first other setting.

    A setting that alone makes the difference between groups has a panel for each level.
    """
    axes = axes_of(distinct)
    others = [axis for axis in axes if axis not in ("cell", "init")]
    return others[0] if others and "init" not in axes and len(axes) > 1 else "init"


def panel_groups(distinct: Iterable[GroupName], together: int) -> dict[str, list[GroupName]]:
    """Panels by title, with all groups if there are at most `together`, else with those that differ in `inner_axis`."""
    names = list(distinct)
    if len(names) <= together:
        return {"": names}
    inner, shared = inner_axis(names), dict[str, list[GroupName]]()
    for name in names:
        shared.setdefault(name.without(inner), []).append(name)
    return shared


def _columns(groups: list[list[GroupName]]) -> int:
    """How many panels stand in a row: a cell's variants if all cells have equally many, else at most 4."""
    cells = [own[0].cell for own in groups]
    variants = {cells.count(cell) for cell in cells}
    if len(variants) == 1 and 1 < max(variants) <= 4 and len(set(cells)) > 1:
        return max(variants)
    return min(4, math.ceil(math.sqrt(len(groups))))


def labels(axes: Sequence[Axes], x: str, y: str) -> None:
    """Label the lowest axes of each column and the first axes of each row; `axes` are in rows, as from `subplots`."""
    place = axes[0].get_subplotspec()
    columns = 1 if place is None else place.get_gridspec().ncols
    for index, ax in enumerate(axes):
        ax.set_xlabel(x if index + columns >= len(axes) else "")
        ax.set_ylabel("" if index % columns else y)


def legend(
    drawn: Canvas,
    look: dict[GroupName, Look],
    note: str,
    extra: Sequence[tuple[str, Look]] = (),
    inner: str | None = None,
) -> None:
    """Add a legend below the panels; `note` says how to read the figure.

    Args:
        extra: lines that belong to no group.
        inner: the only axis that the legend must explain, because the titles of the panels name the others.
    """
    entries = [(name.text, own, [name]) for name, own in look.items()]
    if inner is not None:
        entries = _levels(look, inner)
    lines = [
        Line2D([], [], label=text, **own.line, **stands_for(name.text for name in names))
        for text, own, names in [*entries, *((text, own, []) for text, own in extra)]
    ]
    legend_below(drawn, lines, note, handlelength=4.5, columnspacing=1.6)


def _levels(look: dict[GroupName, Look], axis: str) -> list[tuple[str, Look, list[GroupName]]]:
    """The levels of an axis, what their groups share (colour and marker, colour alone, or dashes), and the groups."""
    levels = axes_of(look).get(axis, [])
    if axis == "init":
        levels = sorted(levels, key=lambda level: level != DEFAULT_INIT)
    texts, members, shared = [], list[list[GroupName]](), list[list[Look]]()
    for level in levels:
        own = [name for name in look if value_text(name.level(axis)) == value_text(level)]
        texts.append(own[0].part(axis))
        members.append(own)
        shared.append([look[name] for name in own])
    if all(len({(each.colour, each.marker) for each in own}) == 1 for own in shared):
        found = [own[0] for own in shared]
    elif all(len({each.colour for each in own}) == 1 for own in shared) and len({own[0].colour for own in shared}) > 1:
        found = [Look(own[0].colour, "", "-") for own in shared]
    else:
        found = [Look(GREY, "", own[0].dashes) for own in shared]
    return list(zip(texts, found, members, strict=True))


def legend_below(drawn: Canvas, lines: Sequence[Artist], note: str, columns: int | None = None, **options: Any) -> None:
    """Add a legend of these lines below the panels, in as many columns as fit; `options` go to `Figure.legend`."""
    if columns is None:
        longest = max((len(str(line.get_label())) for line in lines), default=0)
        columns = max(1, min(len(lines), int(drawn.width * 13 / (longest + 10))))
    drawn.legend(lines, ncols=columns, **{"title": note, "title_fontsize": 8.5, **options})


def band(ax: Axes, own: pd.DataFrame, x: str, look: Look, text: str, floor: float = -np.inf) -> None:
    """Draw a median over seeds and its interval against the column `x`; values below the floor are cut off."""
    own = own.sort_values(x, kind="stable")
    places, middle, low, high = (own[name].to_numpy(float) for name in (x, "median", "low", "high"))
    ends = (low, high) if np.isinf(floor) else (np.maximum(low, floor), np.maximum(high, floor))
    ax.fill_between(places, *ends, color=look.colour, alpha=0.09, linewidth=0)
    edges: Any = {"color": look.colour, "linewidth": 0.5, "alpha": 0.35, "zorder": 1.5}
    ax.plot(places, np.transpose(ends), **edges)  # where bands lie on each other, their edges are still visible
    middle = np.where(middle < floor, np.nan, middle)
    marked = list(range(len(places)))
    if len(places) > 12:  # about one marker for each doubling; where lines are equal, those of other shapes are visible
        phase = LEVEL_MARKERS.index(look.marker) / len(LEVEL_MARKERS) if look.marker in LEVEL_MARKERS else 0.0
        steps = places[0] + np.r_[0, 2 ** (np.arange(0, 20) + phase)]
        marked = sorted({int(np.abs(places - step).argmin()) for step in steps[steps <= places[-1]]})
    style: Any = {**look.line, "zorder": look.layer, "markevery": marked, "markersize": 4.5, "linewidth": 1.5}
    ax.plot(places, middle, **style, label=text)


def count_text(counts: Iterable[Any]) -> str:
    """The range of some counts: "5", or "4 to 5"."""
    distinct = sorted({int(count) for count in counts})
    return f"{distinct[0]}" if len(distinct) == 1 else f"{distinct[0]} to {distinct[-1]}"


def seeds_text(table: pd.DataFrame) -> str:
    """How many seeds a figure shows: "5 seeds", "4 to 5 seeds", "one seed"."""
    counts = count_text(table["seeds"])
    return "one seed" if counts == "1" else f"{counts} seeds"


def median_note(table: pd.DataFrame) -> str:
    """A note that says what the line and the band of a figure show."""
    seeds = seeds_text(table)
    return seeds if seeds == "one seed" else f"line and band: median of {seeds} and its interval"
