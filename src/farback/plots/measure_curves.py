"""Curves of five measures: gradients, memory functions, Lyapunov spectra, time constants of gates, truncation."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from farback.plots.axes import curve_ticks, lag_axis
from farback.plots.panels import band, median_note, moment_panels, seeds_text
from farback.plots.series import series
from farback.plots.style import GREY, Look, styled

LEAST_GRADIENT = -12.0  # decades; smaller gradients would squeeze the rest of the curve
GRADIENT_REACH = -3.0  # decades: the gradient reach ends where the gradient is 1e-3 of its value at the smallest lag
# The squared gradient at PyTorch's default initialisation falls to a third with every step of a tanh network, to a
# sixth with every step of a relu network: the variance of U(-1/sqrt H, 1/sqrt H) is 1/(3H), and relu passes half of it.
THEORY = {"theory, tanh: 3^(-k/2)": -math.log10(3) / 2, "theory, relu: 6^(-k/2)": -math.log10(6) / 2}

LEAST_KEPT, MOST_KEPT = -0.25, 1.5  # ends of the axis: a network that is confident and wrong has -5
LEAST_RATE = -8.0  # natural logarithm per step: a direction that loses 99.97 % at every step carries nothing

SHARE_TICKS = {
    1.0: "100 %",
    0.5: "50 %",
    0.2: "20 %",
    0.1: "10 %",
    0.05: "5 %",
    0.02: "2 %",
    0.01: "1 %",
    0.005: "0.5 %",
}


@styled
def gradients(table: pd.DataFrame, theory: Mapping[str, float] = THEORY, *, ax: Axes | None = None) -> Figure:
    """Gradient against lag (`tables.gradient_curves`); `theory` has straight lines by name, in decades per step.

    `ax` are the axes to draw into, if there is one moment of measurement; all groups then share a panel.
    """
    layout = moment_panels(table, "lag", "How the gradient changes with the lag", ax)
    largest = float(table["lag"].max())
    finite = table[["median", "high"]].where(np.isfinite(table[["median", "high"]]))
    bottom = min(
        GRADIENT_REACH - 1.0, max(LEAST_GRADIENT, float(np.nanmin(finite["median"].to_numpy(), initial=0.0)) - 0.5)
    )
    top = float(np.nanmax(finite["high"].to_numpy(), initial=0.0)) + 0.5
    lines = [(text, Look("0.35", "", dashes)) for text, dashes in zip(theory, (":", "-."), strict=False)]
    for panel in layout:
        panel.ax.axhline(GRADIENT_REACH, color=GREY, linewidth=0.8)
        for name, own in panel.parts.items():
            with series(panel.ax, name.text):
                band(panel.ax, own, "lag", layout.look[name], name.text, bottom)
        for text, look in lines:
            lag = np.arange(0.0, largest + 1)
            lag = lag[theory[text] * lag >= bottom]
            panel.ax.plot(lag, theory[text] * lag, color=look.colour, linestyle=look.dashes, label=text)
        lag_axis(panel.ax, curve_ticks(largest))
        panel.ax.set_xlim(0, largest * 1.15)
        panel.ax.set_ylim(bottom, top)
    layout.labels("lag (steps)", "log10 gradient (smallest lag: 0)")
    layout.legend(f"{median_note(table)}; grey line: 1e-3, where the gradient reach ends", lines)
    return layout.figure


@styled
def memory(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Memory functions (`tables.memory_curves`), the range without memory, and the end of a buffer of N steps.

    `ax` are the axes to draw into, if there is one moment of measurement; all groups then share a panel.
    """
    layout = moment_panels(table, "lag", "Memory function", ax)
    least, largest = float(table["lag"].min()), float(table["lag"].max())
    for panel in layout:
        rows = pd.concat(panel.parts.values())
        null = rows.groupby("lag").agg({"null_low": "min", "null_high": "max"})
        panel.ax.plot(null, color="0.35", linestyle=":", linewidth=0.9, zorder=3)
        for name, own in panel.parts.items():
            with series(panel.ax, name.text):
                band(panel.ax, own, "lag", layout.look[name], name.text)
        lag_axis(panel.ax, curve_ticks(largest, least))
        panel.ax.set_xlim(least / 1.15, largest * 1.15)
        panel.ax.set_ylim(-0.12, 1.05)
        features = float(rows["features"].max())  # networks with dead units have fewer
        if features <= largest:
            panel.ax.axvline(features, color=GREY, linewidth=1.0, linestyle="--", zorder=1.5)
            panel.ax.annotate(f" N = {features:g}", (features, 1.0), va="top", color="0.3", fontsize=8)
    layout.labels("lag (steps)", "adjusted R² of the input at lag k")
    layout.legend(f"{median_note(table)}; dotted: 95 % range without memory; dashed: end of a buffer of N steps")
    return layout.figure


@styled
def lyapunov(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Lyapunov spectra (`tables.curves(scores, "lyapunov", "exponent")`); an exponent above 0 means chaos."""
    ranked = table.assign(lag=table["lag"] - table["lag"].min() + 1)
    layout = moment_panels(ranked, "lag", "Lyapunov spectrum", ax)
    for panel in layout:
        panel.ax.axhline(0, color=GREY, linewidth=1.0)
        for name, own in panel.parts.items():
            with series(panel.ax, name.text):
                band(panel.ax, own, "lag", layout.look[name], name.text, LEAST_RATE)
        panel.ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    first = layout.panels[0].ax  # all panels share their axes
    first.set_xlim(0.5, float(ranked["lag"].max()) + 0.5)
    bottom, top = first.get_ylim()
    first.set_ylim(max(bottom, LEAST_RATE), max(top, 0.15))
    layout.labels("exponent, from the largest", "rate (natural log per step)")
    layout.legend(f"{median_note(table)}; above 0 differences grow (chaos); time constant: −1 / rate")
    return layout.figure


@styled
def gate_times(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """The share of units with at least a given time constant, from `tables.gate_times`; both axes are logarithmic.

    `ax` are the axes to draw into, if there is one moment of measurement; all groups then share a panel.
    """
    layout = moment_panels(table, "seeds", "Time constants of the gates", ax)
    smallest = float(table["share"].min())
    ticks = {level: text for level, text in SHARE_TICKS.items() if level >= smallest * 0.9}
    for panel in layout:
        for name, own in panel.parts.items():
            own = own.sort_values("share", ascending=False, kind="stable")
            marked = [int(np.abs(own["share"].to_numpy() - level).argmin()) for level in (0.9, 0.5, 0.1)]
            style = {**layout.look[name].line, "markevery": marked, "markersize": 5, "linewidth": 1.5}
            with series(panel.ax, name.text):
                panel.ax.step(own["tau"], own["share"], where="pre", label=name.text, **style)
        panel.ax.set(xscale="log", yscale="log")
        panel.ax.xaxis.set_major_formatter(FuncFormatter(lambda tau, _: f"{tau:g}"))
        panel.ax.xaxis.set_minor_formatter(NullFormatter())
        panel.ax.set_yticks(list(ticks), list(ticks.values()))
        panel.ax.yaxis.set_minor_locator(NullLocator())
    layout.labels("time constant (steps)", "units with at least this time constant")
    layout.legend(f"all units of {seeds_text(table)}; markers at 90, 50 and 10 % of the units")
    return layout.figure


@styled
def truncation(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """The share of the full skill by the lag of the first input seen.

    The table is from `tables.curves(scores, "truncation_reach", "kept")`. A share above 1 means that earlier inputs
    make the answers worse. `ax` are the axes to draw into, if there is one moment of measurement; all groups then share
    a panel.
    """
    layout = moment_panels(table, "lag", "Skill with the last steps only", ax)
    lags = sorted(set(table["lag"].astype(float)))
    for panel in layout:
        for level, dashes in ((1.0, "-"), (0.5, ":"), (0.0, "-")):
            panel.ax.axhline(level, color=GREY, linewidth=0.9, linestyle=dashes, zorder=1)
        for name, own in panel.parts.items():
            with series(panel.ax, name.text):
                band(panel.ax, own, "lag", layout.look[name], name.text)
        lag_axis(panel.ax, lags)
        panel.ax.set_xlim(lags[0] if lags[0] == 0 else lags[0] / 1.15, lags[-1] * 1.15 if lags[-1] else 1.0)
        high = float(table["high"].max())
        panel.ax.set_ylim(
            max(LEAST_KEPT, min(-0.05, float(table["low"].min()))), max(1.08, min(MOST_KEPT, high + 0.05))
        )
    layout.labels("lag of the first input seen (steps)", "share of the full skill")
    note = f"{median_note(table)}\ndotted: half of the skill; above 1: earlier inputs make the answers worse"
    if (table["low"] < LEAST_KEPT).any() or (table["high"] > MOST_KEPT).any():
        note += f"\nvalues below {LEAST_KEPT} or above {MOST_KEPT} are not shown"
    layout.legend(note)
    return layout.figure
