"""A figure's SVG as a picture inside a page: about half the bytes, the same looks.

A page shows a figure as `<img>` with a `data:` address. There, unlike among the elements of the page, the SVG is a
document of its own: its names clash with nobody's, nothing in it runs, and a reader can save it as a picture.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import quote
from xml.etree import ElementTree

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
HREF = f"{{{XLINK}}}href"
DROPPED = {f"{{{SVG}}}metadata"}
COLOURED = ('id="QuadMesh_', "<image")  # how matplotlib writes a map, or the scale of one
NUMBER = re.compile(r"-?\d+\.\d+")
DIGITS = 2  # after the point: hundredths of a point of print
PLAIN = " '<>=:/;,()@!*+?$[]"  # characters that a `data:` address in an attribute may hold as they are


@dataclass(frozen=True)
class Picture:
    """A figure for a page: its address, its size in CSS pixels, and whether it shows numbers as colours."""

    address: str
    width: int
    height: int
    coloured: bool


def picture(svg: str) -> Picture:
    """What a page embeds of an SVG that matplotlib wrote; equal files give equal pictures."""
    root = ElementTree.fromstring(svg)
    names, looks = _referenced(root), _looks(root)
    for parent in root.iter():
        for child in [child for child in parent if child.tag in DROPPED]:
            parent.remove(child)
        _shorten(parent, names, looks)
    _add_looks(root, looks)
    width, height = (float(root.attrib[side].removesuffix("pt")) * 4 / 3 for side in ("width", "height"))
    ElementTree.register_namespace("", SVG)
    text = ElementTree.tostring(root, encoding="unicode").replace('"', "'").replace(" />", "/>")
    coloured = any(mark in svg for mark in COLOURED)
    return Picture(f"data:image/svg+xml,{quote(text, safe=PLAIN)}", round(width), round(height), coloured)


def _referenced(root: ElementTree.Element) -> dict[str, str]:
    """A short name for every name that some element refers to; matplotlib names all of them."""
    values = [value for element in root.iter() for value in element.attrib.values()]
    said = [name for value in values for name in re.findall(r"^#(.+)$|url\(#([^)]+)\)", value)]
    return {name: f"i{at}" for at, name in enumerate(dict.fromkeys(one or other for one, other in said))}


def _looks(root: ElementTree.Element) -> dict[str, str]:
    """A class for every style that several elements have."""
    counts = Counter(element.attrib["style"] for element in root.iter() if "style" in element.attrib)
    return {style: f"c{at}" for at, style in enumerate(style for style, count in counts.items() if count > 1)}


def _add_looks(root: ElementTree.Element, looks: dict[str, str]) -> None:
    """Say what the classes look like, in the sheet that matplotlib puts first."""
    sheet = next(root.iter(f"{{{SVG}}}style"))
    rules = [f".{name}{{{_tight(style)}}}" for style, name in looks.items()]
    sheet.text = "".join([sheet.text or "", *rules])


def _shorten(element: ElementTree.Element, names: dict[str, str], looks: dict[str, str]) -> None:
    """Take from one element what does not show."""
    element.text = (element.text or "").strip() or None
    element.tail = None
    given = element.attrib
    if name := given.pop("id", ""):
        given |= {"id": names[name]} if name in names else {}
    for key, value in list(given.items()):
        if key == HREF:
            del given[key]
            given["href"] = f"#{names[value.removeprefix('#')]}" if value.startswith("#") else value
        elif key == "clip-path":
            given[key] = re.sub(r"#([^)]+)", lambda found: f"#{names[found[1]]}", value)
        elif key in ("d", "x", "y", "points"):
            given[key] = " ".join(re.sub(r"\s*([A-Za-z])\s*", r"\1", NUMBER.sub(_rounded, value)).split())
        elif key == "transform":
            given[key] = re.sub(r"translate\([^)]*\)", lambda found: NUMBER.sub(_rounded, found[0]), value)
        elif key == "style" and value in looks:
            del given[key]
            given["class"] = looks[value]
        elif key == "style":
            given[key] = _tight(value)


def _tight(style: str) -> str:
    return re.sub(r"\s*([:;])\s*", r"\1", style)


def _rounded(found: re.Match[str]) -> str:
    text = f"{float(found[0]):.{DIGITS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
