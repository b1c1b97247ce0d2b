"""Parallel coordinates: one line for each trial, through its parameters to its value."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from farback.plots.canvas import Place, canvas
from farback.plots.panels import subplots
from farback.plots.search_axes import Scale, scales
from farback.plots.style import Numbers, groups, styled_no_grid
from farback.records.setting_text import ALL

TICKS = (0.0, 0.5, 1.0)


@styled_no_grid
def parallel(
    history: pd.DataFrame,
    log: Collection[str] = (),
    value: str = "value",
    largest: bool = True,
    *,
    figure: Place = None,
) -> Figure:
    """A panel for each group, an axis for each parameter, the value last; darker lines are better.

    The complete trials of a history (`tables.search_history`) are drawn. `log` names the parameters, without "param.",
    whose axis is logarithmic. The panels are drawn into `figure`, by default a new one.
    """
    complete = history[history["state"] == "complete"].reset_index(drop=True)
    parts = groups(complete, "number")
    shown = {**scales(complete, log), "value": Scale(value)}
    places = {column: scale.places(complete[column]) for column, scale in shown.items()}
    colours = ScalarMappable(
        Normalize(complete["value"].min(), complete["value"].max()), "viridis_r" if largest else "viridis"
    )
    columns = 1 if len(shown) > 5 or len(parts) == 1 else 2
    title = "Parallel coordinates: every trial of the search"
    drawn = canvas(7.6, 2.5 * math.ceil(len(parts) / columns) + 0.9, title, figure)
    axes = subplots(drawn, len(parts), columns, sharex=False, sharey=False)
    for ax, (name, own) in zip(axes, parts.items(), strict=True):
        used = [column for column in shown if not np.isnan(places[column][own.index]).all()]
        ordered = own.sort_values("value", ascending=largest, kind="stable")  # the best is drawn last
        shares = [shown[column].shares(ordered[column], places[column]) for column in used]
        _lines(ax, np.array(shares).T, colours.to_rgba(ordered["value"].to_numpy()))
        for across, column in enumerate(used):
            _axis(ax, across, shown[column], places[column])
        words = [shown[column].name for column in used]
        ax.set_xticks(range(len(used)), [word.replace(".", ".\n", 1) if len(word) > 12 else word for word in words])
        ax.set(xlim=(-0.1, len(used) - 1 + 0.35), ylim=(-0.07, 1.07), yticks=[])
        ax.tick_params(length=0)
        ax.spines[["left", "bottom"]].set_visible(False)
        ax.set_title(name.text if len(parts) > 1 or name.text != ALL else "")
    drawn.figure.colorbar(colours, ax=axes, label=f"{value} in the search", shrink=0.75, aspect=30, pad=0.02)
    return drawn.root


def _lines(ax: Axes, paths_NA: Numbers, colours_NC: Numbers) -> None:
    """Draw a line for each of N trials over A axes, the last one thick; a missing parameter (nan) is skipped."""
    count = len(paths_NA)
    for rank, (path_A, colour) in enumerate(zip(paths_NA, colours_NC, strict=True), start=1):
        known = ~np.isnan(path_A)
        style: Any = {"linewidth": 0.9, "alpha": 0.65} if rank < count else {"linewidth": 2.4, "alpha": 1.0}
        ax.plot(np.flatnonzero(known), path_A[known], color=colour, zorder=2 + rank / count, **style)


def _axis(ax: Axes, across: int, scale: Scale, places: Numbers) -> None:
    ax.axvline(across, color="0.3", linewidth=0.9, zorder=1)
    box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
    style: Any = {
        "xytext": (4, 0),
        "textcoords": "offset points",
        "va": "center",
        "fontsize": 7.5,
        "zorder": 9,
        "bbox": box,
    }
    for place, share in _ticks(scale, float(np.nanmin(places)), float(np.nanmax(places))):
        ax.plot([across - 0.02, across + 0.02], [share] * 2, color="0.3", linewidth=0.9, zorder=1)
        ax.annotate(scale.text(place), (across, share), **style)


def _ticks(scale: Scale, least: float, most: float) -> list[tuple[float, float]]:
    """The ticks of a parameter's axis: each value, and its height from the smallest value (0) to the largest (1)."""
    if most == least:
        return [(least, 0.5)]
    if scale.choices:
        return [(place, (place - least) / (most - least)) for place in range(int(least), int(most) + 1)]
    if scale.log:
        return [(least * (most / least) ** share, share) for share in TICKS]
    return [(least + (most - least) * share, share) for share in TICKS]
