"""A figure of the ratios: a panel for each cell, a line for each length and cohort."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import pandas as pd
from benchmarks.speed.tables import PEERS, TARGETS
from matplotlib.figure import Figure

from farback.plots.axes import fixed_ticks
from farback.plots.canvas import Canvas
from farback.plots.panels import legend_below
from farback.plots.style import styled

MARKERS = {20: "o", 100: "s", 500: "^"}
COLOURS = {1: "#004488", 8: "#BB5566"}
TICKS = (0.5, 1, 2, 3, 5, 10, 20, 50)


@styled
def drawn(points: pd.DataFrame) -> Figure:
    """How many times as long the peers take, by hidden units: a row for each peer, a column for each cell.

    Args:
        points: from `tables.ratios`.
    """
    peers = [peer for peer in PEERS if peer in points]
    cells = list(points["cell"].unique())
    figure = Figure(figsize=(3.2 * len(cells), 2.8 * len(peers) + 0.5), layout="constrained")
    axes = figure.subplots(len(peers), len(cells), sharex=True, sharey="row", squeeze=False)
    for row, peer in enumerate(peers):
        for column, cell in enumerate(cells):
            ax = axes[row][column]
            _panel(ax, points[points["cell"] == cell], peer)
            ax.set_title(f"{cell} against {PEERS[peer]}")
            target = TARGETS["worst_vs_jax"] if peer == "jax" else TARGETS.get(f"{cell.lower()}_vs_torch")
            if target:
                ax.axhline(target, color="0.6", linestyle=(0, (4, 3)), linewidth=1.0)
        axes[row][0].set_ylabel("times as long as farback")
    for ax in axes[-1]:
        ax.set_xlabel("hidden units")
    drawn_bars, names = axes[0][0].get_legend_handles_labels()
    handles = [bars.lines[0] for bars in drawn_bars]  # the line of each, without its bars
    for line, name in zip(handles, names, strict=True):
        line.set_label(name)
    note = "Full: batch 32; hollow: batch 128. Bars: quartiles of paired readings. Dashes: the target for the mean."
    legend_below(Canvas(figure), handles, note, columns=3)
    return figure


def _panel(ax: mpl.axes.Axes, points: pd.DataFrame, peer: str) -> None:
    sizes = sorted(points["H"].unique())
    for T, R in itertools.product(sorted(set(points["T"])), sorted(set(points["R"]))):
        for B, line in points[(points["T"] == T) & (points["R"] == R)].groupby("B"):
            shift = 1 + 0.02 * (list(MARKERS).index(T) - 1) + (0.05 if B == 128 else -0.05)
            spread = [line[peer] - line[f"{peer}_low"], line[f"{peer}_high"] - line[peer]]
            ax.errorbar(
                line["H"] * shift,
                line[peer],
                yerr=spread,
                color=COLOURS[R],
                marker=MARKERS[T],
                markerfacecolor=COLOURS[R] if B == 32 else "white",
                linewidth=1.0,
                elinewidth=0.8,
                markersize=4.5,
                label=f"T = {T}, {R} network{'s' if R > 1 else ''}" if B == 32 else None,
            )
    ax.axhline(1.0, color="0.3", linewidth=0.8)
    ax.set_xscale("log")
    ax.set_yscale("log")
    fixed_ticks(ax.xaxis, sizes)
    fixed_ticks(ax.yaxis, TICKS)
