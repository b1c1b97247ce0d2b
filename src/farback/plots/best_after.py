"""The best value after n trials."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from farback.plots.style import RC, Look, grid, labels, legend, looks, names, panels

BANDS = {
    True: "band: 95 % bootstrap of the best of the trials so far, dashed: its mean\n(how much the best leans on single "
    "lucky trials)",
    False: "band: central 95 % of the best over all orders of these trials, dashed: its mean",
}


def best_after(table: pd.DataFrame, value: str = "value", adaptive: bool = True) -> Figure:
    """The best that each group's search saw after n trials, with the band of the table.

    Args:
        table: what `tables.best_after` gives.
        value: the objective's name.
        adaptive: as the table was made: what the band means.
    """
    group = names(table, "trials")
    look, shared = looks(group), panels(group, together=1)
    with mpl.rc_context(RC):
        figure, axes = grid(shared, 2.3)
        for title, ax in axes.items():
            for index, name in enumerate(shared[title]):
                own = table[[other == name for other in group]]
                _draw(ax, own, look[name], name.text, 1 + 0.4 * (len(shared[title]) - 1 - index))
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            ax.set_xlim(0.5, table["trials"].max() + 0.5)
        labels(axes.values(), "trials of the search", f"best {value} seen")
        figure.suptitle("Best after n trials, as the search saw it", x=0.01, ha="left")
        legend(figure, shared, look, BANDS[adaptive])
    return figure


def _draw(ax: Axes, own: pd.DataFrame, look: Look, text: str, size: float) -> None:
    trials = np.append(own["trials"].to_numpy(float), own["trials"].max() + 0.5)
    low, high, best, expected = (
        np.append(own[name], own[name].iloc[-1]) for name in ("low", "high", "best", "expected")
    )
    ax.fill_between(trials, low, high, step="post", color=look.colour, alpha=0.18, linewidth=0)
    ax.plot(trials, expected, color=look.colour, linewidth=1.0, linestyle=(0, (3, 2)))
    ax.plot(trials, best, color=look.colour, drawstyle="steps-post", linewidth=1.6 * size, label=text)
