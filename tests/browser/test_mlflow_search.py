"""MLflow's pages over a real search, opened by the links that `farback ui` prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import mlflow_pages
import pandas as pd
import pytest
from mlflow_pages import Open, Picture, card, headers
from playwright.sync_api import expect

import farback
from farback.experiment import Experiment
from farback.runs.search import Winner

pytestmark = pytest.mark.slow

GROUPS, LAG, TRIALS, SEEDS, FRESH = ("GRU", "LSTM"), 10, 6, 2, 3
CONFIG = f"""
name: rates
question: Which learning rate does each cell want?
base:
  task: {{name: recall, symbols: 4, filler: noise}}
  lag: {LAG}
  hidden: 8
  batch: 32
  optimizer: {{name: adam, lr: 1.0e-3}}
  steps: 300
  evaluate_every: 50
search:
  groups: {{cell: [gru, lstm]}}
  space:
    optimizer.lr: {{log: [3.0e-4, 3.0e-2]}}
    hidden: [8, 16]
  objective: skill
  trials: {TRIALS}
  seeds: {SEEDS}
  report: {{seeds: {FRESH}}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the search in it, done and reported."""
    return mlflow_pages.project(tmp_path_factory.mktemp("project"), "rates", CONFIG, "search")


@pytest.fixture(scope="module")
def links(project: Path) -> Iterator[dict[str, str]]:
    with mlflow_pages.served(project, "rates") as printed:
        yield printed


@pytest.fixture(scope="module")
def history(project: Path) -> pd.DataFrame:
    """What Optuna's own store holds: a row for each setting."""
    return farback.search.history(Experiment.load(project / "configs" / "rates.yaml"))


@pytest.fixture(scope="module")
def winners(project: Path, history: pd.DataFrame) -> tuple[Winner, ...]:
    return farback.search.winners(Experiment.load(project / "configs" / "rates.yaml"), history)


def test_best_first_begins_with_the_setting_that_the_search_liked_best(
    history: pd.DataFrame, links: dict[str, str], go: Open, picture: Picture
) -> None:
    page = go(links["Best first"])
    expect(page.get_by_text(f"{len(GROUPS) * TRIALS * SEEDS} matching runs")).to_be_visible()
    named = [
        "Run Name",
        "Created",
        "group",
        "mean over seeds/skill",
        "this network/skill",
        "optimizer.lr",
        "hidden",
        "seed",
    ]
    expect(page.locator(".ag-header-cell:visible").filter(has_text="hidden")).to_be_in_viewport(ratio=1)
    assert headers(page)[:8] == named
    shown = page.locator('.ag-row [col-id*="mean over seeds/skill"]')
    expect(shown.first).to_be_visible()
    values = [float(text.rstrip("…")) for text in shown.all_inner_texts()]
    best = history["value"].sort_values(ascending=False).repeat(SEEDS).tolist()
    assert values == pytest.approx(best[: len(values)], abs=1e-6)
    picture(page, "search-best-first")


def test_on_fresh_seeds_draws_a_bar_for_each_setting_that_is_reported(
    project: Path, winners: tuple[Winner, ...], links: dict[str, str], go: Open, picture: Picture
) -> None:
    page = go(links["On fresh seeds"])
    plot = card(page, "this network/skill").locator(".js-plotly-plot")
    expect(plot.locator(".bars path").first).to_be_visible()
    drawn = dict(plot.evaluate("plot => plot.data.flatMap(one => one.y.map((name, bar) => [name, one.x[bar]]))"))
    frame = farback.frame("rates", f"sqlite:///{project}/results/store/mlflow.db")
    asked = frame[(frame["measure"] == "retention") & (frame["statistic"] == "skill") & (frame["lag"] == LAG)]
    for one in winners:
        fresh = asked[asked["key"].isin([trial.key for trial in one.trials])]["value"]
        assert len(fresh) == FRESH
        bar = drawn.pop(f"param.setting.{one.group} tuned (#{one.slot})")
        assert bar == pytest.approx(fresh.clip(0, 1).mean(), abs=1e-6)
    assert set(drawn) <= {f"param.setting.{group} default (#0)" for group in GROUPS}  # where another one is the best
    picture(page, "search-on-fresh-seeds")


def test_by_group_has_a_row_for_each_group_with_all_of_its_trials(
    links: dict[str, str], go: Open, picture: Picture
) -> None:
    page = go(links["By group"])
    rows = page.locator(".ag-row").filter(has_text=re.compile("Group: "))
    expect(rows).to_have_count(len(GROUPS))
    for name in GROUPS:
        expect(rows.filter(has_text=f"Group: {name}")).to_contain_text(str(TRIALS * SEEDS))
    picture(page, "search-by-group")


def test_parallel_coordinates_lead_from_the_setting_to_the_value(
    links: dict[str, str], go: Open, picture: Picture
) -> None:
    page = go(links["Parallel coordinates"])
    chart = card(page, "Parallel Coordinates")
    expect(chart.locator("canvas").first).to_be_visible()
    labels = chart.locator(".dimension .label")
    expect(labels).to_have_text(["group", "optimizer.lr", "hidden", "mean over seeds/skill"])
    picture(page, "search-parallel")
