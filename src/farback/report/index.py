"""`results/index.html`: every page below `results`, as each `report.html` tells of itself."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from farback.report import html
from farback.report.analysis import Analysis, outcome
from farback.system.atomic_files import aside

FOLDER, INDEX, PAGE = "results", "index.html", "report.html"
BEFORE, AFTER = '<script type="application/json" id="about">', "</script>"


class About(BaseModel):
    """What a page tells of itself.

    Attributes:
        name: the experiment's.
        question: it asks.
        headline: the answer.
        figure: the stem of its leading figure's files, "" where there is none.
        alt: what can be seen on it.
        coloured: whether it shows numbers as colours.
        held: predictions that held.
        refuted: predictions that did not.
        experiment: whether a config stands behind it; else it is about farback itself.
        listed: whether the index has it.
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


def about(
    name: str, question: str, analysis: Analysis, *, coloured: bool = False, experiment: bool, listed: bool
) -> About:
    """What a page of an analysis tells of itself."""
    lead = next(iter(analysis.figures), None)
    outcomes = [outcome(line) for line in analysis.verdict]
    return About(
        name=name,
        question=question,
        headline=analysis.headline,
        figure=lead.name if lead else "",
        alt=lead.alt if lead else "",
        coloured=coloured,
        held=outcomes.count("held"),
        refuted=outcomes.count("refuted"),
        experiment=experiment,
        listed=listed,
    )


def belongs(folder: Path) -> bool:
    """Whether a page's folder has an index beside it: only folders in one called `results` do."""
    return folder.absolute().parent.name == FOLDER


def write(results: Path) -> Path:
    """Write the index of what lies in `results` now; it comes out the same in whichever order pages were written.

    Others may write pages, and then the index, at the same time: what came while this one was written is put in.
    """
    path, pages, written = results / INDEX, listed(results), None
    while pages != written:
        groups = {
            "Experiments": [{"folder": folder, **one.model_dump()} for folder, one in pages.items() if one.experiment],
            "About farback": [
                {"folder": folder, **one.model_dump()} for folder, one in pages.items() if not one.experiment
            ],
        }
        with aside(path) as file:
            file.write_text(html.page("index.html.j2", {"groups": groups}), encoding="utf-8", newline="\n")
        written, pages = pages, listed(results)
    return path


def listed(results: Path) -> dict[str, About]:
    """The pages that the index shows, by the names of their folders; what farback did not write is passed over."""
    found = {path.parent.name: told(path) for path in sorted(results.glob(f"*/{PAGE}"))}
    return {folder: one for folder, one in found.items() if one is not None and one.listed}


def told(page: Path) -> About | None:
    """What a page tells of itself; None where it tells nothing that is understood."""
    try:
        text = page.read_text(encoding="utf-8")
        return About.model_validate_json(text.partition(BEFORE)[2].partition(AFTER)[0])
    except (OSError, UnicodeDecodeError, ValidationError):  # taken away meanwhile, or not written by farback
        return None
