"""Figures of forecasts: maps of one day, skill by lag, and how much of the past each network remembers."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from farback.plots.axes import inner_ticks, lag_axis, text_beside
from farback.plots.canvas import Place, canvas
from farback.plots.panels import legend
from farback.plots.series import series
from farback.plots.style import GREY, groups, looks, styled, styled_no_grid
from farback.records.counted_nouns import counted

MAPS_IN_A_ROW = 6
FLOOR = -0.25  # confident wrong forecasts have skills far below 0, which would squeeze the rest of the curve
WORDS = {"observed": "observed", "truth": "actual strikes", "bayes": "Bayes oracle"}


@styled_no_grid
def maps(table: pd.DataFrame, *, figure: Place = None) -> Figure:
    """Draw each map in a panel of its own, all with the same colour scale of probability.

    Columns: label (of the network, "" for a map that no network made), map (observed, truth, bayes, predicted), pixel
    (row by row), value (0 to 1). The panels are drawn into `figure`, by default a new one.
    """
    parts = list(table.groupby(["label", "map"], sort=False))
    columns = min(MAPS_IN_A_ROW, len(parts))
    rows = math.ceil(len(parts) / columns)
    title = "One day: the observations, what happened, and each forecast"
    drawn = canvas(1.55 * columns + 1.0, 1.75 * rows + 0.9, title, figure)
    axes = drawn.panels(rows, columns)
    for empty in axes.flat[len(parts) :]:
        empty.set_axis_off()
    for ax, (_, part) in zip(axes.flat, parts, strict=False):
        label, kind = part["label"].iloc[0], part["map"].iloc[0]
        side = math.isqrt(len(part))
        value = part.sort_values("pixel")["value"].to_numpy(float).reshape(side, side)
        image = ax.imshow(value, vmin=0, vmax=1, cmap="cividis", interpolation="nearest")
        ax.set_title(WORDS.get(kind, label).replace(", ", ",\n"), fontsize=8.5)
        ax.set(xticks=[], yticks=[])
    beside = axes[:, -1].tolist() if rows > 1 else axes
    drawn.figure.colorbar(image, ax=beside, label="probability of a strike", shrink=0.9)
    return drawn.root


@styled
def skill_by_lag(
    table: pd.DataFrame, chance: str = "climatology", best: str = "Bayes oracle", *, ax: Axes | None = None
) -> Figure:
    """Each network's median skill over seeds (`tables.retention_curves`), with a band from the worst to the best seed.

    `chance` and `best` are the names of the forecasts with skill 0 and 1. `ax` are the axes to draw into, by default
    those of a new figure.
    """
    parts = groups(table, "seed")
    look = looks(parts)
    drawn = canvas(7.4, 4.4, f"Skill by lag: 0 is {chance}, 1 is the {best}", ax)
    ax = drawn.panels()[0, 0]
    for index, (name, own) in enumerate(parts.items()):
        skill = own.groupby("lag")["skill"]
        middle, low, high = skill.median(), skill.min(), skill.max()
        rest = len(parts) - 1 - index  # earlier lines are thicker, so that equal lines are all visible
        style = {**look[name].line, "linewidth": 1.4 + 0.4 * rest, "markersize": 4 + 0.9 * rest}
        with series(ax, name.text):
            ax.fill_between(low.index, low, high, color=look[name].colour, alpha=0.15, linewidth=0)
            ax.plot(middle.index, middle, label=name.text, **style)
    for height, text in ((0.0, chance), (1.0, best)):
        ax.axhline(height, color=GREY, linewidth=1.0, zorder=1)
        text_beside(ax, height, text, place=1.01, color="0.35", fontsize=8.5)
    lag_axis(ax, table["lag"].tolist())
    ax.set_ylim(max(FLOOR, min(-0.08, float(table["skill"].min()) - 0.05)), 1.08)
    ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    ax.set(xlabel="lag (days)", ylabel="skill")
    note = f"median of {counted(table['seed'].nunique(), 'seed')}; bands: from the worst to the best seed"
    if (table["skill"] < FLOOR).any():
        note += f"; skills below {FLOOR} are not shown"
    legend(drawn, look, note)
    return drawn.root


@styled
def staircase(table: pd.DataFrame, steps: pd.DataFrame, unit: str = "days", *, ax: Axes | None = None) -> Figure:
    """A line for the loss of a perfect memory of the last m days, and a marker for each seed at its test loss.

    `table` has group columns, then seed, height (days remembered, in `unit`), loss; `steps` has the line's points.
    `ax` are the axes to draw into, by default those of a new figure.
    """
    parts = groups(table, "seed")
    look = looks(parts)
    drawn = canvas(7.0, 4.2, f"How many {unit} each network remembers", ax)
    ax = drawn.panels()[0, 0]
    ax.plot(steps["height"], steps["loss"], color=GREY, linewidth=1.2, marker=".", markersize=7, zorder=1)
    style: Any = {"xytext": (10, 8), "textcoords": "offset points", "color": "0.35", "fontsize": 8.5}
    place = (float(steps["height"].iloc[1]), float(steps["loss"].iloc[1]))
    ax.annotate(f"a perfect memory of the last m {unit}", place, **style)
    for name, own in parts.items():
        style = {**look[name].line, "linestyle": "none", "markersize": 8, "alpha": 0.75}
        ax.plot(own["height"], own["loss"], label=name.text, **style)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    inner_ticks(ax)
    ax.set(xlabel=f"{unit} remembered", ylabel="test loss (nats a pixel)")
    legend(drawn, look, "each marker is a seed")
    return drawn.root
