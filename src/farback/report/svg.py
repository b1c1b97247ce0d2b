"""A figure's SVG as an image inside a page: about half the bytes, the same appearance.

A page shows a figure as `<img>` with a `data:` address. There the SVG is a separate document: its names cannot clash
with those of other figures, scripts in it do not run, and a reader can save it as an image.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import quote
from xml.etree import ElementTree

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
COLOURED = ('id="QuadMesh_', "<image")  # how matplotlib writes a map, or a colour scale
NUMBER = re.compile(r"-?\d+\.\d+")
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
    root = ElementTree.fromstring(svg)
    names, classes = _short_names(root), _classes(root)
    for parent in root.iter():
        for child in parent.findall(f"{{{SVG}}}metadata"):
            parent.remove(child)
        _shorten(parent, names, classes)
    sheet = next(root.iter(f"{{{SVG}}}style"))  # matplotlib puts a style sheet first
    sheet.text = (sheet.text or "") + "".join(f".{name}{{{_compact(style)}}}" for style, name in classes.items())
    width, height = (float(root.attrib[side].removesuffix("pt")) * 4 / 3 for side in ("width", "height"))
    ElementTree.register_namespace("", SVG)
    text = ElementTree.tostring(root, encoding="unicode").replace('"', "'").replace(" />", "/>")
    coloured = any(mark in svg for mark in COLOURED)
    return Picture(f"data:image/svg+xml,{quote(text, safe=PLAIN)}", round(width), round(height), coloured)


def _short_names(root: ElementTree.Element) -> dict[str, str]:
    """A short name for every name that an element refers to; matplotlib gives a name to every element."""
    values = [value for element in root.iter() for value in element.attrib.values()]
    references = [pair for value in values for pair in re.findall(r"^#(.+)$|url\(#([^)]+)\)", value)]
    return {name: f"i{index}" for index, name in enumerate(dict.fromkeys(a or b for a, b in references))}


def _classes(root: ElementTree.Element) -> dict[str, str]:
    """A class for every style that several elements have."""
    counts = Counter(element.attrib["style"] for element in root.iter() if "style" in element.attrib)
    repeated = [style for style, count in counts.items() if count > 1]
    return {style: f"c{index}" for index, style in enumerate(repeated)}


def _shorten(element: ElementTree.Element, names: dict[str, str], classes: dict[str, str]) -> None:
    """Shorten the attributes of one element and remove what is not visible."""
    element.text = (element.text or "").strip() or None
    element.tail = None
    attributes = element.attrib
    if name := attributes.pop("id", ""):
        attributes |= {"id": names[name]} if name in names else {}
    for key, value in list(attributes.items()):
        if key == f"{{{XLINK}}}href":
            del attributes[key]
            attributes["href"] = f"#{names[value.removeprefix('#')]}" if value.startswith("#") else value
        elif key == "clip-path":
            attributes[key] = re.sub(r"#([^)]+)", lambda match: f"#{names[match[1]]}", value)
        elif key in ("d", "x", "y", "points"):
            attributes[key] = " ".join(re.sub(r"\s*([A-Za-z])\s*", r"\1", NUMBER.sub(_rounded, value)).split())
        elif key == "transform":
            attributes[key] = re.sub(r"translate\([^)]*\)", lambda match: NUMBER.sub(_rounded, match[0]), value)
        elif key == "style" and value in classes:
            del attributes[key]
            attributes["class"] = classes[value]
        elif key == "style":
            attributes[key] = _compact(value)


def _compact(style: str) -> str:
    return re.sub(r"\s*([:;])\s*", r"\1", style)


def _rounded(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")  # hundredths of a typographic point
    return "0" if text == "-0" else text
