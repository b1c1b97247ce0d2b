"""The horizon while training goes on."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from farback.plots.curve_panels import seeds_of
from farback.plots.style import GREY, RC, doublings, grid, labels, legend, looks, names, panels

NOTHING = 0.5  # where "fails the smallest lag" is drawn, a doubling below the smallest horizon


def progress(table: pd.DataFrame) -> Figure:
    """The lag that half of the seeds retain against the updates so far; the band spans all seeds.

    Args:
        table: what `tables.horizon_by_update` gives.
    """
    group = names(table, "step")
    look, shared = looks(group), panels(group, together=1)
    most = float(table["largest_lag"].max())
    passed = table.loc[table["most"] > 0, "most"]
    least = float(passed.min()) if len(passed) else 1.0
    floor = least * NOTHING
    with mpl.rc_context(RC):
        figure, axes = grid(shared)
        for title, ax in axes.items():
            ax.axhline(most, color=GREY, linewidth=0.9, linestyle=":")
            for name in shared[title]:
                own = table[[other == name for other in group]].sort_values("step", kind="stable")
                spread = (own["least"].clip(lower=floor), own["most"].clip(lower=floor))
                ax.fill_between(own["step"], *spread, color=look[name].colour, alpha=0.13, linewidth=0, step="post")
                ax.plot(
                    own["step"],
                    own["low"].clip(lower=floor),
                    color=look[name].colour,
                    linestyle=look[name].dashes,
                    marker=look[name].marker,
                    markerfacecolor=look[name].fill,
                    markersize=4.5,
                    linewidth=1.5,
                    drawstyle="steps-post",
                    label=name.text,
                )
            ax.set_yscale("log", base=2)
            at = [floor, *doublings(least, most)]
            if most / at[-1] > 1.2:
                at.append(most)
            kept = at if len(at) <= 9 else [at[0], *at[1::2]]
            ax.yaxis.set_major_locator(FixedLocator(kept))
            ax.yaxis.set_minor_locator(NullLocator())
            ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: "none" if y <= floor * 1.01 else f"{y:.10g}"))
            ax.set_ylim(floor / 1.3, most * 1.5)
        labels(axes.values(), "updates", "retention horizon (lag in steps)")
        figure.suptitle("How far back, while training goes on", x=0.01, ha="left")
        note = f"what half of {seeds_of(table)} retain; band: all of them; dotted: the largest lag tried"
        legend(figure, shared, look, note)
    return figure
