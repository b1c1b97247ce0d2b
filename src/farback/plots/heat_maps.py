"""Heat maps of success rates: training length against test length, and lag against load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from farback.plots.canvas import Canvas, Place, canvas
from farback.plots.panels import count_text, labels, subplots
from farback.plots.style import groups, names, styled_no_grid
from farback.records.counted_nouns import counted

LETTER = 0.085  # inches: the width of a letter
FIELD = 0.44  # inches: the width of a field with a number of three digits


@styled_no_grid
def length_map(table: pd.DataFrame, *, figure: Place = None) -> Figure:
    """The share of seeds that pass at each test lag (`tables.trained_and_tested`); the training lag is framed.

    The panels are drawn into `figure`, by default a new one.
    """
    parts = groups(table, "trained")
    lags = sorted(set(table["lag"]))
    trained = list(dict.fromkeys(table.sort_values(["trained_lag"], kind="stable")["trained"]))
    trained.sort(key=lambda text: not text.isdigit())  # mixed lags last
    titles = [name.text for name in parts]
    drawn, axes = _maps("Trained at one lag, tested at another", titles, len(lags), trained, figure)
    for own, title, ax in zip(parts.values(), titles, axes, strict=True):
        _rates(ax, own, "trained", trained, lags)
        for text, lag in set(zip(own["trained"], own["trained_lag"], strict=True)):
            if text.isdigit() and lag in lags:
                place = (lags.index(lag), trained.index(text))
                ax.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor="#BB5566", linewidth=2))
        ax.set_title(title)
    labels(axes, "test lag (steps)", "training lag")
    note = f"text: how many of {_seeds(table)} pass; shade: their share; framed: the training lag itself"
    drawn.note(note, fontsize=8.5)
    return drawn.root


@styled_no_grid
def interference(table: pd.DataFrame, row: str, column: str, *, figure: Place = None) -> Figure:
    """Success rates by lag and load (how much must be remembered), a map for each kind of distractor.

    Args:
        table: from `tables.retained_by_lag` or `tables.success_by_lag`. Its group columns are `row`, `column` and at
            most one more, which names the network.
        row: the table's column with the load: each load is a row of a map.
        column: the table's column with the kind of distractor: each kind has a map.
        figure: the figure to draw the panels into; default: a new one.
    """
    others = [name for name in table.columns[: list(table.columns).index("lag")] if name not in (row, column)]
    network = names(table[[*others, "lag"]], "lag") if others else [None] * len(table)
    networks, kinds = list(dict.fromkeys(network)), list(dict.fromkeys(table[column]))
    lags, loads = sorted(set(table["lag"])), sorted(set(table[row]), reverse=True)
    places = [(name, kind) for name in networks for kind in kinds]
    titles = [f"{name.text}: {kind}" if name is not None else str(kind) for name, kind in places]
    drawn, axes = _maps("Decay against interference", titles, len(lags), loads, figure, columns=len(kinds))
    for (name, kind), title, ax in zip(places, titles, axes, strict=True):
        own = table[np.array([other == name for other in network]) & (table[column] == kind)]
        _rates(ax, own, row, loads, lags)
        ax.set_title(title)
    labels(axes, "lag (steps)", row.rpartition(".")[2])
    drawn.note(f"text: how many of {_seeds(table)} pass; shade: their share", fontsize=8.5)
    return drawn.root


def _maps(
    title: str, titles: Sequence[str], lags: int, rows: Sequence[Any], place: Place, columns: int = 0
) -> tuple[Canvas, list[Axes]]:
    """Axes for maps with a column for each of `lags` lags and a row for each of `rows`, wide enough for the titles."""
    count = len(titles)
    width = max(FIELD * lags + 0.3, LETTER * max(map(len, titles)) + 0.2)
    columns = columns or max(1, min(count, 4 if count > 6 else 2, int(13 / width)))
    height = 0.36 * len(rows) + 0.45
    letters = max(len(row) if isinstance(row, str) else 3 for row in rows)
    drawn = canvas(width * columns + LETTER * letters + 1.2, height * -(-count // columns) + 1.3, title, place)
    return drawn, subplots(drawn, count, columns)


def _rates(ax: Axes, own: pd.DataFrame, row: str, rows: Sequence[Any], lags: Sequence[int]) -> None:
    own = own.assign(text=own["successes"].astype(int).astype(str))
    rate, text = (
        own.pivot(index=row, columns="lag", values=name).reindex(index=list(rows), columns=list(lags))
        for name in ("rate", "text")
    )
    heat_map(ax, rate, text, ("–", "0.5"), vmin=0, vmax=1, cbar=False, annot_kws={"fontsize": 8.5})
    ax.set(xlabel="", ylabel="")
    ax.set_xticks(np.arange(len(lags)) + 0.5, [str(lag) for lag in lags], rotation=0, fontsize=8)
    ax.set_yticks(np.arange(len(rows)) + 0.5, [str(value) for value in rows], rotation=0)


def heat_map(ax: Axes, shade: pd.DataFrame, text: pd.DataFrame, missing: tuple[str, str], **options: Any) -> None:
    """Draw `seaborn.heatmap` with text; `missing` is the text of fields without a number, and its colour."""
    style = {"cmap": "cividis", "linewidths": 1.0, "linecolor": "white", "fmt": "", **options}
    sns.heatmap(shade, annot=text.fillna(""), ax=ax, **style)
    # Black or white text, whichever has the higher contrast with its field (WCAG).
    rgb_N3 = np.asarray(ax.collections[0].get_facecolor(), float)[:, :3]
    linear_N3 = np.where(rgb_N3 <= 0.04045, rgb_N3 / 12.92, ((rgb_N3 + 0.055) / 1.055) ** 2.4)
    luminance_N = linear_N3 @ (0.2126, 0.7152, 0.0722)
    for written in ax.texts:
        x, y = written.get_position()
        bright = (luminance_N[int(y) * shade.shape[1] + int(x)] + 0.05) ** 2 > 0.05 * 1.05
        written.set_color("black" if bright else "white")
    for y, x in np.argwhere(shade.isna().to_numpy()):  # seaborn writes nothing there
        ax.text(x + 0.5, y + 0.5, missing[0], ha="center", va="center", color=missing[1])
    ax.set_facecolor("0.93")
    ax.tick_params(length=0)


def _seeds(table: pd.DataFrame) -> str:
    return counted(count_text(table["seeds" if "seeds" in table else "trials"]), "seed")
