"""The figure of the success rate against the training lag."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from farback.plots.axes import dodged, lag_axis
from farback.plots.panels import count_text, group_panels
from farback.plots.style import GREY, Numbers, styled


@styled
def success(table: pd.DataFrame) -> Figure:
    """Success rates (`tables.success_by_lag`) with Wilson intervals, and the isotonic fit as steps that never rise."""
    layout = group_panels(table, "lag", "Success rate of training at each lag")
    for panel in layout:
        ax, count = panel.ax, len(panel.parts)
        ax.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
        for index, (name, own) in enumerate(panel.parts.items()):
            line = layout.look[name].line
            dashes = line.pop("linestyle")
            ax.errorbar(
                dodged(own["lag"].tolist(), index, count),
                own["rate"],
                yerr=np.clip([own["rate"] - own["low"], own["high"] - own["rate"]], 0, None),
                **line,
                linestyle="none",
                markeredgewidth=1.4,
                elinewidth=1.0,
                capsize=2.5,
                label=name.text,
            )
            # Earlier steps are thicker, so that equal steps are all visible.
            steps = _steps(own["lag"].to_numpy(float), own["isotonic"].to_numpy(float))
            width = 1.3 + 0.6 * (count - 1 - index)
            ax.plot(*steps, color=line["color"], linestyle=dashes, linewidth=width, zorder=1.5)
        lag_axis(ax, table["lag"].tolist())
        ax.set_ylim(-0.05, 1.05)
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    layout.labels("training lag (steps)", "share of seeds that succeed")
    layout.legend(f"bars: 95 % Wilson intervals over {count_text(table['trials'])} seeds; steps: isotonic fit")
    return layout.figure


def _steps(lag: Numbers, rate: Numbers) -> tuple[Numbers, Numbers]:
    """A path that drops half-way between lags on the log axis, where Spearman-Karber counts the drop."""
    middle = np.sqrt(lag[:-1] * lag[1:])
    return np.concatenate([lag[:1], np.repeat(middle, 2), lag[-1:]]), np.repeat(rate, 2)
