"""All measures of how far back a network remembers, in one panel for each network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from farback.plots.axes import curve_ticks, lag_axis
from farback.plots.canvas import Place, canvas
from farback.plots.panels import MOMENTS, labels, legend_below, subplots
from farback.plots.style import GREY, GroupName, names, styled

# Colour, marker and text of each measure. The colours (Paul Tol, "bright") differ from those of the usual cells.
KINDS = {
    "gradient": ("#4477AA", "o", "gradient (1e-3 of the smallest lag)"),
    "causal": ("#EE6677", "D", "causal (effect of 1 %)"),
    "decodable": ("#228833", "s", "decodable (probe's skill 0.5)"),
    "memory": ("#AA3377", "^", "linear memory (R² 0.5)"),
    "truncation": ("#66CCEE", "v", "truncation (half of the skill)"),
    "behaviour": ("#CCBB44", "P", "behaviour (half-way from chance)"),
}
HALF = 0.5  # the threshold of each measure on the common scale
ROW = 0.13  # height of a horizon's bar below the curves, as a share of the axis
NOTE = (
    "curves: median over seeds; 0.5 is the threshold of each measure (in brackets);\n"
    "bars: thick to the lag that half of the seeds reach, thin to the farthest seed; arrow: beyond the lags tried"
)
APART = "single points: the cue; nearer inputs are distractors, which a network may forget (no line, no bar);\n"
CUE_AT_ONE_LAG = ("causal", "decodable")  # measures of which one sequence may have the cue at one lag only


@styled
def reaches(curves: pd.DataFrame, horizons: pd.DataFrame, *, figure: Place = None) -> Figure:
    """A panel for each network, before or after training: the curve of each measure, and below it a bar to its horizon.

    The curves are from `tables.reaches`, the horizons from `tables.reach_horizons` for the same groups. Where causal
    reach or decodability was measured with the cue at one lag only, the cue is drawn as a point of its own, without a
    line over the distractors, and its bar covers the lags that pass. The panels are drawn into `figure`, by default a
    new one.
    """
    parts, bars = _parts(curves), _parts(horizons)
    kinds = [kind for kind in KINDS if kind in set(curves["reach"])]
    columns = min(2, len(parts))
    title = "How far back, by each measure"
    drawn = canvas(3.7 * columns + 0.4, 2.5 * math.ceil(len(parts) / columns) + 1.5, title, figure)
    axes = subplots(drawn, len(parts), columns)
    lags = sorted(set(curves["lag"].astype(float)))
    apart = False
    one_moment = len({moment for _, moment in parts}) == 1
    for ((name, moment), own), ax in zip(parts.items(), axes, strict=True):
        drawn.panel_title(ax, name.text if one_moment else f"{name.text}, {moment}")
        ax.axhline(HALF, color=GREY, linewidth=0.9, linestyle=":")
        ax.axhline(0, color="0.3", linewidth=0.8)
        pieces = {kind: _pieces(own[own["reach"] == kind].sort_values("lag", kind="stable"), kind) for kind in kinds}
        for kind in kinds:
            for piece in pieces[kind]:
                _curve(ax, piece, kind)
        lag_axis(ax, lags if len(lags) <= 14 else curve_ticks(lags[-1], lags[0], digits=(1, 2, 4)))
        for bar in bars.get((name, moment), horizons[:0]).to_dict("records"):
            height = -0.04 - ROW * (kinds.index(bar["reach"]) + 0.5)
            first = float(pieces[bar["reach"]][-1]["lag"].min()) if len(pieces[bar["reach"]]) > 1 else 0.0
            apart = apart or first > 0
            _bar(ax, height, bar["reach"], (first, bar["low"], bar["most"]), bool(np.isinf(bar["high"])))
        ax.set_ylim(-0.06 - ROW * len(kinds), 1.06)
        ax.set_yticks([0, 0.5, 1])
        ax.set_xlim(lags[0] if lags[0] == 0 else lags[0] / 1.35, lags[-1] * 1.5)
    labels(axes, "lag (steps)", "value (scale of each measure)")
    styles = [KINDS[kind] for kind in kinds]
    lines = [Line2D([], [], color=colour, marker=marker, label=text) for colour, marker, text in styles]
    legend_below(drawn, lines, (APART if apart else "") + NOTE, min(3, columns + 1))
    return drawn.root


def _parts(table: pd.DataFrame) -> dict[tuple[GroupName, str], pd.DataFrame]:
    group = names(table, "reach", ignored="moment")
    keys = list(zip(group, [MOMENTS.get(moment, moment) for moment in table["moment"]], strict=True))
    return {key: table[[other == key for other in keys]] for key in dict.fromkeys(keys)}


def _pieces(own: pd.DataFrame, kind: str) -> list[pd.DataFrame]:
    """The parts of a curve that are drawn without a line between them: the last lags that pass after one that fails."""
    passed = own["median"].to_numpy(float) >= HALF
    climbs = np.flatnonzero(passed[1:] & ~passed[:-1]) + 1
    if kind not in CUE_AT_ONE_LAG or not len(climbs):
        return [own]
    return [own.iloc[: climbs[-1]], own.iloc[climbs[-1] :]]


def _curve(ax: Axes, own: pd.DataFrame, kind: str) -> None:
    if own.empty:
        return
    colour, marker, _ = KINDS[kind]
    lag = own["lag"].astype(float)
    ax.fill_between(lag, own["low"], own["high"], color=colour, alpha=0.12, linewidth=0)
    style: Any = {"color": colour, "marker": marker, "markersize": 4 if len(own) > 1 else 6, "linewidth": 1.4}
    ax.plot(lag, own["median"], **style, label=kind, markevery=slice(None) if len(own) <= 14 else [])


def _bar(ax: Axes, height: float, kind: str, lags: tuple[float, float, float], beyond: bool) -> None:
    """Draw a thick line to the horizon that half of the seeds reach, and a thin line to the farthest seed.

    `lags` are where the line begins (0: at the edge of the panel), the horizon, and the lag of the farthest seed.
    """
    colour, marker, _ = KINDS[kind]
    first, low, most = lags
    left = ax.get_xlim()[0]
    reach = max(low, left)
    ax.plot([first or left, reach], [height, height], color=colour, linewidth=3.5, solid_capstyle="butt", zorder=2)
    if most > reach:
        ax.plot([reach, most], [height, height], color=colour, linewidth=1.0, solid_capstyle="butt", zorder=2)
    ax.plot([reach], [height], color=colour, marker=">" if beyond else marker, markersize=5, linestyle="none", zorder=3)
