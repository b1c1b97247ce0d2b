"""Every relative link and anchor of every page leads somewhere, and every command that a page names is there."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farback.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(path for path in ROOT.glob("results/*/report.md") if path.parent.name != "smoke"),
]
FENCE = re.compile(r"^( *)(```+)([\w{}-]*)\n(.*?)^\1\2$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?\)")
COMMAND = re.compile(r"^(?:\$ )?((?:farback|make) .*)$", re.MULTILINE)
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def prose(path: Path) -> str:
    """A page without its code."""
    return re.sub(r"(`+).*?\1", "``", FENCE.sub("", path.read_text()))


@cache
def anchors(path: Path) -> set[str]:
    """Of a page's headings, as GitHub and MyST make them."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} +(.*?)\s*$", FENCE.sub("", path.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        repeated = sum(one == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", one) is not None for one in found)
        found.append(f"{slug}-{repeated}" if repeated else slug)
    return set(found)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_and_anchors_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert target.suffix == ".md", link
            assert anchor in anchors(target), link


def commands(page: Path) -> list[str]:
    """Lines of a page's blocks of commands that begin with farback or make."""
    return [
        line
        for _, _, language, text in FENCE.findall(page.read_text())
        if language in ("", "sh", "console", "bash")
        for line in COMMAND.findall(text)
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=named)
def test_the_commands_of_a_page_are_taken(page: Path) -> None:
    """Each with --help in place of its work: the options are parsed, nothing is trained."""
    for line in commands(page):
        program, *words = shlex.split(line, comments=True)
        if program == "make":
            assert words[0] in MAKE_TARGETS, line
        else:
            result = CliRunner().invoke(app, [*words, "--help"])
            assert result.exit_code == 0, line


def test_every_make_target_that_is_named_is_there() -> None:
    named_targets = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert named_targets <= MAKE_TARGETS
