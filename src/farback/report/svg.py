"""A figure's SVG as an image inside a page.

A page shows a figure as `<img>` with a `data:` address. There the SVG is a separate document: its names cannot clash
with those of other figures, scripts in it do not run, and a reader can save it as an image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

# No quotation mark and no ampersand, so that a page need not escape the address.
PLAIN = " '<>=:/;,()@!*+?$[]"  # characters that need no escape in a `data:` URL inside an HTML attribute


@dataclass(frozen=True)
class Picture:
    """A figure for a page: its address, its size in CSS pixels, and whether it shows numbers as colours."""

    address: str
    width: int
    height: int
    coloured: bool


def picture(svg: str) -> Picture:
    """The image for a page from an SVG file by matplotlib; equal files give equal images."""
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text.replace('"', "'"))
    head = text[: text.index(">")]
    width, height = (round(float(head.split(f" {side}='")[1].split("pt'")[0]) * 4 / 3) for side in ("width", "height"))
    from farback.plots.dark_mode import COLOURED  # matplotlib takes a second to import

    coloured = any(mark in svg for mark in COLOURED)
    return Picture(f"data:image/svg+xml,{quote(text, safe=PLAIN)}", width, height, coloured)
