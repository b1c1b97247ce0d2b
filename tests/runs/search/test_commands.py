"""`farback search` and `farback dashboard`, run in this process."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
from optuna_dashboard import get_note
from small_search import SMALL, Small
from typer.testing import CliRunner

from farback.cli import app
from farback.cli.console import Printer
from farback.cli.search import _report
from farback.experiment import Experiment
from farback.experiment.search import SearchOptions
from farback.records.user_error import UserError
from farback.runs.schedule import Remaining, plan
from farback.runs.search import history
from farback.runs.search.api import checked_search
from farback.runs.search.study import existing
from farback.stores.client import connect
from farback.stores.studies import opened
from farback.trials.events import Finished, TrialResult, scores
from farback.trials.trial import Trial


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_a_search_prints_what_it_found_and_where(
    small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty_database: Path
) -> None:
    shutil.copy(empty_database, tmp_path / "results" / "store" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    small(text=SMALL.replace("trials: 4", "trials: 2"))
    text = printed("search", "small", "--workers", "1")
    assert "0 of 4 trials done already" in text
    assert "config   results/small/small-winner-rnn-tanh.yaml" in text
    assert "farback dashboard small" in text
    runs = connect(f"sqlite:///{tmp_path}/results/store/mlflow.db").search_runs(["1"], "tags.kind = 'trial'")
    table = history(checked_search(Experiment.load("configs/small.yaml")))
    keys = [key for keys in table["keys"] for key in keys.split()]
    searched = [run for run in runs if run.data.tags["phase"] == "search"]
    assert sorted(run.data.tags["farback.key"] for run in searched) == sorted(keys)
    assert {run.data.tags["optuna.state"] for run in searched} == {"complete"}
    assert {run.data.params["study"] for run in searched} == {"small/RNN tanh", "small/memoryless"}
    values = {f"{row['group']} #{row['number']}": row["value"] for _, row in table.iterrows()}
    for run in searched:
        assert run.data.metrics["mean over seeds/skill_lag_2"] == values[run.data.params["setting"]]
        assert run.data.tags["values"] in run.info.run_name  # the name says the setting
    assert len({run.data.tags["values"] for run in searched}) > 1
    assert len(runs) == len(searched) + 2 * 2
    storage = opened(f"sqlite:///{tmp_path}/results/store/optuna.db")
    for study in existing(checked_search(Experiment.load("configs/small.yaml")), storage).values():
        assert "The result is in the report, results/small/report.html" in get_note(study)

    again = printed("search", "small", "--trials", "3", "--workers", "1")
    assert "4 of 6 trials done already" in again
    assert "deleted the study small/memoryless" in printed("search", "small", "--restart", "--workers", "1")

    winner = printed("run", "results/small/small-winner-memoryless.yaml", "--dry-run", "--workers", "1")
    assert winner.startswith("small-winner-memoryless: 0 trials recorded already, 2 to train")


class FirstIsAResult:
    """A run whose networks are trained so fast that its first event is a result."""

    def __init__(self, trials: list[Trial]) -> None:
        self.plan = plan(Remaining.of(trials, set()), 1)
        self.trials, self.reported = trials, {trial.key: f"setting {trial.seed}" for trial in trials}
        self.known: dict[str, tuple[str, pd.DataFrame]] = {}

    def report_events(self) -> Iterator[Finished]:
        for trial in self.trials:
            rows = scores([("retention", 0, trial.lag, "success", 1.0)])
            self.known[trial.key] = "finished", rows
            yield Finished(TrialResult(trial.key, rows, "finished"))


def test_the_display_of_fresh_seeds_counts_a_result_that_is_the_first_event_once() -> None:
    base = {"task": "recall", "lag": 2, "cell": "elman", "steps": 0}
    trials = [Trial.model_validate({**base, "seed": seed}) for seed in range(2)]
    signals: Any = SimpleNamespace(display=None)
    _report(cast(Any, FirstIsAResult(trials)), signals, Printer(False))
    assert signals.display.passed == {(f"setting {seed}", 0): {2: [True]} for seed in range(2)}


def test_a_search_is_not_run_as_a_sweep_nor_a_sweep_searched(
    small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    small()
    with pytest.raises(UserError, match=r"small.yaml is a search: run it with `farback search small`"):
        printed("run", "small")
    (tmp_path / "configs" / "one.yaml").write_text("name: one\nbase: {task: recall, lag: 2, cell: elman, steps: 1}\n")
    with pytest.raises(UserError, match=r"one.yaml has no `search:`"):
        printed("search", "one")


def test_a_dashboard_without_a_study_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"sqlite:///.*optuna.db does not exist: `farback search CONFIG` creates it"):
        printed("dashboard")
    monkeypatch.setattr("farback.cli.dashboard.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'farback\[search\]'"):
        printed("dashboard")


def test_the_config_of_the_guide_loads_and_its_condition_may_be_added(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "search.md").read_text()
    config, condition = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    path = tmp_path / "mine_search.yaml"
    for text in (config, config.replace("    init:", f"{condition}    init:")):
        path.write_text(text)
        search = checked_search(Experiment.load(path))
        assert [group.label for group in search.groups] == ["RNN tanh", "GRU", "LSTM"]
    assert {one.path for one in search.space} >= {"optimizer", "optimizer.momentum"}


def test_the_keys_of_the_guide_are_those_of_a_search() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "search.md").read_text()
    table = guide.split("| key | meaning | default |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(SearchOptions.model_fields)
