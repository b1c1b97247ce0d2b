"""What a plot is drawn on: a new figure, or the caller's figure or axes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from farback.plots.series import name_entries

Place = Figure | SubFigure | None  # where the caller wants panels; None: in a new figure
LETTERS = 15.0  # of a small text in an inch
PANEL_LETTERS = 11.0  # of a panel's title in an inch
MARGIN_LETTERS = 4  # less in a line of a legend's title, so that it is not cut at the sides
LEGEND_BELOW = 0.55  # inches between the caller's axes and the legend: room for the ticks and the label


@dataclass(frozen=True)
class Canvas:
    """A figure or a part of it, or only one axes of it, if they are the caller's.

    The size of what the caller has made is not changed. On the caller's axes, title, notes and legend are those of the
    axes; a figure with `layout="constrained"` makes room for them.
    """

    figure: Figure | SubFigure
    ax: Axes | None = None
    is_new: bool = False

    @property
    def root(self) -> Figure:
        """The whole figure."""
        return self.figure.figure

    @property
    def width(self) -> float:
        """The width in inches."""
        if isinstance(self.figure, Figure) and self.ax is None:
            return float(self.figure.get_size_inches()[0])
        box = self.figure.bbox if self.ax is None else self.ax.get_window_extent()
        return float(box.width) / self.root.dpi

    def resize(self, width: float, height: float) -> None:
        """Give a new figure another size in inches."""
        if self.is_new:
            self.root.set_size_inches(width, height)

    def title(self, text: str, **style: Any) -> None:
        """Write the title at the left."""
        if self.ax is not None:
            self.ax.set_title(textwrap.fill(text, int(LETTERS * self.width)), loc="left", **style)
        else:
            self.figure.suptitle(text, x=0.01, ha="left", **style)

    def panels(self, rows: int = 1, columns: int = 1, **options: Any) -> NDArray[Any]:
        """New axes in rows and columns; the caller's axes if there are some, which are the only panel.

        Raises:
            TypeError: the caller gave axes as `figure`, where there are several panels.
        """
        if self.ax is not None:
            if rows * columns > 1:
                raise TypeError(
                    f"figure= takes a figure or a part of one, and {rows * columns} panels do not fit into axes"
                )
            return np.array([[self.ax]])
        axes: NDArray[Any] = self.figure.subplots(rows, columns, squeeze=False, **options)
        return axes

    def panel_title(self, ax: Axes, text: str) -> None:
        """Write the title of one of the panels, in lines that are not wider than the panel."""
        place = ax.get_subplotspec()
        columns = 1 if place is None else place.get_gridspec().ncols
        ax.set_title(textwrap.fill(text, int(PANEL_LETTERS * self.width / columns), break_on_hyphens=False))

    def note(self, text: str, **style: Any) -> None:
        """Write a line below the panels; below the label of the caller's axes."""
        if self.ax is not None:
            lines = [self.ax.get_xlabel(), textwrap.fill(text, int(LETTERS * self.width))]
            self.ax.set_xlabel("\n".join(filter(None, lines)))
        else:
            self.figure.supxlabel(text, **style)

    def legend(self, lines: Sequence[Artist], **options: Any) -> None:
        """Add a legend below the panels, or where `loc` says; below the caller's axes in any case.

        Its title is broken into lines as wide as the canvas.
        """
        title = textwrap.fill(str(options.get("title") or ""), int(LETTERS * self.width) - MARGIN_LETTERS) or None
        options = {**options, "title": title}
        if self.ax is None:
            made = self.figure.legend(handles=lines, **{"loc": "outside lower center", **options})
            name_entries(made, lines)
            return
        options.pop("loc", None)
        below = ScaledTranslation(0, -LEGEND_BELOW, self.root.dpi_scale_trans)
        place_below: Any = {"bbox_to_anchor": (0.5, 0), "bbox_transform": self.ax.transAxes + below}
        made = self.ax.legend(handles=lines, loc="upper center", borderaxespad=0, **place_below, **options)
        name_entries(made, lines)


def canvas(width: float, height: float, title: str, place: Axes | Place = None) -> Canvas:
    """A canvas with a title at the left; width and height in inches are those of a new figure."""
    if place is None:
        made = Canvas(Figure(figsize=(width, height), layout="constrained"), is_new=True)
    elif isinstance(place, Axes):
        figure = place.get_figure()
        if figure is None:
            raise ValueError("ax= is of no figure, because it was removed from it")
        made = Canvas(figure, place)
    elif isinstance(place, Figure | SubFigure):
        made = Canvas(place)
    else:
        raise TypeError(f"a plot is drawn into matplotlib's axes or figures, got {type(place).__name__}")
    made.title(title)
    return made
