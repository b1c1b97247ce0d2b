"""The horizon against the size of the state."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from contextlib import nullcontext
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from farback.plots.axes import doublings, fixed_ticks
from farback.plots.canvas import Place, canvas
from farback.plots.panels import subplots
from farback.plots.series import series, stands_for
from farback.plots.style import GroupName, Look, groups, looks, styled

BEYOND = 1.3  # bounds are drawn at this factor beyond the lags asked
COLUMNS = 3


@styled
def horizon_by_state(table: pd.DataFrame, panel: str, variants: str = "", *, figure: Place = None) -> Figure:
    """Draw `tables.horizon_by_state`, a panel for each level of the column `panel`; all others are grey there.

    A line joins the networks of one group. Where the state grows with the sequence, a dotted line leads from the
    smallest lag that was tried to the horizon: every longer lag takes more state.

    Args:
        table: its group columns name the networks.
        panel: a group column that only says in which panel a network is.
        variants: a group column in which networks of one group differ, such as their budget.
        figure: the figure to draw into; default: a new one.
    """
    named = table.drop(columns=[name for name in (panel, variants) if name])
    own = {name: table.loc[part.index] for name, part in groups(named, "seeds").items()}
    kinds = list(dict.fromkeys(table[panel]))
    look: dict[GroupName, Look] = {}
    for kind in kinds:  # a panel has few networks: each has a colour of its own there
        look |= looks(name for name, part in own.items() if part[panel].iloc[0] == kind)
    least, most = float(table["smallest_lag"].min()), float(table["largest_lag"].max())
    columns = min(COLUMNS, len(kinds))
    drawn = canvas(
        4.6 * columns, 3.1 * math.ceil(len(kinds) / columns) + 0.9, "Horizon against the size of the state", figure
    )
    for kind, ax in zip(kinds, subplots(drawn, len(kinds), columns), strict=True):
        entries = []
        for name, part in own.items():
            shown = part[panel].iloc[0] == kind
            if shown:
                entries.append(Line2D([], [], label=name.text, **look[name].line, **stands_for([name.text])))
            _draw(ax, part, look[name] if shown else Look("0.85", "o", "-"), name.text if shown else "", (least, most))
        drawn.panel_title(ax, str(kind))
        ax.set_xscale("log", base=2)
        ax.set_yscale("log", base=2)
        ax.set_ylim(least / BEYOND / 1.15, most * BEYOND * 1.15)
        fixed_ticks(ax.xaxis, doublings(16, float(table["state"].max()))[::2])
        fixed_ticks(ax.yaxis, doublings(least, most))
        ax.set_xlabel("numbers carried from step to step")
        ax.set_ylabel("horizon (steps)")
        ax.legend(handles=entries, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7.5, handlelength=1.2)
    drawn.note(
        "bar: 95 % interval; a line joins the sizes of a network; dotted: a state that grows with the lag; "
        "triangles at the edges: beyond the lags asked",
        fontsize=8.5,
    )
    return drawn.root


def _draw(ax: Axes, part: pd.DataFrame, look: Look, text: str, ends: tuple[float, float]) -> None:
    """A network's horizons, joined in the order of their states, with their intervals; only points without a name."""
    rows = part.sort_values("state", kind="stable").to_dict("records")
    places = [(row["state"], _place(row, ends)) for row in rows]
    style: Any = {"color": look.colour, "zorder": 2}
    with series(ax, text) if text else nullcontext():
        if text:
            ax.plot(*zip(*places, strict=True), linewidth=0.8, label=text, **style)
        for (x, y), row in zip(places, rows, strict=True):
            marker = {"at least": "^", "below": "v"}.get(str(row["bound"]), look.marker)
            ax.plot([x], [y], marker=marker, markersize=6 if text else 3, color=look.colour, zorder=2 if text else 1)
            if text:
                low, high = (min(max(row[end], ends[0] / BEYOND), ends[1] * BEYOND) for end in ("low", "high"))
                ax.plot([x, x], [low, high], linewidth=1.0, alpha=0.5, **style)
                if row["state_largest"] > row["state_smallest"]:
                    ax.plot([row["state_smallest"], x], [row["smallest_lag"], y], linestyle=":", **style)


def _place(row: Mapping[Hashable, Any], ends: tuple[float, float]) -> float:
    """The height of a horizon; a bound lies beyond the lags asked."""
    least, most = ends
    return {"at least": most * BEYOND, "below": least / BEYOND}.get(str(row["bound"]), float(row["estimate"]))
