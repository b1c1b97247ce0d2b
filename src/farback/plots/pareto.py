"""Two objectives against each other, with the front."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from farback.plots.style import RC, legend, looks, names


def pareto(
    table: pd.DataFrame, values: Sequence[str] = ("value", "value 1"), largest: Sequence[bool] = (True, True)
) -> Figure:
    """Every complete trial; the front of each group as full markers joined by steps.

    Args:
        table: what `tables.front` gives.
        values: the objectives' names.
        largest: whether the largest is the best, for each.
    """
    group = names(table, "number")
    look, order = looks(group), list(dict.fromkeys(group))
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.0, 4.6), layout="constrained")
        ax = figure.subplots()
        for name in order:
            own = table[[other == name for other in group]]
            rest, best = own[~own["front"]], own[own["front"]].sort_values("value", kind="stable")
            colour, marker = look[name].colour, look[name].marker
            ax.plot(
                rest["value"],
                rest["value_1"],
                color=colour,
                marker=marker,
                linestyle="none",
                alpha=0.3,
                markersize=4,
                markeredgewidth=0,
            )
            # Between two points of the front only the corner that both dominate is known to be reachable.
            ax.plot(
                best["value"],
                best["value_1"],
                color=colour,
                marker=marker,
                drawstyle="steps-pre" if largest[0] else "steps-post",
                linewidth=1.4,
                markersize=6.5,
                label=name.text,
            )
        ax.set_xlabel(f"{values[0]} ({'more' if largest[0] else 'less'} is better)")
        ax.set_ylabel(f"{values[1]} ({'more' if largest[1] else 'less'} is better)")
        figure.suptitle("The front: no other trial is better in both", x=0.01, ha="left")
        legend(
            figure, {"": order}, look, "pale: trials that another one of the group dominates; as the search saw them"
        )
    return figure
