"""How strongly the last step depends on each earlier input, in decades; and how fast that falls, against theory."""

from __future__ import annotations

import math
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from farback.plots.curve_panels import band, median_note, moments
from farback.plots.style import GREY, RC, Look, labels, lag_axis, legend, marks

FLOOR = -12.0  # decades: what lies below is as good as nothing, and would squeeze the rest
REACH = -3.0  # decades: where the gradient reach ends
# The squared gradient at PyTorch's default initialisation falls to a third with every step of a tanh network, to a
# sixth of a relu network (science: the variance of U(-1/sqrt H, 1/sqrt H) is 1/(3H), and relu passes half of it).
THEORY = {"theory, tanh: 3^(-k/2)": -math.log10(3) / 2, "theory, relu: 6^(-k/2)": -math.log10(6) / 2}


def gradients(table: pd.DataFrame, theory: Mapping[str, float] = THEORY) -> Figure:
    """Log gradient against lag: a line for each network with its interval, and what theory says.

    Args:
        table: what `tables.gradient_curves` gives.
        theory: decades per step, by name.
    """
    with mpl.rc_context(RC):
        layout = moments(table, "lag")
        largest = float(table["lag"].max())
        finite = table[["median", "high"]].where(np.isfinite(table[["median", "high"]]))
        bottom = min(REACH - 1.0, max(FLOOR, float(np.nanmin(finite["median"].to_numpy(), initial=0.0)) - 0.5))
        top = float(np.nanmax(finite["high"].to_numpy(), initial=0.0)) + 0.5
        lines = [
            (text, slope, Look("0.35", "", dash))
            for (text, slope), dash in zip(theory.items(), (":", "-."), strict=False)
        ]
        for panel in layout.panels:
            panel.ax.axhline(REACH, color=GREY, linewidth=0.8)
            for name, own in panel.groups.items():
                band(panel.ax, own, "lag", layout.look[name], name.text, bottom)
            for text, slope, look in lines:
                lag = np.arange(0.0, largest + 1)
                inside = slope * lag >= bottom
                panel.ax.plot(lag[inside], slope * lag[inside], color=look.colour, linestyle=look.dashes, label=text)
            lag_axis(panel.ax, marks(largest))
            panel.ax.set_xlim(0, largest * 1.15)
            panel.ax.set_ylim(bottom, top)
        labels([panel.ax for panel in layout.panels], "lag (steps)", "gradient (decades from the least lag)")
        layout.figure.suptitle("How the gradient changes with the lag", x=0.01, ha="left")
        note = f"{median_note(table)}; grey level: 1e-3, where the gradient reach ends"
        legend(layout.figure, layout.shared, layout.look, note, [(text, look) for text, _, look in lines])
    return layout.figure
