"""Memory functions: how much of each earlier input a linear readout of the state gives back."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from farback.plots.curve_panels import band, median_note, moments
from farback.plots.style import GREY, RC, labels, lag_axis, legend, marks


def memory(table: pd.DataFrame) -> Figure:
    """Adjusted R2 against lag, with what a system without memory scores, and the bound on what N numbers can hold.

    Args:
        table: what `tables.memory_curves` gives.
    """
    with mpl.rc_context(RC):
        layout = moments(table, "lag")
        least, largest = float(table["lag"].min()), float(table["lag"].max())
        for panel in layout.panels:
            rows = pd.concat(panel.groups.values())
            null = rows.groupby("lag")[["null_low", "null_high"]].agg({"null_low": "min", "null_high": "max"})
            for end in ("null_low", "null_high"):
                panel.ax.plot(null.index, null[end], color="0.35", linestyle=":", linewidth=0.9, zorder=3)
            for name, own in panel.groups.items():
                band(panel.ax, own, "lag", layout.look[name], name.text)
            lag_axis(panel.ax, marks(largest, least))
            panel.ax.set_xlim(least / 1.15, largest * 1.15)
            panel.ax.set_ylim(-0.12, 1.05)
            features = float(rows["features"].max())  # those of units that are off are fewer
            if features <= largest:
                panel.ax.axvline(features, color=GREY, linewidth=1.0, linestyle="--", zorder=1.5)
                text = f" N = {features:g}"
                panel.ax.annotate(text, (features, 1.0), va="top", color="0.3", fontsize=8)
        labels([panel.ax for panel in layout.panels], "lag (steps)", "R² of the input k steps before, adjusted")
        layout.figure.suptitle("Memory function", x=0.01, ha="left")
        note = f"{median_note(table)}; dotted: no memory (95 %); dashed: where a buffer of N ends"
        legend(layout.figure, layout.shared, layout.look, note)
    return layout.figure
