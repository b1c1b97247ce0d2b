"""Figures as files, equal figures as equal bytes."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from farback.plots.style import RC

PNG_DPI = 150


def save(figure: Figure, stem: str | Path) -> list[Path]:
    """Write `stem.png` and `stem.svg`, without dates or versions; returns the two paths.

    The stem's folder must exist. A dot in the stem's name is part of the name.
    """
    png, svg = Path(f"{stem}.png"), Path(f"{stem}.svg")
    with mpl.rc_context(RC):
        figure.draw_without_rendering()  # lays the figure out, once for both files and for good
        figure.set_layout_engine("none")
        figure.savefig(png, dpi=PNG_DPI, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return [png, svg]
