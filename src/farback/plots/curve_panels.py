"""Panels of curves at the moments they were taken: as initialised, on the way, trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.style import Look, Name, Numbers, looks, names, panels

TOGETHER = 8  # groups that share a panel without crowding: four cells from two initialisations
MOMENTS = {"start": "as initialised", "end": "trained"}


@dataclass(frozen=True)
class Panel:
    """One panel: its axes, and the rows of each group that it shows."""

    ax: Axes
    groups: dict[Name, pd.DataFrame]


@dataclass(frozen=True)
class Panels:
    """A figure with a column for each moment, and a row for each cell where there are many groups."""

    figure: Figure
    panels: list[Panel]
    look: dict[Name, Look]
    shared: dict[str, list[Name]]


def moments(table: pd.DataFrame, first_value: str, height: float = 3.0) -> Panels:
    """Lay out a table with a column `moment` among those before `first_value`.

    Raises:
        ValueError: no such column, no group columns, or no rows.
    """
    if "moment" not in table.columns:
        raise ValueError(f"needs a column moment, got {list(table.columns)}")
    group = names(table.drop(columns="moment"), first_value)
    when = list(dict.fromkeys(table["moment"]))
    shared = panels(group, TOGETHER)
    rows, columns = len(shared), len(when)
    size = (7.0 if columns == 1 else 3.6 * columns + 0.8, height * rows + (1.6 if rows == 1 else 1.2))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    found = []
    for (title, own), line in zip(shared.items(), axes, strict=True):
        for moment, ax in zip(when, line, strict=True):
            now = table["moment"] == moment
            here = {name: table[now & np.array([other == name for other in group])] for name in own}
            found.append(Panel(ax, {name: part for name, part in here.items() if len(part)}))
            ax.set_title(
                ", ".join(text for text in (title, MOMENTS.get(moment, moment) if columns > 1 else "") if text)
            )
    return Panels(figure, found, looks(group), shared)


def band(ax: Axes, own: pd.DataFrame, at: str, look: Look, text: str, floor: float = -np.inf) -> None:
    """A median over seeds against the column `at`, with its interval; what lies below the floor is cut off."""
    own = own.sort_values(at, kind="stable")
    x, middle, low, high = (own[name].to_numpy(float) for name in (at, "median", "low", "high"))
    ax.fill_between(x, _cut(low, floor), _cut(high, floor), color=look.colour, alpha=0.15, linewidth=0)
    ax.plot(
        x,
        np.where(middle < floor, np.nan, middle),
        color=look.colour,
        linestyle=look.dashes,
        marker=look.marker,
        markerfacecolor=look.fill,
        markevery=_spread(x),
        markersize=4.5,
        linewidth=1.5,
        label=text,
    )


def _cut(value: Numbers, floor: float) -> Numbers:
    return np.maximum(value, floor) if np.isfinite(floor) else value


def _spread(x: Numbers) -> list[int]:
    """Which points get a marker: about one for each doubling, so that dense curves are not strings of beads."""
    if len(x) <= 12:
        return list(range(len(x)))
    doublings = np.unique(np.r_[0, 2 ** np.arange(0, 20)])
    wanted = x[0] + doublings[doublings <= x[-1] - x[0]]
    return sorted({int(np.abs(x - value).argmin()) for value in wanted})


def seeds_of(table: pd.DataFrame) -> str:
    """How many seeds a figure is made of: "5 seeds", "4 to 5 seeds", "one seed"."""
    counts = sorted(set(table["seeds"].astype(int)))
    if counts == [1]:
        return "one seed"
    return f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"


def median_note(table: pd.DataFrame) -> str:
    """What line and band are."""
    return f"line and band: median of {seeds_of(table)} and its interval" if set(table["seeds"]) != {1} else "one seed"
