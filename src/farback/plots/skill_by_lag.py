"""Skill against lag, between two forecasts that need no network."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from farback.plots.style import GREY, RC, lag_axis, legend, looks, names

FLOOR = -0.25  # confident wrong forecasts have skills far below 0, which would squeeze the part that matters


def skill_by_lag(table: pd.DataFrame, chance: str = "climatology", best: str = "Bayes oracle") -> Figure:
    """The median over seeds of each network, with a band from the worst seed to the best, in one panel.

    Args:
        table: what `tables.retention_curves` gives.
        chance: what skill 0 is called.
        best: what skill 1 is called.
    """
    group = names(table, "seed")
    look = looks(group)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(7.4, 4.4), layout="constrained")
        ax = figure.subplots()
        distinct = list(look)
        for index, name in enumerate(distinct):
            own = table[[other == name for other in group]].groupby("lag")["skill"]
            middle, low, high = own.median(), own.min(), own.max()
            ax.fill_between(low.index, low, high, color=look[name].colour, alpha=0.15, linewidth=0)
            ax.plot(
                middle.index,
                middle,
                color=look[name].colour,
                linestyle=look[name].dashes,
                marker=look[name].marker,
                markerfacecolor=look[name].fill,
                linewidth=1.4 + 0.4 * (len(distinct) - 1 - index),  # where lines coincide, both are seen
                markersize=4 + 0.9 * (len(distinct) - 1 - index),
                label=name.text,
            )
        for skill, text in ((0.0, chance), (1.0, best)):
            ax.axhline(skill, color=GREY, linewidth=1.0, zorder=1)
            ax.annotate(
                text, (1.01, skill), xycoords=("axes fraction", "data"), va="center", color="0.35", fontsize=8.5
            )
        lag_axis(ax, table["lag"].tolist())
        ax.set_ylim(max(FLOOR, min(-0.08, float(table["skill"].min()) - 0.05)), 1.08)
        ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        ax.set(xlabel="lag (days)", ylabel="skill")
        seeds = table["seed"].nunique()
        note = f"median of {seeds} seeds; bands: from the worst to the best"
        if (table["skill"] < FLOOR).any():
            note += f"; skills below {FLOOR} leave the panel"
        figure.suptitle(f"Skill by lag: 0 is {chance}, 1 is the {best}", x=0.01, ha="left")
        legend(figure, {"": distinct}, look, note)
    return figure
