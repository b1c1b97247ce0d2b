"""The page of a small real search, from its two stores."""

from pathlib import Path

import pandas as pd
import pytest

from farback.experiment import Experiment, Search
from farback.records.user_error import UserError
from farback.report.page import Page
from farback.runs.search import history, search, winners
from farback.runs.search.api import checked_search
from farback.runs.search.search_page import publish
from farback.runs.search.winners import default_point, defaults
from farback.stores.memory import Memory

CONFIG = """
name: small
question: Does the page of a search hold?
base:
  task: {name: recall, symbols: 2, filler: blank}
  lag: 2
  hidden: 4
  batch: 8
  steps: 20
  evaluate_every: 10
  optimizer: {name: adam, lr: 1.0e-2}
  measures: [{name: retention, sequences: 50}]
search:
  groups:
    cell: [{name: elman}, {name: elman, nonlinearity: relu}]
  space:
    optimizer.lr: {log: [1e-3, 1e-1]}
    init: [torch, orthogonal]
  objective: skill
  trials: 3
  seeds: 2
  sampler: random
  report: {seeds: 3}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Memory]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "configs").mkdir()
    (folder / "configs" / "small.yaml").write_text(CONFIG)
    experiment = checked_search(Experiment.load(folder / "configs" / "small.yaml"))
    store = Memory()
    search(experiment, workers=1, store=store)
    return experiment, store


@pytest.fixture(scope="module")
def page(done: tuple[Search, Memory]) -> Page:
    return publish(*done)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_a_deleted_folder_is_rebuilt_byte_for_byte(done: tuple[Search, Memory], page: Page) -> None:
    folder = page.report.parent
    before = contents(folder)
    for path in folder.iterdir():
        path.unlink()
    publish(*done)
    assert contents(folder) == before
    assert {"report.md", "small-winner-rnn-tanh.yaml", "small-winner-rnn-relu.yaml", "best_after.png"} <= set(before)


def test_the_search_begins_with_the_default_setting_and_reports_it_beside_the_winner(
    done: tuple[Search, Memory], page: Page
) -> None:
    experiment, _ = done
    past = history(experiment)
    for group in experiment.groups:
        first = past[(past["group"] == group.label) & (past["slot"] == 0)].iloc[0]
        point = default_point(experiment, group)
        assert point == {"optimizer.lr": 1e-2, "init": "torch"}
        assert {path: first[f"param.{path}"] for path in point} == point
    reported = page.analysis.tables[0].frame
    assert list(zip(reported["group"], reported["setting"], strict=True)) == [
        (group.label, setting) for group in experiment.groups for setting in ("tuned", "default")
    ]
    assert (reported["seeds"] == 3).all()


def test_reported_numbers_are_means_over_seeds_that_the_search_never_saw(
    done: tuple[Search, Memory], page: Page
) -> None:
    experiment, store = done
    past, frame = history(experiment), store.frame("small")
    seen = {key for keys in past["keys"] for key in keys.split()}
    reported = page.analysis.tables[0].frame.set_index(["group", "setting"])["value"]
    for one in (*winners(experiment, past), *defaults(experiment, past)):
        keys = [trial.key for trial in one.trials]
        assert not seen & set(keys)
        assert not {trial.seed for trial in one.trials} & set(experiment.search_seeds)
        rows = frame[frame["key"].isin(keys) & (frame["measure"] == "retention") & (frame["statistic"] == "skill")]
        last = rows[(rows["step"] == rows.groupby("key")["step"].transform("max")) & (rows["lag"] == 2)]
        assert len(last) == 3
        assert reported[one.group, one.setting] == pytest.approx(last["value"].clip(0, 1).mean())


def test_budgets_are_equal_and_counted(page: Page) -> None:
    table = next(table for table in page.analysis.tables if table.name == "budgets").frame
    assert table["trials"].tolist() == [3, 3]
    assert table["equal"].all()
    assert (table["updates"] <= table["trainings"] * 20).all()
    assert (table["updates"] > 0).all()


def test_a_winning_config_is_the_reported_setting(done: tuple[Search, Memory], page: Page) -> None:
    experiment, _ = done
    found = winners(experiment, history(experiment))
    for winner, name in zip(found, ("small-winner-rnn-tanh", "small-winner-rnn-relu"), strict=True):
        config = Experiment.load(page.report.parent / f"{name}.yaml")
        assert [trial.key for trial in config.trials()] == [trial.key for trial in winner.trials]


def test_the_summary_run_carries_the_page_and_the_note(done: tuple[Search, Memory], page: Page) -> None:
    _, store = done
    summary = store.experiments["small"].summary
    assert summary is not None
    assert set(summary.files) == {path.name for path in page.files}
    assert summary.files[page.report.name] == page.report.read_bytes()
    assert "fresh seeds" in summary.note
    assert set(summary.metrics) == set(page.analysis.metrics)


def test_the_views_know_what_is_searched(done: tuple[Search, Memory]) -> None:
    views = done[1].experiments["small"].views
    assert views is not None
    assert views.parameters == ("optimizer.lr", "init.name")
    assert views.objectives == (("skill", True),)
    assert views.groups == ("RNN tanh", "RNN relu")
    assert {text.split()[2] for text in views.settings} == {"tuned", "default"}


def test_a_random_search_has_the_band_of_all_orders(page: Page) -> None:
    curve: pd.DataFrame = next(part.frame for part in page.analysis.parts if part.name == "best_after")
    last = curve.groupby("group").last()
    assert (last["best"] == last["expected"]).all()
    assert "all orders" not in page.report.read_text()  # the figure has it


def test_without_fresh_seeds_there_is_no_page(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    with pytest.raises(UserError, match="no setting of small was trained on fresh seeds"):
        publish(checked_search(Experiment.load(path)), Memory())


def test_a_search_that_reports_no_default_does_not_begin_with_it(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG.replace("{seeds: 3}", "{seeds: 2, default: false}"))
    experiment = checked_search(Experiment.load(path, ["search.trials=2", "steps=1", "evaluate_every=1"]))
    store = Memory()
    search(experiment, workers=1, store=store)
    assert (history(experiment)["param.optimizer.lr"] != 1e-2).all()
    assert defaults(experiment, history(experiment)) == []
