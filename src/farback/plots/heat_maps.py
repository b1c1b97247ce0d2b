"""Heat maps of what was tested: training length against test length, and lag against load."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from farback.plots.style import RC, legible, names

COLOURS = "cividis"
LETTER = 0.085  # inches: of a title
FIELD = 0.44  # inches: the width that a number of three digits needs


def length_map(table: pd.DataFrame) -> Figure:
    """Training lag against test lag: the share of seeds that pass, with the training lag itself framed.

    Args:
        table: what `tables.trained_and_tested` gives.
    """
    group = names(table, "trained")
    distinct = list(dict.fromkeys(group))
    lags = sorted(set(table["lag"]))
    trained = list(dict.fromkeys(table.sort_values(["trained_lag"], kind="stable")["trained"]))
    mixed = [text for text in trained if not text.isdigit()]
    trained = [text for text in trained if text.isdigit()] + mixed
    with mpl.rc_context({**RC, "axes.grid": False}):
        figure, axes = _sheet([name.text for name in distinct], len(lags), len(trained), max(map(len, trained)))
        for name, ax in zip(distinct, axes, strict=True):
            own = table[[other == name for other in group]]
            _heat(ax, own, "trained", trained, lags)
            for row, text in enumerate(trained):
                here = own[own["trained"] == text]
                at = set(here["trained_lag"]) if text.isdigit() else set()
                for lag in at & set(lags):
                    ax.add_patch(Rectangle((lags.index(lag), row), 1, 1, fill=False, edgecolor="#BB5566", linewidth=2))
            ax.set_title(name.text)
        _labels(axes, "test lag (steps)", "training lag")
        figure.suptitle("Trained at one lag, asked at another", x=0.01, ha="left")
        figure.supxlabel(
            f"text: how many of {_seeds(table)} seeds pass; shade: their share; framed: the training lag itself",
            fontsize=8.5,
        )
    return figure


def interference(table: pd.DataFrame, row: str, column: str) -> Figure:
    """Lag against load, a map for each distractor: what time alone takes away, and what the distractors do.

    Args:
        table: what `tables.retained_by_lag` or `tables.success_by_lag` gives: its group columns are one that tells
            networks apart (or none), `row` (the load) and `column` (the distractor).
        row: the column that makes the rows of a map.
        column: the one that makes the maps side by side.
    """
    others = [name for name in table.columns[: list(table.columns).index("lag")] if name not in (row, column)]
    rest = table.loc[:, [*others, *table.columns.drop(others)]] if others else table.assign(cell="")
    group = names(rest.drop(columns=[row, column]), "lag") if others else [None] * len(table)
    networks = list(dict.fromkeys(group))
    kinds = list(dict.fromkeys(table[column]))
    lags, loads = sorted(set(table["lag"])), sorted(set(table[row]), reverse=True)
    with mpl.rc_context({**RC, "axes.grid": False}):
        places = [(name, kind) for name in networks for kind in kinds]
        titles = [f"{name.text}: {kind}" if name is not None else str(kind) for name, kind in places]
        figure, axes = _sheet(titles, len(lags), len(loads), 3, across=len(kinds))
        for (name, kind), title, ax in zip(places, titles, axes, strict=True):
            own = table[np.array([other == name for other in group]) & (table[column] == kind)]
            _heat(ax, own, row, loads, lags)
            ax.set_title(title)
        _labels(axes, "lag (steps)", row.rpartition(".")[2])
        figure.suptitle("Decay against interference", x=0.01, ha="left")
        figure.supxlabel(f"text: how many of {_seeds(table)} seeds pass; shade: their share", fontsize=8.5)
    return figure


def _sheet(titles: Sequence[str], lags: int, rows: int, letters: int, across: int = 0) -> tuple[Figure, list[Axes]]:
    """Axes for maps of lags x rows fields, each wide enough for its title."""
    count = len(titles)
    width = max(FIELD * lags + 0.3, LETTER * max(map(len, titles)) + 0.2)
    beside = across or max(1, min(count, 4 if count > 6 else 2, int(13 / width)))
    below = math.ceil(count / beside)
    size = (width * beside + 0.085 * letters + 1.2, (0.36 * rows + 0.45) * below + 1.3)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(below, beside, sharex=True, sharey=True, squeeze=False)
    for empty in axes.flat[count:]:
        empty.remove()
    for place in range(count, below * beside):  # the map above an empty place is an outer one
        axes.flat[place - beside].tick_params(labelbottom=True)
    return figure, list(axes.flat[:count])


def _heat(ax: Axes, own: pd.DataFrame, row: str, rows: Sequence[object], lags: Sequence[int]) -> None:
    wide = own.pivot(index=row, columns="lag", values="rate").reindex(index=list(rows), columns=list(lags))
    text = (
        own.assign(text=own["successes"].astype(int).astype(str))
        .pivot(index=row, columns="lag", values="text")
        .reindex(index=list(rows), columns=list(lags))
    )
    sns.heatmap(
        wide,
        annot=text.fillna(""),
        fmt="",
        ax=ax,
        cmap=COLOURS,
        vmin=0,
        vmax=1,
        cbar=False,
        linewidths=1.0,
        linecolor="white",
        annot_kws={"fontsize": 8.5},
    )
    legible(ax, wide.shape[1])
    for at, beside in np.argwhere(wide.isna().to_numpy()):
        ax.text(beside + 0.5, at + 0.5, "–", ha="center", va="center", color="0.5")
    ax.set(facecolor="0.93", xlabel="", ylabel="")
    ax.set_xticks(np.arange(len(lags)) + 0.5, [str(lag) for lag in lags], rotation=0, fontsize=8)
    ax.set_yticks(np.arange(len(rows)) + 0.5, [str(value) for value in rows], rotation=0)
    ax.tick_params(length=0)


def _labels(axes: Sequence[Axes], x: str, y: str) -> None:
    for ax in axes:
        place = ax.get_subplotspec()
        if place is not None and place.is_first_col():
            ax.set_ylabel(y)
        if ax.xaxis.get_tick_params()["labelbottom"]:
            ax.set_xlabel(x)


def _seeds(table: pd.DataFrame) -> str:
    counts = sorted(set(table["seeds" if "seeds" in table else "trials"].astype(int)))
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
