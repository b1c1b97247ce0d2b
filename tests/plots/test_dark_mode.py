"""Colours of figures on a dark page."""

from __future__ import annotations

import colorsys
import re
from pathlib import Path

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from farback import plots
from farback.plots.dark_mode import PAPER, contrast, dark_text, with_dark_colours
from farback.plots.style import CELLS, OTHER_COLOURS

COLOURS = [*(colour for colour, _ in CELLS.values() if colour != "#000000"), *OTHER_COLOURS]


def rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = to_rgb(colour)
    return 255 * red, 255 * green, 255 * blue


def test_contrast_is_that_of_wcag() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast(rgb("#777777"), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)  # the usual example


@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_keeps_its_hue_and_can_be_read_on_the_dark_page(colour: str) -> None:
    shown = dark_text(colour)
    hues = [colorsys.rgb_to_hsv(*to_rgb(each))[0] for each in (colour, shown)]
    assert abs((hues[0] - hues[1] + 0.5) % 1 - 0.5) < 0.02
    assert contrast(rgb(shown), PAPER) >= 4.4


def test_yellow_stays_as_it_is_and_black_and_white_change_places() -> None:
    assert dark_text("#ddaa33") == "#ddaa33"
    assert min(rgb(dark_text("#000000"))) > 200
    assert dark_text("#ffffff") == "#15171a"


def test_every_colour_of_a_figure_has_a_rule_and_a_map_has_none(tmp_path: Path) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2], color="#004488")
    plots.save(figure, tmp_path / "lines")
    text = (tmp_path / "lines.svg").read_text()
    for colour in {
        found for style in re.findall('style="([^"]*)"', text) for found in re.findall("#[0-9a-f]{6}", style)
    }:
        assert f"[style*='stroke: {colour}']" in text
    figure = Figure()
    figure.subplots().pcolormesh([[0, 1], [2, 3]])
    plots.save(figure, tmp_path / "map")
    assert "prefers-color-scheme" not in (tmp_path / "map.svg").read_text()
    assert with_dark_colours('<svg><style></style><g id="QuadMesh_1"/></svg>').count("media") == 0
