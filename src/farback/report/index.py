"""`results/index.html`, the index of all pages below `results`, from the data that each `report.html` contains."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from farback.report import html
from farback.system.atomic_files import aside
from farback.system.tracked_files import tracked

FOLDER, INDEX, PAGE = "results", "index.html", "report.html"
BEFORE, AFTER = '<script type="application/json" id="about">', "</script>"


class About(BaseModel):
    """The data about a page that the index needs.

    Attributes:
        figure: the stem of the first figure's files, empty without a figure.
        alt: the description of that figure.
        coloured: whether that figure shows numbers as colours.
        held, refuted: how many predictions held and were refuted.
        experiment: whether the page belongs to a config; other pages are about farback itself.
        listed: whether the index lists the page.
        place: the place among the questions of the index; None for a page that answers none of them.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    question: str
    headline: str
    figure: str
    alt: str
    coloured: bool
    held: int
    refuted: int
    experiment: bool
    listed: bool
    place: int | None = None


def is_indexed(folder: Path) -> bool:
    """Whether a page's folder belongs to an index: only folders inside a folder `results` do."""
    return folder.absolute().parent.name == FOLDER


def write(results: Path) -> Path:
    """Write the index of the pages in `results`; the order in which the pages were written does not matter.

    Another process may write a page meanwhile, so the index is written again until it has every page.
    """
    path, pages, written = results / INDEX, listed(results), None
    while pages != written:
        entries = [{"folder": folder, **about.model_dump()} for folder, about in pages.items()]
        others = [entry for entry in entries if entry["place"] is None]
        groups = {
            "Questions": sorted((one for one in entries if one["place"] is not None), key=lambda one: one["place"]),
            "Experiments": [entry for entry in others if entry["experiment"]],
            "About farback": [entry for entry in others if not entry["experiment"]],
        }
        with aside(path) as file:
            file.write_text(html.page("index.html.j2", {"groups": groups}), encoding="utf-8", newline="\n")
        written, pages = pages, listed(results)
    return path


def listed(results: Path) -> dict[str, About]:
    """The pages that the index has, by the names of their folders; files that farback did not write are ignored.

    An index that git tracks has the pages that git tracks, so that an experiment of one's own does not change it.
    """
    paths, known = sorted(results.glob(f"*/{PAGE}")), tracked(results)
    if INDEX in known:
        paths = [path for path in paths if f"{path.parent.name}/{PAGE}" in known]
    pages = {path.parent.name: about(path) for path in paths}
    return {folder: one for folder, one in pages.items() if one is not None and one.listed}


def about(page: Path) -> About | None:
    """The data about a page; None if the file has none."""
    try:
        text = page.read_text(encoding="utf-8")
        return About.model_validate_json(text.partition(BEFORE)[2].partition(AFTER)[0])
    except (OSError, UnicodeDecodeError, ValidationError):  # deleted meanwhile, or not written by farback
        return None
