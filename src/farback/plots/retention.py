"""Retention curves: what one trained network still knows at each test lag."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.axes import lag_axis, text_beside
from farback.plots.findings import finding
from farback.plots.panels import group_panels
from farback.plots.series import series
from farback.plots.style import GREY, Look, styled
from farback.records.counted_nouns import counted

FLOOR = -0.35  # wrong answers of real numbers can score far below 0, which would squeeze the rest of the curve
LINE_HEIGHT = 0.09  # as a share of the axis


@styled
def retention(
    table: pd.DataFrame,
    ladder: Sequence[tuple[str, float]] = (),
    horizons: pd.DataFrame | None = None,
    *,
    ax: Axes | None = None,
) -> Figure:
    """How far above chance each network is against the test lag, the median, and the levels of partial memory.

    Args:
        table: from `tables.retention_curves`; drawn is `above_chance`.
        ladder: what partial memories remember, and how far above chance they are.
        horizons: from `tables.retention_horizons`, for a title that says what was found.
        ax: the axes to draw into, where all groups share a panel; default: a new figure.
    """
    layout = group_panels(table, "seed", "Retention of one trained network, tested at each lag", together=1, ax=ax)
    if horizons is not None:
        title = finding("Retained by the median network", horizons, layout.canvas.width)
        layout.canvas.title(title)
    lags = sorted(set(table["lag"]))
    rungs = [("chance", 0.0), ("passes", 0.5), *((text, level) for text, level in ladder if 0 < level < 1)]
    for panel in layout:
        ax = panel.ax
        for _, level in rungs:
            ax.axhline(level, color=GREY, linewidth=0.9, linestyle="-" if level == 0 else ":", zorder=1)
        for index, (name, own) in enumerate(panel.parts.items()):
            # Earlier lines are thicker, so that equal medians are all visible.
            with series(ax, name.text):
                _draw(ax, own, layout.look[name], name.text, 1 + 0.4 * (len(panel.parts) - 1 - index))
        lag_axis(ax, lags)
        ax.set_ylim(max(FLOOR, min(-0.1, float(table["above_chance"].min()) - 0.05)), 1.05)
        ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        place = ax.get_subplotspec()
        if panel is layout.panels[-1] or (place is not None and place.is_last_col()):
            _name_rungs(ax, rungs)
    seeds = counted(table["seed"].nunique(), "seed")
    note = f"thin: each of {seeds}; thick: their median, with failed networks as last tested"
    if (table["above_chance"] < FLOOR).any():
        note += f"; values below {FLOOR} are not shown"
    layout.labels("test lag (steps)", "above chance (1: perfect)")
    layout.legend(note)
    return layout.figure


def _draw(ax: Axes, own: pd.DataFrame, look: Look, text: str, size: float) -> None:
    for _, seed in own.sort_values("lag", kind="stable").groupby("seed"):
        ax.plot(seed["lag"], seed["above_chance"], color=look.colour, linestyle=look.dashes, linewidth=0.8, alpha=0.4)
    median = own.drop_duplicates("lag").sort_values("lag")
    style = {**look.line, "markersize": 4.5 * size, "linewidth": 1.6 * size}
    ax.plot(median["lag"], median["median_above_chance"], label=text, **style)


def _name_rungs(ax: Axes, rungs: Sequence[tuple[str, float]]) -> None:
    """Write the names of the levels right of the panel, moved apart where they would overlap; none above the panel."""
    bottom, top = ax.get_ylim()
    height = float("-inf")
    for text, level in sorted(rungs, key=lambda rung: rung[1]):
        height = max(level, height + LINE_HEIGHT * (top - bottom))
        if height > top:
            return
        text_beside(ax, height, text, color="0.35", fontsize=8, annotation_clip=False)
