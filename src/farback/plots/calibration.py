"""The figure of `farback calibrate`: measured against expected numbers, and each error against its tolerance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from farback.plots.axes import fixed_ticks
from farback.plots.canvas import Place, canvas
from farback.plots.panels import legend_below
from farback.plots.style import OTHER_COLOURS, OTHER_MARKERS, styled

LINEAR = 1e-2  # the scales of the left panel are linear below this number and logarithmic above
ROW_SHARE = 0.7  # share of a row over which one system's measures are spread, so that equal errors do not overlap
LARGEST = 3.0  # in tolerances; larger errors are drawn at the edge of the panel


@styled
def calibration(table: pd.DataFrame, *, figure: Place = None) -> Figure:
    """Measured against expected, and the error of each check as a share of its tolerance.

    The table has a row for each check: system, measure, expected, measured, error, tolerance, holds.
    The two panels are drawn into `figure`, by default a new one.
    """
    measures, systems = (list(dict.fromkeys(table[name])) for name in ("measure", "system"))
    failed = int((~table["holds"]).sum())
    title = f"Measures on systems with known memory: {failed or 'none'} of {len(table)} checks fail"
    drawn = canvas(10.0, max(4.6, 0.34 * len(systems) + 2.0), title, figure)
    left, right = drawn.panels(1, 2, width_ratios=[1, 1.1])[0]
    finite = table[np.isfinite(table["expected"]) & np.isfinite(table["measured"])]
    most = float(finite[["expected", "measured"]].abs().to_numpy().max(initial=1.0)) * 2
    left.plot([-most, most], [-most, most], color="0.6", linewidth=1.0, zorder=1)
    share = (table["error"] / table["tolerance"]).clip(-LARGEST, LARGEST).fillna(LARGEST)
    right.axvspan(-1, 1, color="0.92", linewidth=0, zorder=0)
    for index, measure in enumerate(measures):
        colour, marker = OTHER_COLOURS[index % len(OTHER_COLOURS)], OTHER_MARKERS[index % len(OTHER_MARKERS)]
        style = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 5, "markeredgewidth": 1.2}
        style["markerfacecolor"] = "none"
        own = finite[finite["measure"] == measure]
        left.plot(own["expected"], own["measured"], label=measure, **style)
        rows = table["measure"] == measure
        shift = ROW_SHARE * (index - (len(measures) - 1) / 2) / len(measures)
        right.plot(share[rows], [systems.index(name) + shift for name in table.loc[rows, "system"]], **style)
    ticks = [sign * 10.0**power for sign in (-1, 1) for power in (-1, 1, 3) if 10.0**power < most]
    left.set_xscale("symlog", linthresh=LINEAR)
    left.set_yscale("symlog", linthresh=LINEAR)
    for axis in (left.xaxis, left.yaxis):
        fixed_ticks(axis, sorted([0.0, *ticks]), lambda value: f"{value:g}".replace("-", "−"))
    left.set(xlabel="expected", ylabel="measured", xlim=(-most, most), ylim=(-most, most))
    right.set_yticks(range(len(systems)), systems)
    right.set(xlim=(-LARGEST * 1.05, LARGEST * 1.05), ylim=(len(systems) - 0.4, -0.6))
    right.set_xlabel("error as a share of its tolerance")
    note = f"grey: within tolerance; errors above {LARGEST:g} tolerances are drawn at the edge"
    legend_below(drawn, left.get_legend_handles_labels()[0], note, min(4, len(measures)))
    return drawn.root
