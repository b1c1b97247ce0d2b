"""Every way of saying how far back, of one network, in one panel."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from farback.plots.curve_panels import MOMENTS
from farback.plots.style import GREY, RC, Name, labels, lag_axis, names

# Colour, marker: these are measures, not cells, so the colours are those that no usual cell has (Paul Tol, "bright").
KINDS = {
    "gradient": ("#4477AA", "o", "gradient (1e-3 of the least lag)"),
    "causal": ("#EE6677", "D", "causal (effect of 1 %)"),
    "decodable": ("#228833", "s", "decodable (probe's skill 0.5)"),
    "memory": ("#AA3377", "^", "linear memory (R² 0.5)"),
    "behaviour": ("#CCBB44", "P", "behaviour (half-way from chance)"),
}
ROW = 0.13  # of the axis: the height of a horizon's bar below the curves


def reaches(curves: pd.DataFrame, horizons: pd.DataFrame, columns: int = 2) -> Figure:
    """Small multiples, a panel for each network and moment: the curves above, a bar to each horizon below.

    Args:
        curves: what `tables.reaches` gives.
        horizons: what `tables.reach_horizons` gives for the same groups.
        columns: panels side by side.
    """
    panel = _panels(curves)
    ends = _panels(horizons)
    distinct = list(dict.fromkeys(panel))
    kinds = [kind for kind in KINDS if kind in set(curves["reach"])]
    columns = min(columns, len(distinct))
    rows = math.ceil(len(distinct) / columns)
    depth = 0.06 + ROW * len(kinds)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(3.7 * columns + 0.4, 2.5 * rows + 1.5), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for empty in axes.flat[len(distinct) :]:
            empty.remove()
        for place in range(len(distinct), rows * columns):
            axes.flat[place - columns].tick_params(labelbottom=True)
        lags = sorted(set(curves["lag"].astype(float)))
        for (name, moment), ax in zip(distinct, axes.flat, strict=False):
            ax.set_title(name.text if len({when for _, when in distinct}) == 1 else f"{name.text}, {moment}")
            ax.axhline(0.5, color=GREY, linewidth=0.9, linestyle=":")
            ax.axhline(0, color="0.3", linewidth=0.8)
            own = curves[[other == (name, moment) for other in panel]]
            bars = horizons[[other == (name, moment) for other in ends]]
            for kind in kinds:
                _curve(ax, own[own["reach"] == kind], kind)
            lag_axis(ax, _marks(lags))
            for row, kind in enumerate(kinds):
                height = -0.04 - ROW * (row + 0.5)
                for bar in bars[bars["reach"] == kind].to_dict("records"):
                    _bar(ax, height, kind, bar["least"], bar["low"], bar["most"], bool(np.isinf(bar["high"])))
            ax.set_ylim(-depth, 1.06)
            ax.set_yticks([0, 0.5, 1])
            ax.set_xlim(lags[0] if lags[0] == 0 else lags[0] / 1.35, lags[-1] * 1.5)
        labels(axes.flat[: len(distinct)], "lag (steps)", "on the measure's own scale")
        figure.suptitle("How far back, by every measure", x=0.01, ha="left")
        handles = [
            Line2D([], [], color=colour, marker=marker, label=text)
            for kind, (colour, marker, text) in KINDS.items()
            if kind in kinds
        ]
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(3, columns + 1),
            title="curves: median over seeds, 0.5 is the threshold of each (in brackets); causal and decodable in\n"
            "sequences with the cue at their largest lag, before it distractors;\n"
            "bars: the lag that half of the seeds reach, thin to the farthest seed; arrow: beyond the lags tried",
            title_fontsize=8.5,
        )
    return figure


def _panels(table: pd.DataFrame) -> list[tuple[Name, str]]:
    group = names(table.drop(columns="moment"), "reach")
    return list(zip(group, [MOMENTS.get(moment, moment) for moment in table["moment"]], strict=True))


def _marks(lags: list[float]) -> list[float]:
    """Lags to write at the axis: those tried, or a few where there are many."""
    if len(lags) <= 14:
        return lags
    wanted = [digit * 10.0**power for power in range(6) for digit in (1, 2, 4)]
    return [lags[0], *(lag for lag in wanted if lags[0] < lag <= lags[-1])]


def _curve(ax: Axes, own: pd.DataFrame, kind: str) -> None:
    if own.empty:
        return
    colour, marker, _ = KINDS[kind]
    own = own.sort_values("lag", kind="stable")
    lag = own["lag"].to_numpy(float)
    ax.fill_between(lag, own["low"], own["high"], color=colour, alpha=0.12, linewidth=0)
    every = list(range(len(lag))) if len(lag) <= 14 else []
    ax.plot(lag, own["median"], color=colour, marker=marker, markevery=every, markersize=4, linewidth=1.4, label=kind)


def _bar(ax: Axes, height: float, kind: str, least: float, low: float, most: float, beyond: bool) -> None:
    """From the axis to the horizon that half of the seeds reach, and on to the farthest seed."""
    colour, marker, _ = KINDS[kind]
    left = ax.get_xlim()[0]
    reach = max(low, left)
    ax.plot([left, reach], [height, height], color=colour, linewidth=3.5, solid_capstyle="butt", zorder=2)
    if most > reach:
        ax.plot([reach, most], [height, height], color=colour, linewidth=1.0, solid_capstyle="butt", zorder=2)
    ax.plot([reach], [height], color=colour, marker=">" if beyond else marker, markersize=5, linestyle="none", zorder=3)
