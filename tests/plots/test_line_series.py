"""What a page gets to show values of lines and to switch them off."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D

from farback import plots
from farback.plots.series import MOST_POINTS, lines, name_entries, series, stands_for
from farback.report.svg import picture


def drawn() -> Figure:
    figure = Figure(figsize=(4, 3))
    ax = figure.subplots()
    ax.set(xlim=(0, 10), ylim=(0, 1), xlabel="lag", ylabel="skill")
    with series(ax, "LSTM, chrono"):
        ax.fill_between([0, 10], [0, 0], [1, 1])
        ax.plot([0, 5, 10], [0.0, 0.5, 1.0], color="#004488", label="LSTM, chrono")
        ax.plot([0, 5, 10], [0.1, 0.6, 0.9], color="#004488")  # a single seed
    ax.axhline(0.3)  # belongs to no line
    return figure


def test_points_are_where_the_axes_have_them(tmp_path: Path) -> None:
    figure = drawn()
    plots.save(figure, tmp_path / "a")
    found = lines(figure)
    assert found is not None
    assert (found.x, found.y, found.width) == ("lag", "skill", 4 * 72)
    (line,) = found.lines
    assert (line.name, line.colour) == ("LSTM, chrono", "#004488")
    box = figure.axes[0].get_position()
    for share, (left, top, x, y) in zip((0, 0.5, 1), line.points, strict=True):
        assert left == pytest.approx(288 * (box.x0 + share * box.width), abs=0.1)
        assert top == pytest.approx(216 * (1 - box.y0 - share * box.height), abs=0.1)
        assert (float(x), float(y)) == (10 * share, share)


def test_an_entry_of_a_legend_is_where_the_file_has_it_and_names_its_lines(tmp_path: Path) -> None:
    figure = drawn()
    artists = [Line2D([], [], label="both", **stands_for(["LSTM, chrono", "a|b"])), Line2D([], [], label="chance")]
    legend = figure.legend(handles=artists, loc="upper right")
    name_entries(legend, artists)
    plots.save(figure, tmp_path / "a")
    found = lines(figure)
    assert found is not None
    assert found.height == 3 * 72
    (entry,) = found.entries  # chance is no line that could be switched off
    assert entry.names == ["LSTM, chrono", "a|b"]
    dark = imread(tmp_path / "a.png")[..., :3].min(axis=-1) < 0.6
    sides = [round(side * 150 / 72) for side in (entry.left, entry.top, entry.width, entry.height)]
    inside = dark[sides[1] - 1 : sides[1] + sides[3] + 2, sides[0] - 1 : sides[0] + sides[2] + 2]
    own = dark[sides[1] - 8 : sides[1] + sides[3] + 3, sides[0] - 8 : sides[0] + sides[2] + 8]
    assert inside.any(axis=0).mean() > 0.6  # the sign and the text
    assert inside.sum() >= 0.98 * own.sum()  # and nothing of them is outside


def test_the_svg_file_names_all_parts_of_a_line_and_no_other(tmp_path: Path) -> None:
    plots.save(drawn(), tmp_path / "a")
    ids = re.findall(r'<g id="([^"]*#[^"]*)">', (tmp_path / "a.svg").read_text())
    assert len(ids) == len(set(ids)) == 3
    assert {one.rpartition("#")[0] for one in ids} == {"LSTM, chrono"}


def test_a_long_line_is_thinned_and_keeps_its_ends(tmp_path: Path) -> None:
    figure = Figure()
    ax = figure.subplots()
    with series(ax, "GRU"):
        ax.plot(range(1000), range(1000), label="GRU")
    plots.save(figure, tmp_path / "a")
    found = lines(figure)
    assert found is not None
    assert len(found.lines[0].points) == MOST_POINTS
    assert [found.lines[0].points[end][2] for end in (0, -1)] == ["0", "999"]


def test_a_figure_without_lines_has_none(tmp_path: Path) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2])
    assert lines(figure) is None


def test_curves_of_every_network_are_lines_of_the_figure(tmp_path: Path) -> None:
    table = pd.DataFrame(
        [
            {"label": label, "moment": "end", "lag": lag, "seeds": 3, "median": -lag, "low": -lag - 1, "high": 1 - lag}
            for label in ("GRU", "LSTM, chrono")
            for lag in (0, 1, 2)
        ]
    )
    figure = plots.gradients(table, {})
    plots.save(figure, tmp_path / "a")
    found = lines(figure)
    assert found is not None
    assert {line.name: [float(y) for *_, y in line.points] for line in found.lines} == {
        "GRU": [0, -1, -2],
        "LSTM, chrono": [0, -1, -2],
    }
    assert [entry.names for entry in found.entries] == [["GRU"], ["LSTM, chrono"]]


@pytest.mark.parametrize("name", ["PyTorch's start", 'a "b" <script>&amp;', "Größe # 3"])
def test_any_name_of_a_line_survives_the_way_into_a_page(name: str, tmp_path: Path) -> None:
    figure = Figure()
    ax = figure.subplots()
    with series(ax, name):
        ax.plot([1, 2], label=name)
    plots.save(figure, tmp_path / "a")
    image = unquote(picture((tmp_path / "a.svg").read_text(encoding="utf-8")).address.partition(",")[2])
    ids = [one.get("id", "") for one in ElementTree.fromstring(image).iter()]
    (own,) = (one for one in ids if "#" in one)
    found = lines(figure)
    assert found is not None
    assert unquote(own.rpartition("#")[0]) == found.lines[0].name == name
