"""Figures as a page holds them. That they look like their files is seen in tests/browser."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from farback.report.svg import SVG, picture

KEPT = sorted(Path("results").glob("*/*.svg"))
MAPS = {"improvement", "horizon_map", "train_test", "interference", "maps", "parallel"}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_kept_figures_get_shorter_and_stay_whole(path: Path) -> None:
    svg = path.read_text()
    found = picture(svg)
    assert found == picture(svg)
    assert len(found.address) < 0.75 * len(svg)
    assert found.coloured == (path.stem in MAPS)
    assert '"' not in found.address  # it stands in an attribute
    before, after = ElementTree.fromstring(svg), ElementTree.fromstring(unquote(found.address.partition(",")[2]))
    drawn = ("path", "use", "g", "clipPath", "image")
    for tag in drawn:
        assert len(list(after.iter(f"{{{SVG}}}{tag}"))) == len(list(before.iter(f"{{{SVG}}}{tag}"))), tag
    names = [one.attrib["id"] for one in after.iter() if "id" in one.attrib]
    assert len(set(names)) == len(names)
    said = {name for one in after.iter() for value in one.attrib.values() for name in re.findall(r"#(i\d+)", value)}
    assert said == set(names)
    styled = {one.attrib["class"] for one in after.iter() if "class" in one.attrib}
    sheet = next(after.iter(f"{{{SVG}}}style")).text or ""
    assert styled == set(re.findall(r"\.(c\d+)\{", sheet))
