"""The pages of results in a real browser, opened from the file system."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing
from matplotlib.image import imread
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, ViewportSize

from farback.plots.series import name_entries, series, stands_for
from farback.report.analysis import Analysis, Figure, Table
from farback.report.page import publish

NETWORKS = ["LSTM, chrono", "RNN relu", "GRU", "LSTM", "memoryless", "RNN tanh"]
HORIZONS = ["at least 80, the limit asked", "below 5 (95 %: up to 9)", "28 (20 to 40)", "14 (10 to 20)", "none", ""]
MEANS = [">= 80", "9.33 (5 to 17.4)", "28.3 (20 to 40)", "14.1 (10 to 20)", "-inf", "1e-3 (0 to 1)"]
UP = ["memoryless", "RNN relu", "LSTM", "GRU", "LSTM, chrono", "RNN tanh"]  # by horizon; what has no number comes last
SHOWN = """source => { document.body.innerHTML = `<img style="width: 1200px">`; document.images[0].src = source }"""
PHONE = {"width": 375, "height": 812}


def analysis() -> Analysis:
    """A wide table and two figures, the second as wide as any."""
    numbers = pd.DataFrame({"network": NETWORKS, "lag": range(6)})
    shown = pd.DataFrame({"network": NETWORKS, "horizon": HORIZONS, "mean, 95 % over seeds": MEANS})
    for lag in (5, 10, 20, 40, 80, 160, 320):
        shown[f"lag {lag}"] = [f"{place}/5" for place in range(6)]
    parts: list[Table | Figure] = [Table("horizons", "How far back", numbers, shown)]
    for name, size in (("success", (5, 3)), ("maps", (13.2, 3))):
        drawing = Drawing(figsize=size)
        if name == "maps":
            drawing.subplots().pcolormesh([[0, 1, 2], [2, 1, 0]])
        else:
            drawing.subplots().plot([1, 2, 3], [3, 1, 2], color="#004488")
        parts.append(Figure(name, f"The {name}", drawing, numbers, f"What can be seen of {name}."))
    headline = "Half of the seeds learn to recall a cue over: GRU 28 (20 to 40); LSTM, chrono at least 80."
    return Analysis(headline, ["Held: a.", "**Refuted**: that b."], parts)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "results"
    for name in ("far", "near"):
        context = {"name": name, "question": f"How {name}?", "config": f"configs/{name}.yaml", "notes": ["`a` " * 60]}
        more = {"prediction": "A.", "refuted_by": "B.", "command": f"farback run configs/{name}.yaml " * 3}
        more |= {"made_with": {"cpu": "x" * 90}, "config_text": f"name: {name}\n" + "lag: " + "1, " * 200}
        publish(analysis(), folder / name, "noted.md.j2", context | more)
    return folder


@pytest.fixture
def report(page: Page, results: Path) -> Page:
    page.goto((results / "far" / "report.html").as_uri())
    return page


def head(page: Page, name: str) -> Locator:
    return page.get_by_role("columnheader", name=name, exact=True)


def order(page: Page) -> list[str]:
    return page.locator("tbody th").all_inner_texts()


def test_nothing_is_asked_of_a_network(page: Page, results: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in (results / "far" / "report.html", results / "index.html"):
        page.goto(path.as_uri(), wait_until="networkidle")
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    schemes = {url.partition(":")[0] for url in asked}
    assert schemes <= {"file", "data"}
    assert {Path(url).name for url in asked if url.startswith("file:")} == {"report.html", "index.html", "success.svg"}


def test_a_click_sorts_by_the_number_and_the_third_restores(report: Page) -> None:
    column = head(report, "horizon")
    for direction, expected in (
        ("ascending", UP),
        ("descending", [*reversed(UP[:-1]), UP[-1]]),
        (None, NETWORKS),
    ):
        column.get_by_role("button").click()
        assert column.get_attribute("aria-sort") == direction
        assert order(report) == expected


def test_the_keyboard_sorts_too_and_only_one_column_says_so(report: Page) -> None:
    first, second = head(report, "mean, 95 % over seeds"), head(report, "network")
    first.get_by_role("button").focus()
    report.keyboard.press("Enter")
    assert first.get_attribute("aria-sort") == "ascending"
    assert order(report) == ["memoryless", "RNN tanh", "RNN relu", "LSTM", "GRU", "LSTM, chrono"]
    second.get_by_role("button").focus()
    report.keyboard.press("Space")
    assert order(report) == ["GRU", "LSTM", "LSTM, chrono", "memoryless", "RNN relu", "RNN tanh"]
    assert report.locator("[aria-sort]").count() == 1


def test_links_lead_from_the_index_to_a_page_to_its_numbers_and_back(page: Page, results: Path) -> None:
    page.goto((results / "index.html").as_uri())
    assert page.get_by_role("listitem").count() == 2
    page.get_by_role("link", name="How far?").click()
    assert page.get_by_role("heading", level=1).inner_text() == "How far?"
    names = [link.get_attribute("href") for link in page.get_by_role("link").all()]
    numbers = [name for name in names if name and name.endswith(".csv")]
    assert numbers == ["success.csv", "horizons.csv", "maps.csv"]
    with page.expect_download() as download:  # what chromium does with a CSV file
        page.get_by_role("link", name="horizons.csv").click()
    assert download.value.path().read_bytes() == (results / "far" / "horizons.csv").read_bytes()
    page.get_by_role("link", name="success.svg").click()
    assert page.url.endswith("/far/success.svg")
    page.go_back()
    page.get_by_role("link", name="results", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == "Results"


@pytest.mark.parametrize("name", ["far/report.html", "index.html"])
def test_a_phone_scrolls_tables_in_their_box_and_never_the_page(page: Page, results: Path, name: str) -> None:
    page.set_viewport_size(PHONE)
    page.goto((results / name).as_uri())
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    if name != "index.html":
        box = page.locator(".box", has=page.locator("table"))
        wide, seen = box.evaluate("box => [box.scrollWidth, box.clientWidth]")
        assert wide > seen > 300
        box.evaluate("box => { box.scrollLeft = box.scrollWidth }")
        assert page.evaluate("window.scrollX") == 0
        assert page.locator("tbody th").first.is_visible()


@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "laptop"])
def test_the_keyboard_stops_at_what_scrolls_and_nowhere_else(page: Page, results: Path, size: ViewportSize) -> None:
    page.set_viewport_size(size)
    page.goto((results / "far" / "report.html").as_uri())
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # it is laid out
    for box in page.locator(".box:visible").all():
        scrolls = box.evaluate("box => box.scrollWidth > box.clientWidth")
        assert (box.get_attribute("tabindex") == "0") == scrolls


def contrast(page: Page, selector: str) -> float:
    """WCAG 2's contrast of an element's text with the page behind it, 1 to 21."""
    light: list[float] = page.evaluate(
        """selector => [[document.querySelector(selector), "color"], [document.body, "backgroundColor"]].map(
            ([element, name]) => {
                const rgb = getComputedStyle(element)[name].match(/[0-9.]+/g).slice(0, 3).map(value => {
                    const share = value / 255
                    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
                })
                return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
            })""",
        selector,
    )
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_in_dark(report: Page, scheme: str) -> None:
    report.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    dark = report.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).every(one => one < 64)")
    assert dark == (scheme == "dark")
    for selector in ("h1", ".headline", ".sources", "figcaption", "td", "dt", "a", "code", ".refuted strong", ".name"):
        assert contrast(report, selector) >= 4.5, selector


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_have_the_ground_of_the_page(report: Page, scheme: str) -> None:
    """Its white becomes the page's ground in either scheme, so that its axes and letters keep their contrast."""
    report.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    image = report.locator("figure img").first
    box = image.bounding_box()
    assert box is not None
    shot = pixels(report.screenshot(clip={"x": box["x"], "y": box["y"], "width": 4, "height": 4}))
    ground = pixels(report.screenshot(clip={"x": 2, "y": 2, "width": 4, "height": 4}))
    assert abs(shot - ground).max() <= 3


def test_a_map_keeps_its_colours_in_the_dark(report: Page) -> None:
    """Those of a scale mean numbers."""
    shots = []
    for scheme in ("light", "dark"):
        report.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        shots.append(pixels(report.locator("#maps img").screenshot()) / 255)
    saturated = shots[0].max(axis=-1) - shots[0].min(axis=-1) > 0.3
    assert saturated.mean() > 0.3
    assert abs(shots[1] - 0.9 * shots[0])[saturated].max() < 0.02


def test_a_figure_on_the_page_looks_like_its_file(page: Page, results: Path) -> None:
    """The SVG that the page holds is shorter than the file, and shows the same."""
    shots = []
    page.goto((results / "far" / "report.html").as_uri())
    for source in (page.locator("img").last.get_attribute("src"), (results / "far" / "maps.svg").as_uri()):
        page.goto((results / "index.html").as_uri())
        page.evaluate(SHOWN, source)
        page.locator("img").evaluate("image => image.decode()")
        shots.append(pixels(page.locator("img").screenshot()))
    assert shots[0].shape == shots[1].shape
    assert shots[0].min() < 100  # something is drawn
    assert (abs(shots[0] - shots[1]).max(axis=-1) > 40).mean() < 2e-3


def pixels(png: bytes) -> NDArray[np.int64]:
    """A screenshot as numbers of 0 to 255, of shape (height, width, 3)."""
    return (imread(io.BytesIO(png))[..., :3] * 255).round().astype(int)


def test_print_shows_whole_tables_on_white(report: Page, tmp_path: Path) -> None:
    report.emulate_media(media="print", color_scheme="dark")
    assert report.locator(".box").first.evaluate("box => getComputedStyle(box).overflowX") == "visible"
    assert report.locator("img").first.evaluate("image => getComputedStyle(image).filter") == "none"
    head = report.locator("thead button").first  # a box in a header is not printed again on the next page
    assert head.evaluate("button => getComputedStyle(button).display") == "contents"
    assert contrast(report, "h1") > 15
    assert report.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 252)"
    report.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


@pytest.mark.parametrize("how", ["srcdoc", "blob"])
def test_it_works_in_a_frame_without_an_address(page: Page, results: Path, how: str) -> None:
    """As MLflow shows an artifact: scripts may run, nothing else may; storage would throw."""
    text = (results / "far" / "report.html").read_text()
    page.set_content("<iframe sandbox='allow-scripts' style='width:900px;height:700px'></iframe>")
    page.evaluate(
        """([text, how]) => {
            const frame = document.querySelector("iframe")
            if (how === "srcdoc") frame.srcdoc = text
            else frame.src = URL.createObjectURL(new Blob([text], { type: "text/html" }))
        }""",
        [text, how],
    )
    frame = page.frame_locator("iframe")
    column = frame.get_by_role("columnheader", name="horizon", exact=True)
    column.get_by_role("button").click()
    assert column.get_attribute("aria-sort") == "ascending"
    assert frame.locator("img").first.evaluate("image => image.naturalWidth > 0")
    assert frame.get_by_role("link", name="horizons.csv").count() == 0  # there is no such file to lead to
    assert frame.get_by_text("horizons.csv").is_visible()


LONG = [f"row {place}" for place in range(40)]
SIDES = ("refuted", "confirmed", "depends on luck", "inconclusive: too few")


@pytest.fixture
def lines(page: Page, tmp_path: Path) -> Page:
    """A page with a figure of two lines, a table of their networks, and a long table of verdicts."""
    drawing = Drawing(figsize=(6, 3))
    ax = drawing.subplots()
    ax.set(xlabel="lag", ylabel="skill")
    for name, colour, values in (("LSTM", "#004488", [0.2, 0.4]), ("GRU", "#ddaa33", [0.9, 0.8])):
        with series(ax, name):
            ax.plot([10, 20], values, color=colour, label=name)
    entries = [Line2D([], [], label=name, **stands_for([name])) for name in ("LSTM", "GRU")]
    entries.append(Line2D([], [], label="both", **stands_for(["LSTM", "GRU"])))
    name_entries(ax.legend(handles=entries), entries)
    numbers = pd.DataFrame({"network": ["LSTM", "GRU"]})
    verdicts = pd.DataFrame({"id": LONG, "verdict": [SIDES[place % 4] for place in range(40)], "page": ["x"] * 40})
    verdicts.insert(1, "claim", "A sentence with many words. " * 10)
    parts = [
        Figure("curve", "A curve", drawing, numbers, "Two lines."),
        Table("networks", "Networks", numbers, numbers),
        Table("ledger", "Ledger", verdicts, verdicts),
    ]
    about = {"name": "one", "question": "What?", "notes": []}
    page.goto(publish(Analysis("Found.", [], parts), tmp_path, "noted.md.j2", about).html.as_uri())
    return page


def shown_lines(page: Page) -> list[bool]:
    """Whether LSTM and GRU are drawn in the figure."""
    return [
        page.locator(f"#curve svg g[id*='{name}#']").first.evaluate("one => getComputedStyle(one).display") != "none"
        for name in ("LSTM", "GRU")
    ]


def test_the_value_of_a_line_is_shown_at_the_pointer(lines: Page) -> None:
    data = json.loads(str(lines.locator("script.lines").text_content()))
    left, top, *_ = data["lines"][0]["points"][1]
    box = lines.locator(".plot").bounding_box()
    assert box is not None
    scale = box["width"] / data["width"]
    lines.mouse.move(box["x"] + left * scale + 4, box["y"] + top * scale - 4)
    assert lines.locator(".value").inner_text().splitlines() == ["LSTM", "lag: 20", "skill: 0.4"]
    lines.mouse.move(box["x"] + 1, box["y"] + 1)
    assert not lines.locator(".value").is_visible()


def test_lines_can_be_switched_off_and_a_row_shows_its_line_alone(lines: Page) -> None:
    lines.get_by_role("button", name="LSTM", exact=True).click()
    assert shown_lines(lines) == [False, True]
    lines.get_by_role("button", name="all", exact=True).click()
    assert shown_lines(lines) == [True, True]
    lines.locator("a.shows", has_text="LSTM").click()
    assert shown_lines(lines) == [True, False]
    assert lines.get_by_role("button", name="GRU", exact=True).get_attribute("aria-pressed") == "false"


def test_a_click_on_the_legend_switches_its_lines(lines: Page) -> None:
    for entry, shown in ((0, [False, True]), (2, [False, False]), (1, [False, True]), (2, [False, False])):
        lines.locator(".entry").nth(entry).click()
        assert shown_lines(lines) == shown
    lines.locator(".entry").nth(2).click()
    assert shown_lines(lines) == [True, True]
    assert lines.locator(".entry.off").count() == 0


def test_entries_lie_on_the_legend_at_every_size(lines: Page) -> None:
    data = json.loads(str(lines.locator("script.lines").text_content()))
    for size in (PHONE, ViewportSize(width=1280, height=900)):
        lines.set_viewport_size(size)
        plot, cover = lines.locator(".plot").bounding_box(), lines.locator(".entry").nth(1).bounding_box()
        assert plot is not None
        assert cover is not None
        entry, scale = data["entries"][1], plot["width"] / data["width"]
        expected = (entry["left"] * scale, entry["top"] * scale)
        assert (cover["x"] - plot["x"], cover["y"] - plot["y"]) == pytest.approx(expected, abs=1.5)


def test_a_long_table_can_be_searched_and_filtered_and_keeps_its_head(lines: Page) -> None:
    rows = lines.locator("#ledger tbody tr:visible")
    assert rows.count() == 40
    lines.get_by_role("button", name="refuted (10)").click()
    assert rows.count() == 10
    lines.get_by_role("searchbox").fill("24 row")
    assert rows.locator("th").all_inner_texts() == ["row 24"]
    assert lines.get_by_role("status").inner_text() == "1 of 40 rows"
    lines.get_by_role("searchbox").fill("")
    lines.get_by_role("button", name="refuted (10)").click()
    box = lines.locator("#ledger .box")
    box.evaluate("box => { box.scrollTop = box.scrollHeight }")
    head, frame = lines.locator("#ledger thead th").first.bounding_box(), box.bounding_box()
    assert head is not None
    assert frame is not None
    assert abs(head["y"] - frame["y"]) < 2


def test_a_row_of_long_texts_is_short_on_a_phone_until_it_is_opened(lines: Page) -> None:
    assert not lines.locator("#ledger .more").first.is_visible()
    lines.set_viewport_size(ViewportSize(width=375, height=812))
    row = lines.locator("#ledger tbody tr").nth(2)
    assert row.locator("td:visible").count() == 2  # the beginning of the claim, and the verdict
    assert "depends on luck" in row.inner_text()
    short = row.bounding_box()
    row.get_by_role("button", name="the whole row").click()
    assert row.locator("td:visible").count() == 3
    whole = row.bounding_box()
    assert short is not None
    assert whole is not None
    assert short["height"] < 110
    assert whole["height"] > short["height"] + 30
    lines.get_by_role("searchbox").fill("24 row")
    assert lines.locator("#ledger tbody th:visible").count() == 1


def test_verdicts_differ_in_colour_and_mark(lines: Page) -> None:
    looks = [
        lines.locator(f".verdict-{name}").first.evaluate(
            "one => getComputedStyle(one).color + getComputedStyle(one, '::before').content"
        )
        for name in ("confirmed", "refuted", "depends", "inconclusive")
    ]
    assert len(set(looks)) == 4


def test_yellow_is_yellow_on_a_dark_page(lines: Page) -> None:
    lines.emulate_media(color_scheme="dark")
    image = pixels(lines.locator("#curve img").screenshot())
    assert (abs(image - (0xDD, 0xAA, 0x33)).max(axis=-1) < 12).any()
    assert np.median(image, axis=(0, 1)).max() < 40  # on a dark ground


def test_a_wide_figure_on_a_phone_says_that_it_scrolls(lines: Page) -> None:
    hint = lines.get_by_text("Scroll sideways")
    assert not hint.is_visible()
    lines.set_viewport_size(ViewportSize(width=375, height=812))
    assert hint.is_visible()
    lines.set_viewport_size(ViewportSize(width=600, height=812))  # wide enough for the whole figure
    hint.wait_for(state="hidden")
