"""The memory kernel that was asked for, and those that networks have learned."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from farback.plots.style import GREY, RC, grid, inner_ticks, labels, legend, looks, names, panels


def kernel(table: pd.DataFrame) -> Figure:
    """The known kernel as bars, and each seed's recovered one as a line.

    Args:
        table: group columns, then seed, lag, known, recovered.
    """
    group = names(table, "seed")
    look, shared = looks(group), panels(group, together=1)
    with mpl.rc_context(RC):
        figure, axes = grid(shared)
        for title, ax in axes.items():
            for index, name in enumerate(shared[title]):
                own = table[[other == name for other in group]]
                if index == 0:
                    known = own.drop_duplicates("lag")
                    ax.bar(known["lag"], known["known"], width=0.8, color="0.82", label="known", zorder=1)
                for _, one in own.groupby("seed"):
                    line = one.sort_values("lag")
                    ax.plot(
                        line["lag"],
                        line["recovered"],
                        color=look[name].colour,
                        linestyle=look[name].dashes,
                        linewidth=1.2,
                        alpha=0.7,
                        label=name.text,
                    )
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        inner_ticks(next(iter(axes.values())))  # which they share
        labels(axes.values(), "lag (steps)", "weight")
        figure.suptitle("The kernel that was asked for (bars), and what each seed learned", x=0.01, ha="left")
        legend(figure, shared, look, f"lines: each of {table['seed'].nunique()} seeds")
    return figure
