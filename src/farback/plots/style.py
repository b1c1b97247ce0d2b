"""The style that all figures share: a cell keeps its colour and marker, an initialisation its dashes.

The colours are Paul Tol's "high contrast" and "muted" schemes, which colour-blind readers can tell apart. The four
usual cells also differ in lightness, so that they differ in grey print, and every cell has its own marker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback.records.setting_text import ALL, DEFAULT_INIT, DEFAULT_START, setting_text, value_text

Numbers = NDArray[np.float64]

NOT_OF_FIGURES = ("backend", "interactive", "toolbar", "date.epoch", "docstring.hardcopy")  # the caller's session

# Every setting of figures, so that no matplotlibrc of the user or of the current directory changes one
RC: dict[Any, Any] = {
    **{name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith(NOT_OF_FIGURES)},
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
LEVEL_DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 2, 1, 2)), (0, (8, 2)), (0, (2, 1)), (0, (4, 1, 1, 1)))
LEVEL_MARKERS = ("o", "s", "^", "v", *OTHER_MARKERS)
SHADES = (0.0, 0.78)  # part of the colour map for numbers: its lightest end cannot be read on white
GREY = "0.45"
_LAYERS, _BIDIRECTIONAL = re.compile(r"(\d+) layers"), "bidirectional"
_BLOCK = re.compile(r"block \(.*\)|no block")
PUBLISHED = "published block"
_LABEL_AXES: dict[str, Any] = {  # and the levels that a label does not write
    "layers": 1,
    _BIDIRECTIONAL: False,
    "block": PUBLISHED,
}
_UNWRITTEN = {"layers": "1 layer", _BIDIRECTIONAL: "one direction", "block": PUBLISHED}  # the texts of these levels


@dataclass(frozen=True)
class GroupName:
    """The parts of a group's name, such as "LSTM, chrono, 2 layers, hidden 8".

    Attributes:
        cell: empty if the group has neither a label nor a cell.
        rest: the texts of the other settings.
        levels: the values of the other settings by axis, such as ("layers", 2) and ("hidden", 8).
        has_init: whether the group has an initialisation, be it the default.
    """

    cell: str
    init: str
    rest: tuple[str, ...] = ()
    levels: tuple[tuple[str, Any], ...] = field(default=(), compare=False)
    has_init: bool = field(default=False, compare=False)

    @property
    def text(self) -> str:
        """The full name; the default initialisation is left out beside other parts."""
        parts = [self.cell, "" if self.init == DEFAULT_INIT else self.init, *self.rest]
        return ", ".join(filter(None, parts)) or (DEFAULT_START if self.has_init else ALL)

    def level(self, axis: str) -> Any:
        """The group's value on an axis: "cell", "init", or one of `levels`."""
        known = {"cell": self.cell, "init": self.init, **dict(self.levels)}
        return known.get(axis, _LABEL_AXES.get(axis))

    def part(self, axis: str) -> str:
        """The text of the group's level on an axis, also where the name leaves it out: "2 layers", "1 layer"."""
        if axis == "init":
            return DEFAULT_START if self.init == DEFAULT_INIT else self.init
        parts = {other: text for text, (other, _) in zip(self.rest, self.levels, strict=True)}
        return parts.get(axis) or _UNWRITTEN.get(axis) or setting_text(axis, self.level(axis))

    def without(self, axis: str) -> str:
        """The name without one axis: groups that differ on this axis only share a panel with this title."""
        rest = [text for text, (other, _) in zip(self.rest, self.levels, strict=True) if other != axis]
        init, has_init = (DEFAULT_INIT, False) if axis == "init" else (self.init, self.has_init)
        return replace(self, init=init, has_init=has_init, rest=tuple(rest), levels=()).text


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

    @property
    def layer(self) -> float:
        """The `zorder` of the line: dashed lines lie on solid ones, so that both are visible where they are equal."""
        return 2.0 if self.dashes == "-" else 2.1


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
    return [group_name(dict(zip(by, row, strict=True))) for row in table.loc[:, by].itertuples(index=False, name=None)]


def group_name(group: Mapping[str, Any]) -> GroupName:
    """The name of a group from its values by column; texts of the values, as tables show them, give the same name."""
    label = group.get("label", group.get("group"))
    parts: list[str] = re.split(r", (?![^(]*\))", str(label)) if label is not None else []
    first = parts.pop(0) if parts else ""
    init = parts.pop(0) if parts and not _of_label(parts[0]) else DEFAULT_INIT
    others = {key: value for key, value in group.items() if key not in ("label", "group", "cell", "init")}
    own = [_of_label(part) or (part, True) for part in parts]
    rest = [*parts, *(setting_text(key, value, others) for key, value in others.items())]
    levels = (*own, *others.items())
    return GroupName(str(group.get("cell", first)), str(group.get("init", init)), tuple(rest), levels, "init" in group)


def _of_label(part: str) -> tuple[str, Any] | None:
    """Axis and level of a part of a label that is neither its cell nor its initialisation."""
    layers = _LAYERS.fullmatch(part)
    if _BLOCK.fullmatch(part):
        return "block", part
    return ("layers", int(layers[1])) if layers else (part, True) if part == _BIDIRECTIONAL else None


def groups(table: pd.DataFrame, first_value: str, ignored: str = "") -> dict[GroupName, pd.DataFrame]:
    """The rows of each group, in the order of the groups' first rows; arguments and errors as in `names`."""
    every = names(table, first_value, ignored)
    return {name: table[[other == name for other in every]] for name in dict.fromkeys(every)}


def axes_of(groups: Iterable[GroupName]) -> dict[str, list[Any]]:
    """The axes on which groups differ, with their levels in order: cell, init, then other settings as in the names."""
    distinct = list(dict.fromkeys(groups))
    names = dict.fromkeys(["cell", "init", *(axis for name in distinct for axis, _ in name.levels)])
    found = {axis: _in_order(name.level(axis) for name in distinct) for axis in names}
    return {axis: levels for axis, levels in found.items() if len(levels) > 1}


def _in_order(levels: Iterable[Any]) -> list[Any]:
    """Distinct levels: a missing one first, then numbers, then texts."""
    distinct = {value_text(level): level for level in levels}
    return [distinct[text] for text in sorted(distinct, key=lambda text: _place(distinct[text], text))]


def _place(level: Any, text: str) -> tuple[int, float, str]:
    return (0, 0.0, "") if text == "none" else (2, 0.0, text) if isinstance(level, str) else (1, float(level), "")


def looks(groups: Iterable[GroupName]) -> dict[GroupName, Look]:
    """A look for each group; no two have the same colour, marker and dashes.

    Cells have colours and markers, and initialisations dashes, which are the same in every figure. If there is only one
    cell, colours and markers show the first other axis instead: shades in the order of numbers. The next axis has
    dashes (if initialisations do not vary), and further axes, or more than two levels of dashes, have markers.
    """
    distinct = list(dict.fromkeys(groups))
    axes = axes_of(distinct)
    others = [axis for axis in axes if axis not in ("cell", "init")]
    coloured = others.pop(0) if others and "cell" not in axes else "cell"
    dashed = others.pop(0) if others and "init" not in axes else "init"
    colours = _usual_colours(distinct) if coloured == "cell" else _level_colours(axes[coloured])
    dashes = _usual_dashes(distinct) if dashed == "init" else dict(zip(axes[dashed], cycle(LEVEL_DASHES), strict=False))
    found: dict[GroupName, Look] = {}
    markers = [
        each for each in LEVEL_MARKERS if each not in {marker for _, marker in colours.values()}
    ] or LEVEL_MARKERS
    for name in distinct:
        colour, marker = _at(colours, name.level(coloured))
        line = _at(dashes, name.level(dashed))
        # Markers are full for solid lines and hollow for others; several hollow ones of a colour differ in shape.
        same = {
            _at(dashes, each.level(dashed)): 0 for each in distinct if _at(colours, each.level(coloured))[0] == colour
        }
        turn = 0 if line == "-" else [each for each in same if each != "-"].index(line)
        for axis in others:  # the first levels of further axes keep the marker
            turn = turn * len(axes[axis]) + _index(axes[axis], name.level(axis))
        own = Look(colour, markers[(turn - 1) % len(markers)] if turn else marker, line)
        spare = (replace(own, marker=each, dashes=line) for line in (own.dashes, *LEVEL_DASHES) for each in markers)
        found[name] = next((look for look in (own, *spare) if look not in found.values()), own)
    return found


def _index(levels: Sequence[Any], level: Any) -> int:
    return [value_text(each) for each in levels].index(value_text(level))


def _at(by_level: Mapping[Any, Any], level: Any) -> Any:
    """The entry of a level; nan is equal to nan."""
    return next(entry for other, entry in by_level.items() if value_text(other) == value_text(level))


def _usual_colours(distinct: Iterable[GroupName]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each cell."""
    others = sorted({name.cell for name in distinct} - set(CELLS))
    return {**CELLS, **dict(zip(others, zip(cycle(OTHER_COLOURS), cycle(OTHER_MARKERS), strict=False), strict=False))}


def _usual_dashes(distinct: Iterable[GroupName]) -> dict[str, Any]:
    """The dashes of each initialisation."""
    return {**INITS, **dict(zip(sorted({name.init for name in distinct} - set(INITS)), cycle(OTHER_DASHES)))}


def _level_colours(levels: Sequence[Any]) -> dict[Any, tuple[str, str]]:
    """Colour and marker of each level: shades for numbers, different colours for texts."""
    colours: Iterable[str] = cycle(OTHER_COLOURS)
    if not any(isinstance(level, str) for level in levels):
        colours = [mpl.colors.to_hex(shade) for shade in mpl.colormaps["viridis"](np.linspace(*SHADES, len(levels)))]
    return dict(zip(levels, zip(colours, cycle(LEVEL_MARKERS), strict=False), strict=False))
