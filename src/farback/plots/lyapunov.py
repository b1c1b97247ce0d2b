"""Lyapunov spectra: at which rates small differences of the state shrink or grow."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from farback.plots.curve_panels import band, median_note, moments
from farback.plots.style import GREY, RC, labels, legend

DEEPEST = -8.0  # natural logarithm per step: a direction that loses 99.97 % a step carries nothing


def lyapunov(table: pd.DataFrame) -> Figure:
    """Exponents from the largest down; above 0 the network is chaotic.

    Args:
        table: what `tables.curves(scores, "lyapunov", "exponent")` gives; its lag is the index of the exponent.
    """
    ranked = table.assign(lag=table["lag"] - table["lag"].min() + 1)
    with mpl.rc_context(RC):
        layout = moments(ranked, "lag")
        for panel in layout.panels:
            panel.ax.axhline(0, color=GREY, linewidth=1.0)
            for name, own in panel.groups.items():
                band(panel.ax, own, "lag", layout.look[name], name.text, DEEPEST)
            panel.ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        layout.panels[0].ax.set_xlim(0.5, float(ranked["lag"].max()) + 0.5)
        bottom, top = layout.panels[0].ax.get_ylim()
        layout.panels[0].ax.set_ylim(max(bottom, DEEPEST), max(top, 0.15))
        labels([panel.ax for panel in layout.panels], "exponent, from the largest", "rate (natural log per step)")
        layout.figure.suptitle("Lyapunov spectrum", x=0.01, ha="left")
        note = f"{median_note(table)}; above 0 differences grow: chaos; time constant: −1 / rate"
        legend(layout.figure, layout.shared, layout.look, note)
    return layout.figure
