"""How long the gates of each unit keep: the distribution of time constants."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from farback.plots.curve_panels import moments, seeds_of
from farback.plots.style import RC, labels, legend

TICKS = {1.0: "100 %", 0.5: "50 %", 0.2: "20 %", 0.1: "10 %", 0.05: "5 %", 0.02: "2 %", 0.01: "1 %", 0.005: "0.5 %"}


def gate_times(table: pd.DataFrame) -> Figure:
    """Share of the units whose gates keep at least so long; both axes are logarithmic.

    Args:
        table: what `tables.gate_times` gives.
    """
    with mpl.rc_context(RC):
        layout = moments(table, "seeds")
        for panel in layout.panels:
            for name, own in panel.groups.items():
                look = layout.look[name]
                slowest_last = own.sort_values("share", ascending=False, kind="stable")
                tau, share = slowest_last["tau"].to_numpy(float), slowest_last["share"].to_numpy(float)
                panel.ax.step(
                    tau,
                    share,
                    where="pre",
                    color=look.colour,
                    linestyle=look.dashes,
                    marker=look.marker,
                    markerfacecolor=look.fill,
                    markevery=[int(np.abs(share - level).argmin()) for level in (0.9, 0.5, 0.1)],
                    markersize=5,
                    linewidth=1.5,
                    label=name.text,
                )
            panel.ax.set_xscale("log")
            panel.ax.xaxis.set_major_formatter(FuncFormatter(lambda tau, _: f"{tau:g}"))
            panel.ax.xaxis.set_minor_formatter(NullFormatter())
            panel.ax.set_yscale("log")
            least = float(table["share"].min())
            shown = {level: text for level, text in TICKS.items() if level >= least * 0.9}
            panel.ax.set_yticks(list(shown), list(shown.values()))
            panel.ax.yaxis.set_minor_locator(NullLocator())
        labels([panel.ax for panel in layout.panels], "time constant (steps)", "units that keep at least so long")
        layout.figure.suptitle("Time constants of the gates", x=0.01, ha="left")
        note = f"the units of {seeds_of(table)}; markers at 90, 50 and 10 % of the units"
        legend(layout.figure, layout.shared, layout.look, note)
    return layout.figure
