"""The page for the browser as a file: its content, its safety, and its byte stability."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing

import made_up_scores
from farback.plots.series import series
from farback.report.analysis import Analysis, Figure, Table
from farback.report.html import blocks, columns, inline, verdict
from farback.report.page import Page, Subject, publish, write
from made_up_pages import HOSTILE, analysis


class Elements(HTMLParser):
    """The elements of a page with their attributes, its texts, and the elements that were not closed."""

    EMPTY = ("meta", "img", "br", "hr", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [given for name, given in self.found if name == tag]


def published(folder: Path, text: str = "LSTM reaches `[20, 40)`", **context: object) -> Page:
    about = {"name": "one", "question": f"What of {text}?", "notes": [text], "command": "farback run one"}
    return publish(analysis(text), folder, "noted.md.j2", about | context)


def test_a_page_loads_nothing_outside_its_file(tmp_path: Path) -> None:
    page = Elements(published(tmp_path).html.read_text())
    assert page.open == []
    assert not page.all("link")
    assert [given["src"][:19] for given in page.all("img")] == ["data:image/svg+xml,"]
    assert all("src" not in given for given in page.all("script"))
    (policy,) = [given["content"] for given in page.all("meta") if "http-equiv" in given]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_html_in_a_text_is_shown_as_text(tmp_path: Path) -> None:
    page = published(
        tmp_path, HOSTILE, prediction=HOSTILE, refuted_by=HOSTILE, config_text=HOSTILE, made_with={"cpu": HOSTILE}
    )
    found = Elements(page.html.read_text())
    assert found.open == []
    assert len(found.all("script")) == 2  # what the page tells of itself, and its own
    assert [given["src"][:5] for given in found.all("img")] == ["data:"]
    assert not any(name.startswith("on") for _, given in found.found for name in given)
    assert "".join(found.texts).count("<script>alert(1)</script>") >= 10


def test_texts_are_markdown() -> None:
    assert inline("**a** `b < c` [d](d.csv)") == '<strong>a</strong> <code>b &lt; c</code> <a href="d.csv">d</a>'
    assert "<a" not in inline("[x](javascript:alert(1))")
    assert inline("[demo](../demo/report.md)") == '<a href="../demo/report.html">demo</a>'
    assert "<td>1</td>" in blocks("| a |\n| --- |\n| 1 |\n")


def test_a_page_has_prediction_verdict_provenance_and_working_links(tmp_path: Path) -> None:
    page = published(tmp_path, prediction="It rains.", refuted_by="Sun.", made_with={"torch": "2.13.0"})
    text = page.html.read_text()
    found = Elements(text)
    text_only = "".join(found.texts)
    for needed in ("What of LSTM", "It rains.", "Sun.", "one thing", "farback run one", "2.13.0"):
        assert needed in text_only
    assert all(given["alt"] for given in found.all("img"))
    assert [given["class"] for given in found.all("li") if "class" in given] == ["held", "refuted", "noted"]
    assert text.index("<figure>") < text.index("<table")  # the figure leads, though the table comes first
    targets = {given["id"] for _, given in found.found if "id" in given}
    links = {given["href"] for given in found.all("a")}
    assert {"curve.csv", "curve.svg", "horizons.csv"} <= links
    for link in links:
        assert link[1:] in targets if link.startswith("#") else (tmp_path / link).exists(), link


def test_equal_analyses_give_equal_bytes_in_any_folder(tmp_path: Path) -> None:
    first, second = published(tmp_path / "a").html, published(tmp_path / "b" / "c").html
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path) not in first.read_text()
    assert not re.search(r"20\d\d-\d\d-\d\d", first.read_text())


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [
        (["[20, 40)", ">= 80", "< 5", "none", ""], True),
        (["26 (24 to 30)", "at least 320, the limit asked (95 %: from 280)", "below 5, the smallest lag asked"], True),
        (["0.7 (0.6 to 0.8)", "−3", "1e-09", "5/5", "inf", "100%"], True),
        (["LSTM, 2 layers", "GRU"], False),
        (["5", "log-uniform 1-80"], False),
        (["", "none"], False),
        (["R² at lag 3"], False),
        (["5 of 5 (57 to 100 %)", "0 of 60 with padding, 60 of 60 without"], False),  # a sentence that begins with one
    ],
)
def test_a_column_is_numeric_where_every_cell_begins_with_a_number(cells: list[str], numeric: bool) -> None:
    (column,) = columns(pd.DataFrame({"x": cells}))
    assert column.numeric is numeric


@pytest.mark.slow
def test_a_page_holds_each_figure_once(tmp_path: Path) -> None:
    frame = made_up_scores.lengths().assign(steps=1000)
    subject = Subject("far", "How far?", "configs/far.yaml", tuple(frame["key"]), (), tmp_path, tmp_path / "far")
    page = write(subject, frame)
    drawn = sum(path.stat().st_size for path in page.files if path.suffix == ".svg")
    assert drawn < page.html.stat().st_size < drawn + 60_000  # the rest is the page's own text and style
    assert "How far?" in page.html.read_text()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("confirmed", "confirmed"),
        ("**refuted**", "refuted"),
        ("depends on the optimizer", "depends"),
        ("inconclusive: no network learned it", "inconclusive"),
        ("not run yet: 3 trials are missing", ""),
        ("dependent", ""),
        (3.0, ""),
    ],
)
def test_a_verdict_is_recognised_by_its_first_word(cell: object, expected: str) -> None:
    assert verdict(cell) == expected


def test_a_row_leads_to_the_line_of_its_network_and_a_verdict_is_marked(tmp_path: Path) -> None:
    drawing = Drawing()
    ax = drawing.subplots()
    with series(ax, "LSTM"):
        ax.plot([1, 2], label="LSTM")
    numbers = pd.DataFrame({"network": ["LSTM", "GRU"], "lag": [1, 2]})
    shown = pd.DataFrame({"network": ["LSTM", "GRU"], "verdict": ["refuted", "depends on the start"]})
    parts = [Table("table", "A table", numbers, shown), Figure("curve", "A curve", drawing, numbers, "A curve.")]
    about = {"name": "one", "question": "What?", "notes": []}
    page = Elements(publish(Analysis("Found.", [], parts), tmp_path, "noted.md.j2", about).html.read_text())
    links = [given for given in page.all("a") if given.get("class") == "shows"]
    assert [(given["href"], given["data-line"]) for given in links] == [("#curve", "LSTM")]
    assert "curve" in [given.get("id") for given in page.all("section")]
    assert [given["class"] for given in page.all("span") if "class" in given] == ["verdict-refuted", "verdict-depends"]
