"""Figures as images inside a page. tests/browser compares them with their files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from farback.report.svg import picture
from some import some

COMMITTED = sorted(Path("results").glob("*/*.svg"))
KINDS = {path.stem: path for path in COMMITTED}  # one figure of every kind
CASES = some(COMMITTED, lambda at, path: path in list(KINDS.values())[::4])
MAPS = {
    "improvement",
    "improvement_parameters",
    "improvement_state",
    "horizon_map",
    "train_test",
    "interference",
    "maps",
    "parallel",
}


def elements(svg: str) -> list[tuple[str, dict[str, str]]]:
    """Every element and its attributes, without the metadata of the file."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag.endswith("}metadata")]:
            parent.remove(child)
    return [
        (one.tag, {name: " ".join(text.replace('"', "'").split()) for name, text in one.attrib.items()})
        for one in root.iter()
    ]


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_image_has_every_element_of_its_figure(path: Path) -> None:
    svg = path.read_text()
    found = picture(svg)
    assert found == picture(svg)
    assert found.coloured == (path.stem in MAPS)
    assert '"' not in found.address  # the address is the value of an attribute
    kind, _, text = found.address.partition(",")
    assert kind == "data:image/svg+xml"
    assert elements(unquote(text)) == elements(svg)
    size = ElementTree.fromstring(svg).attrib
    points = [float(size[side].removesuffix("pt")) for side in ("width", "height")]
    assert [found.width, found.height] == [round(length * 4 / 3) for length in points]
