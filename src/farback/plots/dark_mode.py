"""Colours of an SVG file for a dark page: greys are turned over, and dark colours become lighter but keep their hue.

They are a style sheet inside the file, which holds where the reader's browser prefers dark pages. Files with a map or a
colour scale have none, because there a colour is a number.
"""

from __future__ import annotations

import re

COLOURED = ('id="QuadMesh_', "<image")  # how matplotlib writes a map, or a colour scale
PAPER, INK = (0x15, 0x17, 0x1A), (0xD8, 0xDA, 0xDD)  # of a dark page, as in report/templates/page.css
GREY = 0.12  # colours whose channels differ by less than this share are greys
CONTRAST = 4.5  # of a colour and the page: the least for text by WCAG 2
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")

Colour = tuple[float, float, float]  # red, green, blue, 0 to 255


def with_dark_colours(svg: str) -> str:
    """An SVG file by matplotlib, with a style sheet for dark pages."""
    if any(mark in svg for mark in COLOURED):
        return svg
    rules = [f"svg{{fill:{_hex(INK)}}}"]  # matplotlib does not write the fill of what is black
    for colour in sorted({text for style in re.findall(r'style="([^"]*)"', svg) for text in _COLOUR.findall(style)}):
        shown = dark_text(colour)
        rules += [f"[style*='{kind}: {colour}']{{{kind}:{shown}!important}}" for kind in ("fill", "stroke")]
    return svg.replace("</style>", f"\n@media screen and (prefers-color-scheme: dark){{{''.join(rules)}}}</style>", 1)


def dark(colour: Colour) -> Colour:
    """The colour on a dark page for a colour on a white page."""
    if max(colour) - min(colour) < GREY * 255:
        return _mixed(INK, PAPER, sum(colour) / 3 / 255)
    steps = (_mixed(colour, (255, 255, 255), step / 20) for step in range(20))
    return next(light for light in steps if contrast(light, PAPER) >= CONTRAST)


def dark_text(colour: str) -> str:
    """`dark` of a colour written as #rrggbb."""
    return _hex(dark(_colour(colour)))


def contrast(a: Colour, b: Colour) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2)."""
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mixed(a: Colour, b: Colour, share: float) -> Colour:
    """A colour between two colours; `share` is that of `b`."""
    red, green, blue = ((1 - share) * one + share * other for one, other in zip(a, b, strict=True))
    return red, green, blue


def _colour(text: str) -> Colour:
    red, green, blue = (float(int(text[at : at + 2], 16)) for at in (1, 3, 5))
    return red, green, blue


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(channel):02x}" for channel in colour)
