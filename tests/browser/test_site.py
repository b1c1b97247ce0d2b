"""The site that `make docs` builds: links lead somewhere, and it can be read on a laptop and on a phone."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
SHOWN = (
    "docs/index",
    "docs/from-the-equation",
    "docs/measures",
    "docs/extend",
    "docs/reference/config",
    "docs/reference/api",
    "README",
    "results/demo/report",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` builds it."""
    for needed in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(needed, reason="`make docs` installs what builds the site")
    built = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-c", "docs"]
    done = subprocess.run(
        [*command, "-d", built / "doctrees", ".", built / "site"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return built / "site"


@cache
def anchors(page: Path) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', page.read_text()))


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    followed = 0
    for page in pages:
        for link in re.findall(r'\b(?:href|src)="([^"]+)"', page.read_text()):
            if re.match(r"[a-z]+:", link):
                continue
            place, _, anchor = unquote(link).partition("#")
            target = page.parent / place.partition("?")[0] if place else page
            assert target.is_file(), (page, link)
            if anchor and target.suffix == ".html":
                assert anchor in anchors(target), (page, link)
            followed += 1
    assert followed > 1000


def test_the_first_page_leads_to_the_guide(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    page.wait_for_url("**/docs/index.html")
    page.get_by_role("link", name="Start in five minutes").first.click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("Start in five minutes")


def test_the_search_finds_words_of_the_guide_without_a_network(site: Path, page: Page) -> None:
    page.goto((site / "search.html").as_uri() + "?q=bidirectional")
    page.wait_for_selector("ul.search li")
    assert "nn.RNN" in page.locator("ul.search").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_their_window_and_show_their_figures(site: Path, browser: Browser, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = context.new_page()
    for name in SHOWN:
        opened.goto((site / f"{name}.html").as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, name
        assert opened.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)") == []
        text, paper = opened.evaluate(
            "(s => [s.color, getComputedStyle(document.body).backgroundColor])"
            "(getComputedStyle(document.querySelector('article p')))"
        )
        assert contrast(text, paper) >= 4.5, name  # what WCAG asks of text
    context.close()


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2 between two colours as a browser spells them."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    red, green, blue = ((c / 12.92) if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
