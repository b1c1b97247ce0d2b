"""Retention curves: what one trained network still knows at each test lag."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.style import GREY, RC, Look, grid, labels, lag_axis, legend, looks, names, panels

FLOOR = -0.35  # confident wrong answers have skills far below 0, which would squeeze the part that matters
APART = 0.09  # of the axis: the height of a line of text


def retention(table: pd.DataFrame, ladder: Sequence[tuple[str, float]] = ()) -> Figure:
    """Skill against test lag: a thin line per seed, the median over seeds on top, chance and the ladder drawn in.

    Args:
        table: what `tables.retention_curves` gives.
        ladder: what partial memory scores, as (what is remembered, skill).
    """
    group = names(table, "seed")
    look, shared = looks(group), panels(group, together=1)
    rungs = [("chance", 0.0), *((text, skill) for text, skill in ladder if 0 < skill < 1)]
    with mpl.rc_context(RC):
        figure, axes = grid(shared)
        for title, ax in axes.items():
            for _, skill in rungs:
                ax.axhline(skill, color=GREY, linewidth=0.9, linestyle="-" if skill == 0 else ":", zorder=1)
            count = len(shared[title])
            for index, name in enumerate(shared[title]):
                # Where medians coincide, the larger one is below and both are seen.
                _draw(
                    ax, table[[other == name for other in group]], look[name], name.text, 1 + 0.4 * (count - 1 - index)
                )
            lag_axis(ax, table["lag"].tolist())
            ax.set_ylim(max(FLOOR, min(-0.1, float(table["skill"].min()) - 0.05)), 1.05)
            ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
            if _outermost(ax) or ax is list(axes.values())[-1]:
                _name_rungs(ax, rungs)
        seeds = table["seed"].nunique()
        note = f"thin: each of {seeds} seeds; thick: their median"
        if (table["skill"] < FLOOR).any():
            note += f"; skills below {FLOOR} leave the panel"
        labels(axes.values(), "test lag (steps)", "skill")
        figure.suptitle("Retention of one trained network, asked at each lag", x=0.01, ha="left")
        legend(figure, shared, look, note)
    return figure


def _draw(ax: Axes, own: pd.DataFrame, look: Look, text: str, size: float) -> None:
    sns.lineplot(
        own,
        x="lag",
        y="skill",
        units="seed",
        estimator=None,
        ax=ax,
        legend=False,
        color=look.colour,
        linestyle=look.dashes,
        linewidth=0.8,
        alpha=0.4,
    )
    median = own.drop_duplicates("lag").sort_values("lag")
    ax.plot(
        median["lag"],
        median["median_skill"],
        color=look.colour,
        linestyle=look.dashes,
        marker=look.marker,
        markerfacecolor=look.fill,
        markersize=4.5 * size,
        linewidth=1.6 * size,
        label=text,
    )
    ax.set(xlabel="", ylabel="")


def _outermost(ax: Axes) -> bool:
    place = ax.get_subplotspec()
    return place is not None and place.is_last_col()


def _name_rungs(ax: Axes, rungs: Sequence[tuple[str, float]]) -> None:
    """Names of the levels, right of the panel, moved apart where they would overlap."""
    bottom, top = ax.get_ylim()
    last = float("-inf")
    for text, skill in sorted(rungs, key=lambda rung: rung[1]):
        last = max(skill, last + APART * (top - bottom))
        ax.annotate(
            text,
            (1.02, last),
            xycoords=("axes fraction", "data"),
            va="center",
            color="0.35",
            fontsize=8,
            annotation_clip=False,
        )
