"""Many networks on several problems: the ranking, who beats whom, and the skills behind both."""

from __future__ import annotations

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.style import GREY, RC, Look, looks, names

ROW = 0.24  # inches of a line of text
SIDE = 0.14  # of a row between the marks of equal seeds
TICKS = [0, 0.25, 0.5, 0.75, 1]


def ranking(table: pd.DataFrame, title: str = "Ranking over all problems") -> Figure:
    """Interquartile means with their intervals, the best on top.

    Args:
        table: what `tables.ranking` gives.
        title: of the figure.
    """
    group = names(table, "problems")
    look = looks(group)
    with mpl.rc_context({**RC, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(7.0, ROW * len(table) + 1.4), layout="constrained")
        ax = figure.subplots()
        for at, row in enumerate(table.to_dict("records")):
            own, height = look[group[at]], len(table) - 1 - at
            ax.plot([row["low"], row["high"]], [height, height], color=own.colour, linewidth=1.6)
            ax.plot([row["iqm"]], [height], color=own.colour, marker=own.marker, markerfacecolor=own.fill, markersize=6)
            text = f"{row['successes']} of {row['trials']} succeed"
            text += f", {row['diverged']} diverged" * bool(row["diverged"])
            ax.annotate(text, (1.02, height), xycoords=("axes fraction", "data"), va="center", fontsize=8)
        ax.set_xlim(-0.03, 1.03)
        ax.set_xticks(TICKS)
        ax.set_ylim(-0.7, len(table) - 0.3)
        ax.set_yticks(range(len(table)), [name.text for name in reversed(group)])
        ax.set_xlabel("interquartile mean of the skill — bar: 95 %, seeds resampled within each problem")
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def improvement(table: pd.DataFrame) -> Figure:
    """A map of the probability that a run of the row beats one of the column; bold where the interval leaves 1/2 out.

    Args:
        table: what `tables.improvements` gives; its order is kept.
    """
    order = list(dict.fromkeys(table["a"]))
    wide = table.pivot(index="a", columns="b", values="probability").loc[order, order]
    sure = (table["low"] > 0.5) | (table["high"] < 0.5)
    bold = {(a, b) for a, b, is_sure in zip(table["a"], table["b"], sure, strict=True) if is_sure}
    longest = max(map(len, order)) * 0.075
    side = 0.36 * len(order)
    with mpl.rc_context({**RC, "axes.grid": False}):
        figure = Figure(figsize=(max(4.5, side + longest + 1.3), max(3.2, side + longest + 0.9)), layout="constrained")
        ax = figure.subplots()
        sns.heatmap(
            wide,
            ax=ax,
            cmap="RdBu_r",
            vmin=0,
            vmax=1,
            square=True,
            linewidths=0.8,
            linecolor="white",
            cbar_kws={"label": "probability that the row is better", "ticks": TICKS, "shrink": 0.6},
        )
        for at, a in enumerate(order):
            for beside, b in enumerate(order):
                if a != b:
                    value, strong = float(wide.loc[a, b]), (a, b) in bold
                    colour = "white" if abs(value - 0.5) > 0.3 else "black"
                    style: dict[str, Any] = {
                        "fontweight": "bold" if strong else "normal",
                        "color": colour,
                        "fontsize": 7,
                    }
                    ax.text(beside + 0.5, at + 0.5, f"{100 * value:.0f}", ha="center", va="center", **style)
        ax.set(xlabel="", ylabel="", facecolor="0.93")
        ax.set_xticks(np.arange(len(order)) + 0.5, order, rotation=90)
        ax.set_yticks(np.arange(len(order)) + 0.5, order, rotation=0)
        ax.tick_params(length=0)
        ax.set_xlabel("in percent; bold: the 95 % interval leaves 50 out")
        figure.suptitle("Who beats whom, averaged over the problems", x=0.01, ha="left")
    return figure


def skills(table: pd.DataFrame, ranked: pd.DataFrame) -> Figure:
    """A panel for each problem, a line for each network: every seed as a mark, their median as a bar.

    Args:
        table: what `tables.skills` gives.
        ranked: what `tables.ranking` gives for the same groups: the order of the lines.
    """
    order, own = names(ranked, "problems"), names(table, "task")
    look = looks(order)
    problems = sorted(set(zip(table["task"], table["lag"], strict=True)))
    columns = min(4, len(problems))
    rows = math.ceil(len(problems) / columns)
    with mpl.rc_context({**RC, "axes.grid.axis": "x"}):
        size = (1.9 * columns + 1.6, rows * (ROW * len(order) + 0.5) + 0.9)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for empty in axes.flat[len(problems) :]:
            empty.remove()
        for (task, lag), ax in zip(problems, axes.flat, strict=False):
            there = ((table["task"] == task) & (table["lag"] == lag)).tolist()
            for at, name in enumerate(order):
                mine = [other == name and here for other, here in zip(own, there, strict=True)]
                _draw(ax, len(order) - 1 - at, table[mine]["skill"].tolist(), look[name])
            ax.set_title(f"{task}, lag {lag}")
            ax.set_xlim(-0.06, 1.06)
            ax.set_xticks(TICKS, ["0", "", "0.5", "", "1"])
            ax.set_ylim(-0.7, len(order) - 0.3)
            ax.set_yticks(range(len(order)), [name.text for name in reversed(order)])
        figure.supxlabel("skill (0 chance, 1 perfect) — mark: a seed; bar: the median over seeds", fontsize=8.5)
        figure.suptitle("Skill on each problem, in the order of the ranking", x=0.01, ha="left")
    return figure


def _draw(ax: Axes, height: int, skill: list[float], look: Look) -> None:
    """Seeds of equal skill stand below each other."""
    middle = float(np.median(skill)) if skill else math.nan
    ax.plot([0, middle], [height, height], color=GREY, linewidth=0.7, zorder=1)
    ax.plot([middle, middle], [height - 0.36, height + 0.36], color=look.colour, linewidth=2.4)
    heights = height + SIDE * (np.arange(len(skill)) - (len(skill) - 1) / 2)
    ax.plot(sorted(skill), heights, color=look.colour, marker=look.marker, markersize=3, linestyle="none", alpha=0.8)
