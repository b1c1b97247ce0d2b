"""The index has every page in `results`, whatever the order in which they were written."""

from __future__ import annotations

import re
import subprocess
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
    for at, names in enumerate((list(PAGES), list(PAGES)[::-1])):
        results = tmp_path / str(at) / "results"
        for name in names:
            put(results, name, PAGES[name])
        written.add((results / "index.html").read_text())
    (text,) = written
    assert text.index("What of a?") < text.index("What of deep?") < text.index("What of calibrate?")
    for needed in ("All of deep", "deep/report.html", "1 held", "1 refuted"):
        assert needed in text


def test_the_first_figure_is_the_thumbnail(tmp_path: Path) -> None:
    about = {"name": "a", "question": "What?", "notes": []}
    publish(analysis(), tmp_path / "results" / "a", "noted.md.j2", about)
    assert '<img src="a/curve.svg"' in (tmp_path / "results" / "index.html").read_text()


def test_a_page_that_is_not_listed_leaves_the_index_unchanged(tmp_path: Path) -> None:
    results = tmp_path / "results"
    put(results, "deep")
    before = (results / "index.html").read_bytes()
    put(results, "smoke", listed=False)
    assert (results / "index.html").read_bytes() == before
    put(results, "deep")
    assert (results / "index.html").read_bytes() == before


def test_a_deleted_page_is_not_in_the_next_index(tmp_path: Path) -> None:
    results = tmp_path / "results"
    put(results, "deep").unlink()
    put(results, "a")
    assert set(index.listed(results)) == {"a"}


@pytest.mark.parametrize(
    "content", [b"", b"<html>mine</html>", b'<script type="application/json" id="about">{}', b"\xff"]
)
def test_files_by_others_are_ignored(tmp_path: Path, content: bytes) -> None:
    results = tmp_path / "results"
    (results / "mine").mkdir(parents=True)
    (results / "mine" / "report.html").write_bytes(content)
    put(results, "a")
    assert set(index.listed(results)) == {"a"}


def test_only_a_folder_named_results_gets_an_index(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "a")
    assert not (tmp_path / "elsewhere" / "index.html").exists()


def test_a_page_written_during_the_writing_of_the_index_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes publish at once: the slower one reads the folder again after writing."""
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


def test_the_index_reads_any_text_of_a_page(tmp_path: Path) -> None:
    context = {"name": "odd", "question": HOSTILE, "config": "c.yaml", "notes": []}
    page = publish(Analysis(HOSTILE, ["Held: x."]), tmp_path / "results" / "odd", "noted.md.j2", context)
    about = index.about(page.html)
    assert about is not None
    assert (about.question, about.headline, about.figure, about.held, about.refuted) == (HOSTILE, HOSTILE, "", 1, 0)
    assert "<script>alert(1)" not in (tmp_path / "results" / "index.html").read_text()


def test_pages_with_a_place_come_first_in_the_order_of_their_places(tmp_path: Path) -> None:
    results = tmp_path / "results"
    put(results, "adding")
    put(results, "demo", place=1)
    put(results, "calibrate", "", place=0)
    text = (results / "index.html").read_text()
    order = [text.index(f"What of {name}?") for name in ("calibrate", "demo", "adding")]
    assert order == sorted(order)


def test_the_questions_of_the_index_are_in_the_order_of_readme() -> None:
    root = Path(__file__).parents[2]
    names = re.findall(r"\(results/(\w+)/report.md\)", (root / "README.md").read_text().partition("## Results")[2])
    scripts = {path.stem: path.read_text() for path in (root / "experiments").glob("*.py")}
    places = {name: re.search(r"^PLACE = (\d+)", text, re.MULTILINE) for name, text in scripts.items()}
    own = sorted((int(place[1]), name) for name, place in places.items() if place)
    assert names == ["calibrate", *(name for _, name in own), "claims"]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def test_an_index_that_git_tracks_is_not_changed_by_a_page_of_one_s_own(tmp_path: Path) -> None:
    results = tmp_path / "results"
    put(results, "deep")
    git(tmp_path, "init")
    git(tmp_path, "add", "results")
    before = (results / "index.html").read_bytes()
    put(results, "mine")
    assert (results / "index.html").read_bytes() == before
    git(tmp_path, "add", "results/mine")
    put(results, "mine")
    assert "What of mine?" in (results / "index.html").read_text()
