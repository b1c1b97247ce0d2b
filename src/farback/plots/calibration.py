"""The ruler against what is known: expected and measured, and each error within its tolerance."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from farback.plots.style import OTHER_COLOURS, OTHER_MARKERS, RC

LINEAR = 1e-2  # expected values below it are as good as 0 on the left panel
BESIDE = 0.7  # of a row: the measures of one system stand below each other, as they are mostly right
LARGEST = 3.0  # tolerances: farther off is drawn at the edge


def calibration(table: pd.DataFrame) -> Figure:
    """Measured against expected, and the error of each check as a share of its tolerance.

    Args:
        table: a row for each check: system, measure, expected, measured, error, tolerance, holds.
    """
    measures = list(dict.fromkeys(table["measure"]))
    systems = list(dict.fromkeys(table["system"]))
    with mpl.rc_context(RC):
        figure = Figure(figsize=(10.0, max(4.6, 0.34 * len(systems) + 2.0)), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.1])
        finite = table[np.isfinite(table["expected"]) & np.isfinite(table["measured"])]
        most = float(finite[["expected", "measured"]].abs().to_numpy().max(initial=1.0)) * 2
        left.plot([-most, most], [-most, most], color="0.6", linewidth=1.0, zorder=1)
        share = (table["error"] / table["tolerance"]).clip(-LARGEST, LARGEST).fillna(LARGEST)
        right.axvspan(-1, 1, color="0.92", linewidth=0, zorder=0)
        for index, measure in enumerate(measures):
            colour, marker = OTHER_COLOURS[index % len(OTHER_COLOURS)], OTHER_MARKERS[index % len(OTHER_MARKERS)]
            style = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 5, "markeredgewidth": 1.2}
            own = finite[finite["measure"] == measure]
            left.plot(own["expected"], own["measured"], markerfacecolor="none", label=measure, **style)
            rows = table["measure"] == measure
            beside = BESIDE * (index - (len(measures) - 1) / 2) / len(measures)
            height = [systems.index(name) + beside for name in table.loc[rows, "system"]]
            right.plot(share[rows], height, markerfacecolor="none", **style)
        left.set_xscale("symlog", linthresh=LINEAR)
        left.set_yscale("symlog", linthresh=LINEAR)
        ticks = [sign * 10.0**power for sign in (-1, 1) for power in (-1, 1, 3) if 10.0**power < most]
        for axis in (left.xaxis, left.yaxis):
            axis.set_major_locator(FixedLocator(sorted([0.0, *ticks])))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
        left.set(xlabel="expected", ylabel="measured", xlim=(-most, most), ylim=(-most, most))
        right.set_yticks(range(len(systems)), systems)
        right.set_ylim(len(systems) - 0.4, -0.6)
        right.set_xlim(-LARGEST * 1.05, LARGEST * 1.05)
        right.set_xlabel("error as a share of its tolerance")
        off = int((~table["holds"]).sum())
        figure.suptitle(f"The ruler on known systems: {off or 'none'} of {len(table)} checks off", x=0.01, ha="left")
        figure.legend(
            *left.get_legend_handles_labels(),
            loc="outside lower center",
            ncols=min(4, len(measures)),
            title=f"grey: within tolerance; a check that is off by more than {LARGEST:g} tolerances stands at the edge",
            title_fontsize=8.5,
        )
    return figure
