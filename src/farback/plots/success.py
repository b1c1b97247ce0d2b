"""Success rate against training lag."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.style import GREY, RC, Look, Numbers, dodged, grid, labels, lag_axis, legend, looks, names, panels


def success(table: pd.DataFrame) -> Figure:
    """Success rates with Wilson intervals, and the isotonic rate as a step between lags.

    Args:
        table: what `tables.success_by_lag` gives.
    """
    group = names(table, "lag")
    look, shared = looks(group), panels(group)
    with mpl.rc_context(RC):
        figure, axes = grid(shared)
        for title, ax in axes.items():
            ax.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
            count = len(shared[title])
            for index, name in enumerate(shared[title]):
                own = table[[other == name for other in group]]
                _draw(ax, own, look[name], dodged(own["lag"].tolist(), index, count), name.text)
                # Where steps coincide, the thicker one is below and both are seen.
                x, y = _steps(own["lag"].to_numpy(float), own["isotonic"].to_numpy(float))
                width = 1.3 + 0.6 * (count - 1 - index)
                ax.plot(x, y, color=look[name].colour, linestyle=look[name].dashes, linewidth=width, zorder=1.5)
            lag_axis(ax, table["lag"].tolist())
            ax.set_ylim(-0.05, 1.05)
            ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        counts = sorted(set(table["trials"]))
        seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        labels(axes.values(), "training lag (steps)", "share of seeds that succeed")
        figure.suptitle("Success rate of training at each lag", x=0.01, ha="left")
        legend(figure, shared, look, f"bars: 95 % Wilson intervals over {seeds} seeds; steps: isotonic fit")
    return figure


def _draw(ax: Axes, own: pd.DataFrame, look: Look, lag: Numbers, text: str) -> None:
    below, above = own["rate"] - own["low"], own["high"] - own["rate"]
    ax.errorbar(
        lag,
        own["rate"],
        yerr=np.clip([below, above], 0, None),
        fmt=look.marker,
        color=look.colour,
        markerfacecolor=look.fill,
        markeredgewidth=1.4,
        elinewidth=1.0,
        capsize=2.5,
        label=text,
    )


def _steps(lag: Numbers, rate: Numbers) -> tuple[Numbers, Numbers]:
    """A path that drops half-way between lags on the log axis, where Spearman-Karber counts the drop."""
    middle = np.sqrt(lag[:-1] * lag[1:])
    return np.concatenate([lag[:1], np.repeat(middle, 2), lag[-1:]]), np.repeat(rate, 2)
