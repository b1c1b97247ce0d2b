"""Figures as images inside a page. tests/browser compares them with their files."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from farback.report.svg import SVG, picture
from some import some

COMMITTED = sorted(Path("results").glob("*/*.svg"))
KINDS = {path.stem: path for path in COMMITTED}  # one figure of every kind
CASES = some(COMMITTED, lambda at, path: path in list(KINDS.values())[::4])
MAPS = {"improvement", "horizon_map", "train_test", "interference", "maps", "parallel"}


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_figures_get_shorter_and_keep_every_element(path: Path) -> None:
    svg = path.read_text()
    found = picture(svg)
    assert found == picture(svg)
    assert len(found.address) < 0.75 * len(svg)
    assert found.coloured == (path.stem in MAPS)
    assert '"' not in found.address  # the address is the value of an attribute
    before, after = ElementTree.fromstring(svg), ElementTree.fromstring(unquote(found.address.partition(",")[2]))
    drawn = ("path", "use", "g", "clipPath", "image")
    for tag in drawn:
        assert len(list(after.iter(f"{{{SVG}}}{tag}"))) == len(list(before.iter(f"{{{SVG}}}{tag}"))), tag
    names = [one.attrib["id"] for one in after.iter() if "id" in one.attrib]
    assert len(set(names)) == len(names)
    references = {
        name for one in after.iter() for value in one.attrib.values() for name in re.findall(r"#(i\d+)", value)
    }
    assert references == set(names)
    styled = {one.attrib["class"] for one in after.iter() if "class" in one.attrib}
    sheet = next(after.iter(f"{{{SVG}}}style")).text or ""
    assert styled == set(re.findall(r"\.(c\d+)\{", sheet))
