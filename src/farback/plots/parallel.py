"""Parallel coordinates: one line for each trial, through its parameters to its value."""

from __future__ import annotations

import math
from collections.abc import Collection

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from farback.plots.search_axes import Scale, scales
from farback.plots.style import RC, Numbers, names

MAP = "viridis_r"  # dark is good, and drawn on top
TICKS = (0.0, 0.5, 1.0)


def parallel(history: pd.DataFrame, log: Collection[str] = (), value: str = "value", largest: bool = True) -> Figure:
    """A panel for each group, an axis for each parameter, the value last; darker lines are better.

    Args:
        history: the search's history; its complete trials are drawn.
        log: parameters (without "param.") whose axis is logarithmic.
        value: the objective's name.
        largest: whether the largest value is the best.
    """
    complete = history[history["state"] == "complete"].reset_index(drop=True)
    group = names(complete, "number")
    order = list(dict.fromkeys(group))
    shown = {**scales(complete, log), "value": Scale(value)}
    every = {column: scale.places(complete[column]) for column, scale in shown.items()}
    worth = complete["value"].to_numpy(float)
    norm = Normalize(float(worth.min()), float(worth.max()))
    columns = 1 if len(shown) > 5 or len(order) == 1 else 2
    rows = math.ceil(len(order) / columns)
    with mpl.rc_context({**RC, "axes.grid": False}):
        figure = Figure(figsize=(7.6, 2.5 * rows + 0.9), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for ax, name in zip(axes, order, strict=False):
            mine = np.array([other == name for other in group])
            own = {column: at for column, at in every.items() if not np.isnan(at[mine]).all()}
            share = {column: shown[column].shares(complete[column], at) for column, at in own.items()}
            ranked = np.flatnonzero(mine)[np.argsort(worth[mine] * (1 if largest else -1), kind="stable")]
            _lines(ax, share, ranked, worth, norm, largest)
            _axes(ax, {column: shown[column] for column in own}, own)
            ax.set_title(name.text if len(order) > 1 or name.cell != "all" else "")
        for empty in axes[len(order) :]:
            empty.remove()
        scale = ScalarMappable(norm, MAP if largest else MAP.removesuffix("_r"))
        figure.colorbar(scale, ax=axes[: len(order)], label=f"{value} seen", shrink=0.75, aspect=30, pad=0.02)
        figure.suptitle("Parallel coordinates: every trial of the search", x=0.01, ha="left")
    return figure


def _lines(
    ax: Axes, share: dict[str, Numbers], ranked: NDArray[np.intp], worth: Numbers, norm: Normalize, largest: bool
) -> None:
    """A line for each trial, the best last; a parameter that a condition left out interrupts it."""
    colours = mpl.colormaps[MAP if largest else MAP.removesuffix("_r")]
    across = np.arange(len(share))
    for place, row in enumerate(ranked):
        path = np.array([at[row] for at in share.values()])
        rank = (place + 1) / len(ranked)
        known = ~np.isnan(path)
        ax.plot(
            across[known],
            path[known],
            color=colours(norm(worth[row])),
            linewidth=2.4 if rank == 1 else 0.9,
            alpha=1.0 if rank == 1 else 0.65,
            zorder=2 + rank,
        )


def _axes(ax: Axes, shown: dict[str, Scale], own: dict[str, Numbers]) -> None:
    """Vertical axes with their numbers."""
    for across, (column, scale) in enumerate(shown.items()):
        ax.axvline(across, color="0.3", linewidth=0.9, zorder=1)
        at = own[column]
        least, most = float(np.nanmin(at)), float(np.nanmax(at))
        ticks = [(float(index), share) for index, share in _places(scale, least, most)]
        for value, share in ticks:
            ax.plot([across - 0.02, across + 0.02], [share] * 2, color="0.3", linewidth=0.9, zorder=1)
            ax.annotate(
                scale.number(value),
                (across, share),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
                zorder=9,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
            )
    ax.set_xticks(
        range(len(shown)),
        [scale.name.replace(".", ".\n", 1) if len(scale.name) > 12 else scale.name for scale in shown.values()],
    )
    ax.set_xlim(-0.1, len(shown) - 1 + 0.35)
    ax.set_ylim(-0.07, 1.07)
    ax.set_yticks([])
    ax.tick_params(length=0)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)


def _places(scale: Scale, least: float, most: float) -> list[tuple[float, float]]:
    """Values with numbers, and where they lie from 0 to 1."""
    if scale.choices:
        span = max(most - least, 1e-9)
        places = [(at - least) / span if most > least else 0.5 for at in range(int(least), int(most) + 1)]
        return list(zip(map(float, range(int(least), int(most) + 1)), places, strict=True))
    if most == least:
        return [(least, 0.5)]
    if scale.log:
        return [(least * (most / least) ** share, share) for share in TICKS]
    return [(least + (most - least) * share, share) for share in TICKS]
