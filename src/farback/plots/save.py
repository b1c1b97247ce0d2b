"""Figures as files, equal figures as equal bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from farback.plots.style import RC
from farback.system.atomic_files import aside

PNG_DPI = 150


def save(figure: Figure, stem: str | Path) -> list[Path]:
    """Write `stem.png` and `stem.svg`, without dates or versions; returns the two paths.

    The stem's folder must exist. A dot in the stem's name is part of the name.
    """
    png, svg = Path(f"{stem}.png"), Path(f"{stem}.svg")
    with mpl.rc_context(RC):
        figure.draw_without_rendering()  # lays the figure out, once for both files and for good
        figure.set_layout_engine("none")
        with aside(png) as file:
            figure.savefig(file, format="png", dpi=PNG_DPI, metadata={"Software": None})
        with aside(svg) as file:
            about = {"Date": None, "Creator": None, "Format": None, "Type": None}
            figure.savefig(file, format="svg", metadata=about)
    return [png, svg]


@contextmanager
def offscreen() -> Iterator[None]:
    """For figures that another library draws through pyplot: no windows meanwhile, none left open afterwards.

    Such a library may choose a style of its own, which pyplot keeps for the whole process: it is taken back.
    """
    from matplotlib import pyplot

    backend, before = mpl.get_backend(), set(pyplot.get_fignums())
    pyplot.switch_backend("agg")
    try:
        with mpl.rc_context():
            yield
    finally:
        for number in set(pyplot.get_fignums()) - before:
            pyplot.close(number)
        pyplot.switch_backend(backend)


def picture(drawn: Any, path: Path) -> Path:
    """Write the figure that axes (or an array of them) belong to as a PNG, as another library has drawn it."""
    figure = np.asarray(drawn, dtype=object).flat[0].get_figure()
    with aside(path) as file:
        figure.savefig(file, format="png", dpi=PNG_DPI, bbox_inches="tight", metadata={"Software": None})
    return path
