"""Many networks on several problems: the ranking, the comparison of pairs, and the skills behind both."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farback.plots.axes import text_beside
from farback.plots.canvas import Place, canvas
from farback.plots.panels import subplots
from farback.plots.style import GREY, Look, looks, names, styled_no_grid, styled_x_grid

ROW = 0.24  # inches: the height of a line of text
SEED_STEP = 0.14  # distance between the marks of equal seeds, as a share of a row
TICKS = [0, 0.25, 0.5, 0.75, 1]


@styled_x_grid
def ranking(table: pd.DataFrame, title: str = "Ranking over all problems", *, ax: Axes | None = None) -> Figure:
    """Mean skills over problems, from `tables.ranking`, with their intervals; hollow marks: the worst problem.

    `ax` are the axes to draw into, by default those of a new figure.
    """
    group = names(table, "problems")
    look = looks(group)
    drawn = canvas(8.0, ROW * len(table) + 1.4, title, ax)
    ax = drawn.panels()[0, 0]
    for index, (name, row) in enumerate(zip(group, table.to_dict("records"), strict=True)):
        height = len(table) - 1 - index
        ax.plot([row["low"], row["high"]], [height, height], color=look[name].colour, linewidth=1.6)
        ax.plot([row["mean"]], [height], **look[name].line, markersize=6)
        hollow = {"markerfacecolor": "white", "markersize": 5, "linestyle": "none"}
        ax.plot([row["worst"]], [height], **{**look[name].line, **hollow}, zorder=1)
        text = f"solved {row['successes']} of {row['trials']}; worst: {row['worst_problem']}"
        text += f", {row['diverged']} diverged" * bool(row["diverged"])
        text_beside(ax, height, text, fontsize=8)
    ax.set_xlim(-0.03, 1.03)
    ax.set_xticks(TICKS)
    ax.set_ylim(-0.7, len(table) - 0.3)
    ax.set_yticks(range(len(table)), [name.text for name in reversed(group)])
    ax.set_xlabel("skill — filled: mean over problems; bar: 95 %, problems and seeds resampled; hollow: worst problem")
    return drawn.root


@styled_no_grid
def improvement(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """A map of `tables.improvements`: how likely the row beats the column; bold where the interval excludes 1/2.

    `ax` are the axes to draw into, by default those of a new figure.
    """
    order = list(dict.fromkeys(table["a"]))
    wide = table.pivot(index="a", columns="b", values="probability").loc[order, order]
    side = 0.36 * len(order) + max(map(len, order)) * 0.075
    title = "Pairwise comparison, averaged over the problems"
    drawn = canvas(max(4.5, side + 1.3), max(3.2, side + 0.9), title, ax)
    ax = drawn.panels()[0, 0]
    scale = {"label": "probability that the row is better", "ticks": TICKS, "shrink": 0.6}
    style: Any = {"cmap": "RdBu_r", "vmin": 0, "vmax": 1, "square": True, "linewidths": 0.8, "linecolor": "white"}
    sns.heatmap(wide, ax=ax, cbar_kws=scale, **style)
    for row in table.sort_values(["a", "b"], key=lambda column: column.map(order.index)).to_dict("records"):
        value, certain = float(row["probability"]), row["low"] > 0.5 or row["high"] < 0.5
        ax.text(
            order.index(row["b"]) + 0.5,
            order.index(row["a"]) + 0.5,
            f"{100 * value:.0f}",
            ha="center",
            va="center",
            fontweight="bold" if certain else "normal",
            color="white" if abs(value - 0.5) > 0.3 else "black",
            fontsize=7,
        )
    ax.set(xlabel="in percent; bold: the 95 % interval excludes 50", ylabel="", facecolor="0.93")
    ax.set_xticks(np.arange(len(order)) + 0.5, order, rotation=90)
    ax.set_yticks(np.arange(len(order)) + 0.5, order, rotation=0)
    ax.tick_params(length=0)
    return drawn.root


@styled_x_grid
def skills(table: pd.DataFrame, ranked: pd.DataFrame, *, figure: Place = None) -> Figure:
    """A panel for each problem, a line for each network: a mark for each seed, a bar at their median.

    Skills are from `tables.skills`; `ranked`, from `tables.ranking` for the same groups, gives the order of the lines.
    The panels are drawn into `figure`, by default a new one.
    """
    order, group = names(ranked, "problems"), names(table, "task")
    look = looks(order)
    problems = sorted(set(zip(table["task"], table["lag"], strict=True)))
    columns = min(4, len(problems))
    height = math.ceil(len(problems) / columns) * (ROW * len(order) + 0.5) + 0.9
    title = "Skill on each problem, in the order of the ranking"
    drawn = canvas(1.9 * columns + 1.6, height, title, figure)
    for (task, lag), ax in zip(problems, subplots(drawn, len(problems), columns), strict=True):
        on_problem = (table["task"] == task) & (table["lag"] == lag)
        for index, name in enumerate(order):
            skill = table.loc[on_problem & np.array([other == name for other in group]), "skill"]
            _seeds(ax, len(order) - 1 - index, sorted(skill), look[name])
        drawn.panel_title(ax, f"{task}, lag {lag}")
        ax.set_xlim(-0.06, 1.06)
        ax.set_xticks(TICKS, ["0", "", "0.5", "", "1"])
        ax.set_ylim(-0.7, len(order) - 0.3)
        ax.set_yticks(range(len(order)), [name.text for name in reversed(order)])
    drawn.note("skill (0 chance, 1 perfect) — mark: a seed; bar: the median over seeds", fontsize=8.5)
    return drawn.root


def _seeds(ax: Axes, height: int, skill: list[float], look: Look) -> None:
    """Draw a bar at the median and a mark for each seed; marks of equal skill are stacked."""
    middle = float(np.median(skill)) if skill else math.nan
    ax.plot([0, middle], [height, height], color=GREY, linewidth=0.7, zorder=1)
    ax.plot([middle, middle], [height - 0.36, height + 0.36], color=look.colour, linewidth=2.4)
    heights = height + SEED_STEP * (np.arange(len(skill)) - (len(skill) - 1) / 2)
    ax.plot(skill, heights, color=look.colour, marker=look.marker, markersize=3, linestyle="none", alpha=0.8)
