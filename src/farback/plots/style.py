"""The style that all figures share: a cell keeps its colour and marker, an initialisation its dashes.

The colours are Paul Tol's "high contrast" and "muted" schemes, which colour-blind readers can tell apart. The four
usual cells also differ in lightness, so that they differ in grey print, and every cell has its own marker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

RC: dict[Any, Any] = {
    "figure.dpi": 100,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "font.family": "DejaVu Sans",  # shipped with matplotlib, so that text has the same size on every machine
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

# Decorators for functions that draw: they run with these settings.
styled = mpl.rc_context(RC)
styled_x_grid = mpl.rc_context({**RC, "axes.grid.axis": "x"})
styled_no_grid = mpl.rc_context({**RC, "axes.grid": False})

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
OTHER_DASHES: tuple[Any, ...] = ((0, (2, 1)), (0, (8, 2)), (0, (4, 1, 1, 1)), (0, (1, 2)))
GREY = "0.45"
_VARIANT = re.compile(r"\d+ layers|bidirectional")


@dataclass(frozen=True)
class GroupName:
    """The parts of a group's name, such as "LSTM, chrono, 2 layers"."""

    cell: str
    init: str
    rest: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The full name; the default initialisation is left out."""
        return ", ".join([self.cell, *([] if self.init == "torch" else [self.init]), *self.rest])

    @property
    def panel(self) -> str:
        """The name without the initialisation, because initialisations share a panel."""
        return ", ".join([self.cell, *self.rest])


@dataclass(frozen=True)
class Look:
    """Colour, marker and dashes of a group. Markers are full for the default initialisation, hollow for others."""

    colour: str
    marker: str
    dashes: Any

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of `Axes.plot` and `Line2D`."""
        fill = self.colour if self.dashes == "-" else "white"
        return {"color": self.colour, "linestyle": self.dashes, "marker": self.marker, "markerfacecolor": fill}


def names(table: pd.DataFrame, first_value: str, ignored: str = "") -> list[GroupName]:
    """The name of each row's group, made from the columns before `first_value` without the column `ignored`.

    Raises:
        ValueError: the table has no column `first_value`, no group column before it, or no rows.
    """
    columns = list(table.columns)
    by = [name for name in columns[: columns.index(first_value)] if name != ignored] if first_value in columns else []
    if not by or not len(table):
        got = f"got {len(table)} rows with the columns {columns}"
        raise ValueError(f"a plot needs a table with rows, and with group columns before {first_value!r}; {got}")
    return [_name(dict(zip(by, row, strict=True))) for row in table.loc[:, by].itertuples(index=False, name=None)]


def _name(group: dict[str, Any]) -> GroupName:
    label = group.get("label", group.get("group"))
    parts: list[str] = re.split(r", (?![^(]*\))", str(label)) if label is not None else []
    first = parts.pop(0) if parts else ""
    cell = str(group.get("cell", first))
    init = parts.pop(0) if parts and not _VARIANT.fullmatch(parts[0]) else "torch"
    others = [f"{key} {value}" for key, value in group.items() if key not in ("label", "group", "cell", "init")]
    if not cell and others:
        cell, *others = others
    return GroupName(cell or "all", str(group.get("init", init)), (*parts, *others))


def groups(table: pd.DataFrame, first_value: str, ignored: str = "") -> dict[GroupName, pd.DataFrame]:
    """The rows of each group, in the order of the groups' first rows; arguments and errors as in `names`."""
    every = names(table, first_value, ignored)
    return {name: table[[other == name for other in every]] for name in dict.fromkeys(every)}


def looks(groups: Iterable[GroupName]) -> dict[GroupName, Look]:
    """Colour and marker by cell, dashes by initialisation; usual cells and starts look the same in every figure."""
    distinct = list(dict.fromkeys(groups))
    cells, dashes = {**CELLS}, {**INITS}
    for index, cell in enumerate(sorted({name.cell for name in distinct} - set(CELLS))):
        cells[cell] = (OTHER_COLOURS[index % len(OTHER_COLOURS)], OTHER_MARKERS[index % len(OTHER_MARKERS)])
    for index, init in enumerate(sorted({name.init for name in distinct} - set(INITS))):
        dashes[init] = OTHER_DASHES[index % len(OTHER_DASHES)]
    return {name: Look(*cells[name.cell], dashes[name.init]) for name in distinct}
