"""The value of every trial against each parameter that was searched."""

from __future__ import annotations

import math
from collections.abc import Collection

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from farback.plots.search_axes import parameter_axis, scales
from farback.plots.style import RC, legend, looks, names

COLUMNS = 3
SPREAD = 0.28  # of a choice's place: trials of one choice lie side by side, group by group


def slices(history: pd.DataFrame, log: Collection[str] = (), value: str = "value", largest: bool = True) -> Figure:
    """A panel for each parameter, a point for each complete trial, the best of each group ringed.

    Args:
        history: the search's history (`tables.histories`).
        log: parameters (without "param.") whose space is logarithmic.
        value: the objective's name.
        largest: whether the largest value is the best.
    """
    complete = history[history["state"] == "complete"].reset_index(drop=True)
    group = names(complete, "number")
    look, shown = looks(group), scales(complete, log)
    order = list(dict.fromkeys(group))
    columns = min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    best = complete.groupby("group", sort=False)["value"]
    best_at = set(best.idxmax() if largest else best.idxmin())
    with mpl.rc_context(RC):
        figure = Figure(figsize=(2.9 * columns + 0.8, 2.35 * rows + 1.2), layout="constrained")
        axes = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
        for place, (ax, (column, scale)) in enumerate(zip(axes, shown.items(), strict=False)):
            every = scale.places(complete[column])
            for index, name in enumerate(order):
                mine = np.array([other == name for other in group])
                aside = SPREAD * (2 * (index + 0.5) / len(order) - 1) if scale.choices else 0.0
                at, worth = every + aside, complete["value"].to_numpy(float)
                ax.plot(
                    at[mine],
                    worth[mine],
                    look[name].marker,
                    color=look[name].colour,
                    markersize=4.2,
                    alpha=0.55,
                    markeredgewidth=0,
                )
                ringed = [row for row in np.flatnonzero(mine) if row in best_at]
                ax.plot(at[ringed], worth[ringed], "o", color=look[name].colour, markerfacecolor="none", markersize=10)
            parameter_axis(ax, scale, every)
            ax.set_xlabel(scale.name)
            ax.set_ylabel("" if place % columns else f"{value} seen")
        for empty in axes[len(shown) :]:
            empty.remove()
        figure.suptitle("Slices: every trial of the search against each parameter", x=0.01, ha="left")
        legend(figure, {"": order}, look, "ringed: the best trial of its group, as the search saw it")
    return figure
