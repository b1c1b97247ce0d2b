"""The index of all pages is what lies in `results`, in whichever order it came."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from farback.report import index
from farback.report.analysis import Analysis
from farback.report.page import publish
from made_up_pages import HOSTILE, analysis

PAGES = {"deep": "configs/deep.yaml", "calibrate": "", "a": "configs/a.yaml"}


def put(results: Path, name: str, config: str = "configs/x.yaml", **more: object) -> Path:
    context = {"name": name, "question": f"What of {name}?", "config": config, "notes": []}
    found = Analysis(f"All of {name}", ["Held: one thing.", "**Refuted**: that another."])
    return publish(found, results / name, "noted.md.j2", context | more).html


def test_the_order_of_publishing_does_not_matter(tmp_path: Path) -> None:
    written = set()
    for at, names in enumerate(permutations(PAGES)):
        results = tmp_path / str(at) / "results"
        for name in names:
            put(results, name, PAGES[name])
        written.add((results / "index.html").read_text())
    (text,) = written
    assert text.index("What of a?") < text.index("What of deep?") < text.index("What of calibrate?")
    for needed in ("All of deep", "deep/report.html", "1 held", "1 refuted"):
        assert needed in text


def test_the_leading_figure_is_shown_small(tmp_path: Path) -> None:
    about = {"name": "a", "question": "What?", "notes": []}
    publish(analysis(), tmp_path / "results" / "a", "noted.md.j2", about)
    assert '<img src="a/curve.svg"' in (tmp_path / "results" / "index.html").read_text()


def test_a_page_that_is_not_kept_is_not_listed_and_changes_nothing(tmp_path: Path) -> None:
    results = tmp_path / "results"
    put(results, "deep")
    before = (results / "index.html").read_bytes()
    put(results, "smoke", listed=False)
    assert (results / "index.html").read_bytes() == before
    put(results, "deep")
    assert (results / "index.html").read_bytes() == before


def test_a_page_that_was_taken_away_is_gone_from_the_next_index(tmp_path: Path) -> None:
    results = tmp_path / "results"
    put(results, "deep").unlink()
    put(results, "a")
    assert set(index.listed(results)) == {"a"}


@pytest.mark.parametrize(
    "content", [b"", b"<html>mine</html>", b'<script type="application/json" id="about">{}', b"\xff"]
)
def test_what_farback_did_not_write_is_passed_over(tmp_path: Path, content: bytes) -> None:
    results = tmp_path / "results"
    (results / "mine").mkdir(parents=True)
    (results / "mine" / "report.html").write_bytes(content)
    put(results, "a")
    assert set(index.listed(results)) == {"a"}


def test_an_index_lies_only_in_a_folder_called_results(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "a")
    assert not (tmp_path / "elsewhere" / "index.html").exists()


def test_what_comes_while_the_index_is_written_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two publish at once: the slower writer looks again after it has written."""
    results = tmp_path / "results"
    late = put(tmp_path / "other" / "results", "late")
    listed = index.listed

    def meanwhile(folder: Path) -> dict[str, index.About]:
        found = listed(folder)
        (folder / "late").mkdir(exist_ok=True)
        (folder / "late" / "report.html").write_bytes(late.read_bytes())
        return found

    monkeypatch.setattr(index, "listed", meanwhile)
    put(results, "a")
    assert "late/report.html" in (results / "index.html").read_text()


def test_a_page_tells_the_index_the_truth_whatever_its_texts(tmp_path: Path) -> None:
    context = {"name": "odd", "question": HOSTILE, "config": "c.yaml", "notes": []}
    page = publish(Analysis(HOSTILE, ["Held: x."]), tmp_path / "results" / "odd", "noted.md.j2", context)
    told = index.told(page.html)
    assert told is not None
    assert (told.question, told.headline, told.figure, told.held, told.refuted) == (HOSTILE, HOSTILE, "", 1, 0)
    assert "<script>alert(1)" not in (tmp_path / "results" / "index.html").read_text()
