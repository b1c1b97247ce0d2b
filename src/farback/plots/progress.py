"""The figure of the horizon during training."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.axes import doublings, fixed_ticks
from farback.plots.panels import group_panels, seeds_text
from farback.plots.series import series
from farback.plots.style import GREY, styled


@styled
def progress(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """The lag that half of the seeds retain after each update (`tables.horizon_by_update`); a band spans all seeds.

    `ax` are the axes to draw into, where all groups share a panel; by default a new figure is made.
    """
    layout = group_panels(table, "step", "How far back, during training", together=1, ax=ax)
    largest = float(table["largest_lag"].max())
    passed = table.loc[table["most"] > 0, "most"]
    smallest = float(passed.min()) if len(passed) else 1.0
    floor = smallest / 2  # where "fails at the smallest lag" is drawn
    ticks = [floor, *doublings(smallest, largest)]
    if largest / ticks[-1] > 1.2:
        ticks.append(largest)
    if len(ticks) > 9:
        ticks = [ticks[0], *ticks[1::2]]
    for panel in layout:
        panel.ax.axhline(largest, color=GREY, linewidth=0.9, linestyle=":")
        for name, own in panel.parts.items():
            own, look = own.sort_values("step", kind="stable"), layout.look[name]
            low, least, most = (own[column].clip(lower=floor) for column in ("low", "least", "most"))
            style = {**look.line, "markersize": 4.5, "linewidth": 1.5}
            with series(panel.ax, name.text):
                panel.ax.fill_between(own["step"], least, most, color=look.colour, alpha=0.13, linewidth=0, step="post")
                panel.ax.step(own["step"], low, where="post", label=name.text, **style)
        panel.ax.set_yscale("log", base=2)
        fixed_ticks(panel.ax.yaxis, ticks, lambda lag: "none" if lag <= floor * 1.01 else f"{lag:.10g}")
        panel.ax.set_ylim(floor / 1.3, largest * 1.5)
    layout.labels("updates", "retention horizon (lag in steps)")
    layout.legend(
        f"line: the lag that half of {seeds_text(table)} retain; band: all seeds; dotted: the largest lag tried"
    )
    return layout.figure
