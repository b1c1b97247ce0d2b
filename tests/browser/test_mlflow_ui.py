"""MLflow's pages over a real sweep, opened as a person does: by the links that `farback ui` prints.

`pytest tests/browser --screenshots docs/images` makes the pictures of docs/mlflow-ui.md.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import mlflow_pages
import numpy as np
import pandas as pd
import pytest
from mlflow_pages import MINUTE, Open, Picture, card, headers
from playwright.sync_api import Page, TimeoutError, expect

import farback
from farback.stores.chart_colours import APART, colour

pytestmark = pytest.mark.slow

SKILL = "retention/skill"  # the title of a chart
ROOT = Path(__file__).parents[2]
CELLS = {"RNN tanh", "GRU", "LSTM", "memoryless"}
LAGS = [1, 2, 5, 10, 20, 50, 100, 200]
ASKED = sorted({*LAGS, 80})  # the largest lag of the training is always asked too
TRAINED = [5, 20, 80]
CONFIG = f"""
name: far
question: How far back does each cell remember a single cue?
base:
  task: {{name: recall, symbols: 4, filler: noise}}
  hidden: 16
  batch: 32
  steps: 200
  evaluate_every: 50
  optimizer: {{name: adam, lr: 1.0e-2}}
  clip: 1.0
  measures: [retention]
sweep:
  - cell: &cells [elman, gru, lstm, memoryless]
    lag: {TRAINED}
    seed: {{range: 2}}
  - cell: *cells
    train_lags: [{{log_uniform: [1, 80]}}]
    lag: [80]
    measures: [[{{name: retention, lags: {LAGS}}}, {{name: gradient_reach, length: 80}}]]
    seed: {{range: 2}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sweep in it, trained and reported."""
    return mlflow_pages.project(tmp_path_factory.mktemp("project"), "far", CONFIG, "run")


@pytest.fixture(scope="module")
def links(project: Path) -> Iterator[dict[str, str]]:
    with mlflow_pages.served(project, "far") as printed:
        yield printed


def curves(page: Page, metric: str) -> dict[str, tuple[list[float], list[float]]]:
    """The lines that a chart with this title draws, by the cells that they are of: x and y."""
    chart = card(page, metric)
    chart.scroll_into_view_if_needed()
    plot = chart.locator(".js-plotly-plot")
    expect(plot.locator(".points path").first).to_be_visible()
    drawn = plot.evaluate(
        """plot => plot.data.filter(trace => trace.mode === "lines+markers")
                             .map(trace => [trace.uuid, Array.from(trace.x), Array.from(trace.y)])"""
    )
    assert len(drawn) == len({group for group, _, _ in drawn})  # one line for each
    return {cell_of(group): (x, y) for group, x, y in drawn}


def cell_of(group: str) -> str:
    """The cell in MLflow's id of a group."""
    return next(part for part in group.split(",") if part.startswith("param.cell.")).removeprefix("param.cell.")


def means(project: Path, protocol: str) -> dict[str, pd.Series[float]]:
    """The mean skill over seeds of each cell by the lag that it was asked at, from what the store holds."""
    frame = farback.frame("far", f"sqlite:///{project}/results/store/mlflow.db")
    own = frame[(frame["measure"] == "retention") & (frame["statistic"] == "skill")]
    own = own[(own["train_lags"] == "fixed") == (protocol == "fixed")]
    mean = own.groupby(["label", "lag"])["value"].mean()
    return {str(cell): mean.xs(cell, level="label") for cell in mean.index.unique("label")}


@pytest.mark.parametrize(("name", "protocol"), [("How far back", "mixed"), ("Trained at each lag", "fixed")])
def test_the_printed_link_opens_curves_by_lag_one_for_each_cell(
    name: str, protocol: str, project: Path, links: dict[str, str], go: Open, picture: Picture
) -> None:
    page = go(links[name])
    expect(page.get_by_test_id("saved-views-trigger")).to_contain_text(name)
    expected = means(project, protocol)
    assert set(expected) == CELLS
    drawn = curves(page, SKILL)
    assert set(drawn) == CELLS
    for cell, (lags, skills) in drawn.items():
        assert lags == (TRAINED if protocol == "fixed" else ASKED)
        np.testing.assert_allclose(skills, expected[cell], atol=1e-6)
    picture(page, name.lower().replace(" ", "-"))


def test_lines_have_the_colours_that_farback_computes_and_can_be_told_apart(links: dict[str, str], go: Open) -> None:
    page = go(links["How far back"])
    curves(page, SKILL)
    drawn = (
        card(page, SKILL)
        .locator(".js-plotly-plot")
        .evaluate(  # MLflow gives the colour of the markers, from which Plotly draws the line
            """plot => plot._fullData.filter(trace => trace._input.uuid && trace.mode === "lines+markers")
                             .map(trace => [trace._input.uuid, trace.line.color])"""
        )
    )
    assert {cell_of(group) for group, _ in drawn} == CELLS
    for group, shown in drawn:
        assert shown.lower() == f"#{colour(group)}"
    colours = [[int(shown[at : at + 2], 16) for at in (1, 3, 5)] for _, shown in drawn]
    distances = [np.linalg.norm(np.subtract(a, b)) for a, b in combinations(colours, 2)]
    assert min(distances) >= APART


def test_the_columns_a_person_needs_are_in_sight(links: dict[str, str], go: Open, picture: Picture) -> None:
    page = go(links["Trials"])
    expect(page.get_by_test_id("saved-views-trigger")).to_contain_text("Trials")
    expect(page.locator(".ag-header-cell:visible").filter(has_text="final/skill")).to_be_in_viewport(ratio=1)
    assert headers(page)[:8] == ["Run Name", "Created", "cell", "lag", "seed", "train_lags", "status", "final/skill"]
    expect(page.get_by_text("32 matching runs")).to_be_visible()
    picture(page, "trials")


def test_the_filters_of_the_guide_find_what_they_say(project: Path) -> None:
    from farback.stores.mlflow import MLflow

    (block,) = re.findall(r"```text\n(.*?)```", (ROOT / "docs" / "mlflow-ui.md").read_text(), re.DOTALL)
    with MLflow(f"sqlite:///{project}/results/store/mlflow.db") as store:
        experiment = store.client.mlflow.get_experiment_by_name("far").experiment_id
        found = {text: len(store.client.mlflow.search_runs([experiment], text)) for text in block.splitlines()}
    cell, lag, diverged, good, summary = found.values()
    assert (cell, lag, diverged, summary) == (8, 8, 0, 1)
    assert 0 < good < 32


def test_cells_are_averaged_over_seeds(links: dict[str, str], go: Open, picture: Picture) -> None:
    page = go(links["Cells"])
    groups = page.get_by_text(re.compile("^Group: "))
    expect(groups).to_have_count(2 * len(CELLS))  # trained at each lag, and on many
    expect(page.get_by_text("(average)").first).to_be_visible()
    picture(page, "cells")
    with page.expect_request(re.compile("/runs/search$")) as asked:
        page.reload()
    assert asked.value.post_data_json["max_results"] == 100  # the guide says so: a mean is over these


def test_the_summary_shows_headline_table_and_figure_and_its_report(
    project: Path, links: dict[str, str], go: Open, picture: Picture
) -> None:
    page = go(links["Summary"])
    page.get_by_text("Show more", exact=True).click()
    for cell in CELLS:
        expect(page.get_by_role("cell", name=cell, exact=True)).to_be_visible()
    page.set_viewport_size({"width": 1440, "height": 1200})
    figure = page.locator("img[src*='get-artifact']")
    expect(figure).to_have_js_property("complete", True)
    assert figure.evaluate("image => image.naturalWidth") > 500
    picture(page, "summary")
    page.set_viewport_size({"width": 1440, "height": 900})
    address, _, options = links["Summary"].rpartition("?")  # the first "?" is before the token
    page.goto(f"{address}/artifacts/report.html?{options}")
    shown = page.frame_locator("iframe")
    expect(shown.get_by_role("heading", level=1)).to_contain_text("How far back does each cell remember")
    expect(shown.get_by_role("rowheader", name="GRU", exact=True).first).to_be_visible()
    picture(page, "report")


def test_two_cells_side_by_side(links: dict[str, str], go: Open, picture: Picture) -> None:
    """In the view of curves: the others are hidden by the eye before their names."""
    page = go(links["How far back"])
    curves(page, SKILL)
    for cell in sorted(CELLS - {"GRU", "RNN tanh"}):
        page.locator(f'[row-id*="param.cell.{cell}"]').get_by_text("Hide group").locator("xpath=..").click()
        expect(card(page, SKILL).get_by_text(f"{cell} (retention/skill)")).to_have_count(0)
    assert set(curves(page, SKILL)) == {"GRU", "RNN tanh"}
    picture(page, "two-cells")


def test_comparing_two_runs_draws_their_two_curves(links: dict[str, str], go: Open, picture: Picture) -> None:
    """Two runs are ticked in the table and compared; their curve by lag is a click on the metric."""
    page = go(links["Trials"])
    two = ("GRU, lag log-uniform 1-80, seed 0", "RNN tanh, lag log-uniform 1-80, seed 0")
    for name in two:
        page.locator(".ag-row").filter(has_text=name).locator(".ag-selection-checkbox input").click()
    page.get_by_test_id("runs-compare-button").click()
    metrics = page.locator('a[title="Plot chart"]')
    skill = metrics.filter(has_text=re.compile("^retention/skill$"))
    metrics.first.wait_for()
    while not skill.count():  # the list has what is in sight only
        last = metrics.last.inner_text()
        metrics.last.scroll_into_view_if_needed()
        expect(metrics.last).not_to_have_text(last)
    chart = re.compile(r"#/metric\?")
    while not chart.search(page.url):  # on a busy machine the list is drawn anew under a click, which is lost
        skill.click()
        with contextlib.suppress(TimeoutError):
            page.wait_for_url(chart, timeout=MINUTE / 30)
    plot = page.locator(".js-plotly-plot")
    plot.locator(".scatterlayer .trace").first.wait_for()
    drawn = dict(plot.evaluate("plot => plot.data.map(trace => [trace.name, Array.from(trace.x)])"))
    assert drawn == dict.fromkeys(two, ASKED)
    picture(page, "compared")
