"""One style for every figure: a cell keeps its colour and marker, an initialisation its dashes, lag is logarithmic.

The colours are Paul Tol's "high contrast" and "muted" schemes, which stay apart for colour-blind readers; the four
usual cells also differ in lightness, so that they stay apart in grey, and every cell has a marker of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

RC: dict[Any, Any] = {
    "figure.dpi": 100,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that text has one size everywhere
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.3",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.7,
    "xtick.color": "0.2",
    "xtick.labelsize": 8.5,
    "ytick.color": "0.2",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.titlesize": 11.0,
    "figure.titleweight": "bold",
    "lines.linewidth": 1.8,
    "lines.markersize": 6.0,
    "svg.hashsalt": "farback",  # equal figures get equal ids
    "svg.fonttype": "path",
}

CELLS = {  # lightness 48, 72, 29, 0 of 100
    "RNN tanh": ("#BB5566", "^"),
    "RNN relu": ("#DDAA33", "v"),
    "LSTM": ("#004488", "o"),
    "GRU": ("#000000", "s"),
}
OTHER_COLOURS = ("#44AA99", "#AA4499", "#88CCEE", "#999933", "#882255", "#117733", "#CC6677", "#332288")
OTHER_MARKERS = ("D", "P", "X", "p", "h", "<", ">", "d", "*")
INITS: dict[str, Any] = {
    "torch": "-",
    "orthogonal": (0, (5, 2)),
    "identity": (0, (5, 2, 1, 2)),
    "chrono": (0, (3, 1.5)),
    "forget_bias": (0, (1, 1.2)),
    "xavier": (0, (7, 2, 1, 2, 1, 2)),
}
INIT_WORDS = {"torch": "torch's default initialisation"}
OTHER_DASHES: tuple[Any, ...] = ((0, (2, 1)), (0, (8, 2)), (0, (4, 1, 1, 1)), (0, (1, 2)))
GREY = "0.45"
SINGLE_PANEL = 4  # groups that one panel shows without crowding
VARIANT = re.compile(r"\d+ layers|bidirectional")


@dataclass(frozen=True)
class Name:
    """The name of a group, taken apart: "LSTM, chrono, 2 layers"."""

    cell: str
    init: str
    rest: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole name."""
        return ", ".join([self.cell, *([] if self.init == "torch" else [self.init]), *self.rest])

    @property
    def panel(self) -> str:
        """The name without its initialisation: initialisations share a panel."""
        return ", ".join([self.cell, *self.rest])


@dataclass(frozen=True)
class Look:
    """How a group is drawn."""

    colour: str
    marker: str
    dashes: Any

    @property
    def fill(self) -> str:
        """Markers are full at the default initialisation, hollow at the others."""
        return self.colour if self.dashes == "-" else "white"


def names(table: pd.DataFrame, first_value: str) -> list[Name]:
    """The group of each row of a table; its columns before `first_value` are what makes a group.

    Raises:
        ValueError: the table has no such column, none before it, or no rows.
    """
    if first_value not in table.columns or table.columns[0] == first_value or not len(table):
        raise ValueError(
            f"needs rows, with group columns before {first_value!r}, got {len(table)} of {list(table.columns)}"
        )
    by = list(table.columns[: list(table.columns).index(first_value)])
    return [_name(dict(zip(by, row, strict=True))) for row in table.loc[:, by].itertuples(index=False, name=None)]


def _name(group: dict[str, Any]) -> Name:
    label = group.get("label", group.get("group"))
    own: list[str] = re.split(r", (?![^(]*\))", str(label)) if label is not None else []
    cell = str(group["cell"]) if "cell" in group else own[0] if own else ""
    parts = own[1:]
    init = parts.pop(0) if parts and not VARIANT.fullmatch(parts[0]) else "torch"
    others = [f"{key} {value}" for key, value in group.items() if key not in ("label", "group", "cell", "init")]
    if not cell and others:
        cell, *others = others
    return Name(cell or "all", str(group.get("init", init)), (*parts, *others))


def looks(groups: Iterable[Name]) -> dict[Name, Look]:
    """Colour and marker by cell, dashes by initialisation; the usual ones look the same in every figure."""
    distinct = list(dict.fromkeys(groups))
    cells = {**CELLS}
    for index, cell in enumerate(sorted({name.cell for name in distinct} - set(CELLS))):
        cells[cell] = (OTHER_COLOURS[index % len(OTHER_COLOURS)], OTHER_MARKERS[index % len(OTHER_MARKERS)])
    dashes = {**INITS}
    for index, init in enumerate(sorted({name.init for name in distinct} - set(INITS))):
        dashes[init] = OTHER_DASHES[index % len(OTHER_DASHES)]
    return {name: Look(*cells[name.cell], dashes[name.init]) for name in distinct}


def panels(groups: Iterable[Name], together: int = SINGLE_PANEL) -> dict[str, list[Name]]:
    """Which groups share a panel: all where there are few, else those that differ only in initialisation."""
    distinct = list(dict.fromkeys(groups))
    if len(distinct) <= together:
        return {"": distinct}
    shared: dict[str, list[Name]] = {}
    for name in distinct:
        shared.setdefault(name.panel, []).append(name)
    return shared


def grid(shared: dict[str, list[Name]], height: float = 2.5) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel each, sharing both axes, and titles that say which."""
    count = len(shared)
    columns = _columns(list(shared.values()))
    rows = math.ceil(count / columns)
    size = (7.0, 4.2) if count == 1 else (3.1 * columns + 0.8 if columns > 1 else 7.0, height * rows + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for empty in axes.flat[count:]:
        empty.remove()
    for place in range(count, rows * columns):  # the panel above an empty place is an outer one
        axes.flat[place - columns].tick_params(labelbottom=True)
    shown = dict(zip(shared, axes.flat, strict=False))
    for title, ax in shown.items():
        ax.set_title(title)
    return figure, shown


def _columns(groups: list[list[Name]]) -> int:
    """Panels side by side: all variants of a cell where each has equally many, else a near square of at most 4."""
    cells = [own[0].cell for own in groups]
    each = {cells.count(cell) for cell in cells}
    if len(each) == 1 and 1 < max(each) <= 4 and len(set(cells)) > 1:
        return max(each)
    return min(4, math.ceil(math.sqrt(len(groups))))


def lag_axis(ax: Axes, lags: Sequence[float]) -> None:
    """A log2 axis with a plain number at each lag, as far as they fit; lag 0 stands one step left of the others."""
    at = sorted({float(lag) for lag in lags})
    positive = [lag for lag in at if lag > 0]
    if positive and at[0] == 0:
        ax.set_xscale("symlog", base=2, linthresh=positive[0], linscale=1)
    elif positive:
        ax.set_xscale("log", base=2)
    place = [math.log2(lag) if lag > 0 else math.log2(at[1]) - 1 if len(at) > 1 else 0.0 for lag in at]
    ax.xaxis.set_major_locator(FixedLocator(fitting(at, place, place[-1] - place[0] + 1)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}"))
    if at[0] > 0:
        ax.set_xlim(at[0] / 1.35, at[-1] * 1.35)


def fitting(at: Sequence[float], place: Sequence[float], whole: float) -> list[float]:
    """Those of these ascending numbers that can be written at an axis without running into each other, the largest
    always among them.

    Args:
        at: the numbers.
        place: where each stands.
        whole: how long the axis is, in the unit of `place`.
    """
    kept = [len(at) - 1]
    for index in range(len(at) - 2, -1, -1):
        digits = len(f"{at[kept[-1]]:.10g}")
        room = 0.075 if digits <= 3 else 0.03 * digits  # of the axis of one of two panels
        if place[kept[-1]] - place[index] >= room * whole:
            kept.append(index)
    return [at[index] for index in sorted(kept)]


def legible(ax: Axes, columns: int) -> None:
    """Write on the fields of a heat map in black or white, whichever stands out more (WCAG's contrast).

    Args:
        ax: with seaborn's heat map on it, and its annotations.
        columns: of the map.
    """
    rgb_N3 = np.asarray(ax.collections[0].get_facecolor(), float)[:, :3]
    linear_N3 = np.where(rgb_N3 <= 0.04045, rgb_N3 / 12.92, ((rgb_N3 + 0.055) / 1.055) ** 2.4)
    bright_N = linear_N3 @ (0.2126, 0.7152, 0.0722)
    for text in ax.texts:  # a field without a number has none
        x, y = text.get_position()
        text.set_color("black" if (bright_N[int(y) * columns + int(x)] + 0.05) ** 2 > 0.05 * 1.05 else "white")


def inner_ticks(ax: Axes) -> None:
    """Keep the ticks that lie within a linear axis: the others are not drawn, but take up room."""
    for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        axis.set_ticks([tick for tick in axis.get_majorticklocs() if low <= tick <= high])


def doublings(least: float, most: float) -> list[float]:
    """The smallest lag and its doublings up to the largest."""
    return [least * 2.0**step for step in range(math.floor(math.log2(most / least) + 1e-9) + 1)]


def marks(most: float, least: float = 0) -> list[float]:
    """Lags to write at the axis of a dense curve: the least, and 1, 2, 5, 10... up to the most."""
    steps = [digit * 10.0**power for power in range(7) for digit in (1, 2, 5)]
    return [least, *(lag for lag in steps if least < lag <= most)]


def dodged(lags: Sequence[float], index: int, count: int) -> Numbers:
    """Lags moved a little, so that the markers of `count` groups at one lag stand side by side on a log axis."""
    at: Numbers = np.asarray(lags, float)
    distinct = np.unique(at[at > 0])
    gap = float(np.diff(np.log2(distinct)).min()) if len(distinct) > 1 else 1.0
    step = min(0.16, 0.5 * gap / max(1, count))
    return at * float(2.0 ** ((index - (count - 1) / 2) * step))


def labels(shown: Iterable[Axes], x: str, y: str) -> None:
    """Labels on the outer axes."""
    for ax in shown:
        place = ax.get_subplotspec()
        ax.set_xlabel(x if ax.xaxis.get_tick_params()["labelbottom"] else "")
        ax.set_ylabel(y if place is not None and place.is_first_col() else "")


def legend(
    figure: Figure,
    shared: dict[str, list[Name]],
    look: dict[Name, Look],
    note: str,
    more: Sequence[tuple[str, Look]] = (),
) -> None:
    """Below the panels: every group where there is one panel, else what the dashes mean; `more` lines that belong to no
    group; and how to read the figure."""
    if len(shared) == 1:
        entries = [(name.text, look[name]) for group in shared.values() for name in group]
    else:
        inits = {name.init: look[name] for group in shared.values() for name in group}
        ordered = sorted(inits, key=lambda init: (init != "torch", init)) if set(inits) != {"torch"} else []
        entries = [(INIT_WORDS.get(init, init), Look(GREY, "", inits[init].dashes)) for init in ordered]
    entries += more
    lines = [
        Line2D([], [], color=own.colour, linestyle=own.dashes, marker=own.marker, markerfacecolor=own.fill, label=text)
        for text, own in entries
    ]
    longest = max((len(text) for text, _ in entries), default=0)
    columns = max(1, min(len(lines), int(figure.get_size_inches()[0] * 13 / (longest + 10))))
    figure.legend(
        handles=lines,
        loc="outside lower center",
        ncols=columns,
        handlelength=4.5,
        columnspacing=1.6,
        title=note,
        title_fontsize=8.5,
    )
