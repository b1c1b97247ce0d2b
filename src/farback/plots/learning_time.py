"""The figure of the updates that learning a lag takes, against the lag."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.axes import doublings, lag_axis
from farback.plots.panels import group_panels
from farback.plots.series import series
from farback.plots.style import GREY, groups, styled

MOST_TICKS = 6  # on a lag axis
BEYOND = 3.0  # updates are drawn up to this multiple of the budget
NOTE = (
    "dots: a training that learned its lag; crosses at the dotted line: one that did not within its updates; "
    "line and band: median and 90 % of fresh seeds by the law"
)


@styled
def learning_time(trainings: pd.DataFrame, curves: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """The updates after which each training learned its lag, and the law of learning time with its band.

    Args:
        trainings: from `tables.learning_times`.
        curves: from `tables.learning_time_curves`; groups that it lacks are left out.
        ax: the axes to draw into, where all groups share a panel; default: a new figure.
    """
    fitted = groups(curves, "lag")
    by = list(trainings.columns[: trainings.columns.get_loc("lag")])
    shown = trainings.merge(curves[by].drop_duplicates(), on=by)
    layout = group_panels(shown, "lag", "Updates to learn a lag", 1, ax=ax)
    budget, least = float(trainings["budget"].max()), float(shown["high"].min())
    ticks = doublings(float(curves["lag"].min()), float(curves["lag"].max()))
    for panel in layout:
        panel.ax.axhline(budget, color=GREY, linewidth=0.9, linestyle=":")
        for name, own in panel.parts.items():
            look, curve = layout.look[name], fitted[name]
            with series(panel.ax, name.text):
                low, high = (np.minimum(curve[end], 10 * BEYOND * budget) for end in ("low", "high"))
                panel.ax.fill_between(curve["lag"], low, high, color=look.colour, alpha=0.13, linewidth=0)
                line = {**look.line, "marker": "", "linewidth": 1.5, "zorder": 2}
                panel.ax.plot(curve["lag"], curve["updates"], label=name.text, **line)
                solved = own[np.isfinite(own["high"])]
                dots = {**look.line, "linestyle": "none", "markersize": 4.0, "alpha": 0.85, "zorder": 3}
                panel.ax.plot(solved["lag"], solved["high"], **dots)
                rest = own[np.isinf(own["high"])]
                panel.ax.plot(rest["lag"], rest["budget"], **{**dots, "marker": "x", "markersize": 5.0})
        panel.ax.set_yscale("log")
        lag_axis(panel.ax, ticks if len(ticks) <= MOST_TICKS else ticks[::-2][::-1])
        panel.ax.set_ylim(least / 2.5, BEYOND * budget)
    layout.labels("training lag (steps)", "updates until learned")
    layout.legend(NOTE)
    return layout.figure
