"""The lines of a figure by name: a page shows the values of their points, and switches lines off.

A group of artists that belongs together, such as a median and its band, has gids (ids in the SVG file) that begin with
the name of its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from farback.plots.dark_mode import dark_text

END = "#"  # stands between the name of a line and the rest of a gid
SEPARATOR = "|"  # between names of lines, which quote it
PLAIN = " ,()"  # what a name has unchanged in a gid; anything else but letters, digits and "_.-~" is percent-encoded
MOST_POINTS = 60  # of a line; the CSV file beside the figure has all of them


class Line(NamedTuple):
    """A line in one panel: each point is its place in the SVG file, from the left and the top, and its two values.

    `dark` is its colour on a dark page.
    """

    name: str
    colour: str
    dark: str
    points: list[tuple[float, float, str, str]]


class Entry(NamedTuple):
    """An entry of a legend: the names of its lines, and its box in the SVG file."""

    names: list[str]
    left: float
    top: float
    width: float
    height: float


class Lines(NamedTuple):
    """The lines of a figure, the labels of its axes, the size of its SVG file, and the entries of its legends."""

    x: str
    y: str
    width: float
    height: float
    lines: list[Line]
    entries: list[Entry]


@contextmanager
def series(ax: Axes, name: str) -> Iterator[None]:
    """Everything that is drawn on the axes in this block belongs to the line `name`."""
    before = set(ax.get_children())
    yield
    figure = ax.get_figure(root=True)
    panel = figure.axes.index(ax) if figure is not None else 0
    for number, child in enumerate(ax.get_children()):
        if child not in before:
            child.set_gid(f"{quote(name, safe=PLAIN)}{END}{panel}-{number}")


def stands_for(names: Iterable[str]) -> dict[str, Any]:
    """The arguments of `Line2D` with which an artist stands in a legend for the lines of these names."""
    return {"gid": SEPARATOR.join(quote(name, safe=PLAIN) for name in names)}


def name_entries(legend: Legend, artists: Sequence[Artist]) -> None:
    """Keep with each entry of a legend which lines it stands for: matplotlib draws copies of the artists."""
    for text, artist in zip(legend.get_texts(), artists, strict=True):
        text.set_label(artist.get_gid() or "")


def lines(figure: Figure) -> Lines | None:
    """The lines of a figure whose layout is final; None if it has none.

    Points are those of the labelled lines: bands, and thin lines for single seeds, have no label.
    """
    found = [line for ax in figure.axes for line in _lines(ax, 72 / figure.dpi)]  # an SVG file has 72 units to the inch
    if not found:
        return None
    x, y = ([getattr(ax, f"get_{side}label")() for ax in figure.axes] for side in "xy")
    width, height = (float(size) * 72 for size in figure.get_size_inches())
    return Lines(_first(x), _first(y) or figure.get_supylabel(), width, height, found, list(_entries(figure)))


def _first(texts: list[str]) -> str:
    return next(filter(None, texts), "")


def _entries(figure: Figure) -> Iterator[Entry]:
    legends = [*figure.legends, *(legend for ax in figure.axes if (legend := ax.get_legend()))]
    if not any(text.get_label() for legend in legends for text in legend.get_texts()):
        return
    figure.draw_without_rendering()  # saving in other resolutions moved the entries
    scale, top = 72 / figure.dpi, float(figure.bbox.height)
    for legend in legends:
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True):
            if handle is not None and (names := str(text.get_label())):
                box = Bbox.union([text.get_window_extent(), handle.get_window_extent()])
                place = (box.x0 * scale, (top - box.y1) * scale, box.width * scale, box.height * scale)
                yield Entry([unquote(name) for name in names.split(SEPARATOR)], *(round(side, 1) for side in place))


def _lines(ax: Axes, scale: float) -> Iterator[Line]:
    figure = ax.get_figure(root=True)
    for child in ax.get_lines():
        name = unquote(str(child.get_gid() or "").rpartition(END)[0])
        if figure is not None and name and not str(child.get_label()).startswith("_"):
            height = float(figure.bbox.height)
            colour = mpl.colors.to_hex(child.get_color())
            yield Line(name, colour, dark_text(colour), _points(ax, child, scale, height))


def _points(ax: Axes, line: Line2D, scale: float, height: float) -> list[tuple[float, float, str, str]]:
    values: Any = np.asarray(line.get_xydata(), float)
    values = values[np.isfinite(values).all(axis=1)]
    places: Any = ax.transData.transform(values) if len(values) else values
    inside = [bool(ax.bbox.contains(*place)) for place in places]
    values, places = values[inside], places[inside]
    kept = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_POINTS)).round().astype(int))
    return [
        (round(left * scale, 1), round((height - bottom) * scale, 1), f"{x:.4g}", f"{y:.3g}")
        for (left, bottom), (x, y) in zip(places[kept], values[kept], strict=True)
    ]
