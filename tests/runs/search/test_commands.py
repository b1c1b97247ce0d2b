"""`farback search` and `farback dashboard`, run in this process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conftest import Small
from farback.cli import app
from farback.experiment import Experiment
from farback.experiment.search import Options
from farback.records.record import UserError
from farback.runs.search import history
from farback.stores.client import client


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_search_says_what_it_found_and_where(small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    small()
    text = said("search", "small", "--workers", "1")
    assert "0 of 8 trials done already" in text
    assert "config   results/small/winner-rnn-tanh.yaml" in text
    assert "farback dashboard small" in text
    runs = client(f"sqlite:///{tmp_path}/results/store/mlflow.db").search_runs(["1"], "tags.kind = 'trial'")
    table = history(Experiment.load("configs/small.yaml"))
    keys = [key for keys in table["keys"] for key in keys.split()]
    searched = [run for run in runs if run.data.tags["phase"] == "search"]
    assert sorted(run.data.tags["farback.key"] for run in searched) == sorted(keys)
    assert {run.data.tags["optuna.state"] for run in searched} == {"complete"}
    assert {run.data.params["study"] for run in searched} == {"small/RNN tanh", "small/memoryless"}
    values = {f"{row['group']} #{row['number']}": row["value"] for _, row in table.iterrows()}
    for run in searched:
        assert run.data.metrics["search/skill_lag_2"] == values[run.data.params["setting"]]
    assert len(runs) == len(searched) + 2 * 2

    again = said("search", "small", "--trials", "5", "--workers", "1")
    assert "8 of 10 trials done already" in again
    assert "deleted the study small/memoryless" in said("search", "small", "--restart", "--workers", "1")

    winner = said("run", "results/small/winner-memoryless.yaml", "--dry-run")
    assert winner.startswith("winner-memoryless: 2 trials")


def test_a_search_is_not_run_as_a_sweep_nor_a_sweep_searched(
    small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    small()
    with pytest.raises(UserError, match=r"small.yaml is a search.*`farback search small` runs it"):
        said("run", "small")
    (tmp_path / "configs" / "one.yaml").write_text("name: one\nbase: {task: recall, lag: 2, cell: elman, steps: 1}\n")
    with pytest.raises(UserError, match=r"one.yaml has no search"):
        said("search", "one")


def test_a_dashboard_without_a_study_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"nothing was searched yet in sqlite:///.*optuna.db"):
        said("dashboard")
    monkeypatch.setattr("farback.cli.dashboard.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'farback\[search\]'"):
        said("dashboard")


def test_the_config_of_the_guide_loads_and_its_condition_may_be_added(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "search.md").read_text()
    config, condition = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    path = tmp_path / "tune.yaml"
    for text in (config, config.replace("    init:", f"{condition}    init:")):
        path.write_text(text)
        search = Experiment.load(path).search
        assert search is not None
        assert [group.label for group in search.groups] == ["RNN tanh", "GRU", "LSTM"]
    assert {one.path for one in search.space} >= {"optimizer", "optimizer.momentum"}


def test_the_keys_of_the_guide_are_those_of_a_search() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "search.md").read_text()
    table = guide.split("| key | meaning | default |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(Options.model_fields)
