"""How much each searched parameter matters."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from farback.plots.style import RC, grid, labels, looks, names, panels


def importances(table: pd.DataFrame) -> Figure:
    """A panel for each group, a bar for each parameter.

    Args:
        table: group, parameter, importance (shares that sum to 1 in each group).
    """
    group = names(table, "parameter")
    look, shared = looks(group), panels(group, together=1)
    order = table.groupby("parameter", sort=False)["importance"].mean().sort_values(kind="stable").index.tolist()
    with mpl.rc_context({**RC, "axes.grid.axis": "x"}):
        figure, axes = grid(shared, 0.24 * len(order) + 0.75)
        if len(shared) == 1:
            figure.set_size_inches(7.0, 0.34 * len(order) + 1.4)
        for title, ax in axes.items():
            (name,) = shared[title]
            own = table[[other == name for other in group]].set_index("parameter")["importance"]
            at = [order.index(parameter) for parameter in own.index]
            ax.barh(at, own.to_numpy(float), color=look[name].colour, height=0.62)
            for height, share in zip(at, own, strict=True):
                ax.annotate(
                    f"{share:.0%}", (share, height), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8
                )
            ax.set_yticks(range(len(order)), order)
            ax.set_ylim(-0.6, len(order) - 0.4)
            ax.set_xlim(0, 1.12)
            ax.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        labels(axes.values(), "share of importance (PED-ANOVA)", "")
        figure.suptitle("Which parameters mattered to the search", x=0.01, ha="left")
    return figure
