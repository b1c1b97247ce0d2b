"""Write figures to files: equal figures give equal bytes."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from farback.plots.dark_mode import with_dark_colours
from farback.plots.style import styled
from farback.system.atomic_files import aside


@styled
def save(figure: Figure, stem: str | Path) -> list[Path]:
    """Write `stem.png` and `stem.svg`, without dates or versions; returns the two paths.

    The stem's folder must exist. A dot in the stem's name is part of the name.
    """
    png, svg = Path(f"{stem}.png"), Path(f"{stem}.svg")
    figure.draw_without_rendering()  # computes the layout, which both files then use
    figure.set_layout_engine("none")
    with aside(png) as file:
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    with aside(svg) as file:
        file.write_text(with_dark_colours(text.getvalue()), encoding="utf-8", newline="\n")
    return [png, svg]
