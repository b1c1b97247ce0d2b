"""`farback doctor`, as typed."""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import optuna
import pandas as pd
import pytest
from test_results import half_the_scores
from test_runs import twice
from trained_project import CONFIG, GONE, TrainedProject, left_running

import farback
from farback.cli import main
from farback.runs.search.api import search
from farback.stores import redaction
from farback.stores.mlflow import MLflow
from farback.stores.studies import opened

SEARCH = """\
name: sought
question: Which learning rate?
base:
  task: {name: recall, symbols: 2, filler: blank}
  lag: 2
  batch: 4
  steps: 4
  evaluate_every: 2
  cell: elman
  measures: [{name: retention, lags: [1, 2], sequences: 40}]
search:
  space:
    optimizer.lr: {log: [1.0e-3, 1.0e-1]}
    hidden: {int: [2, 4]}
  objective: {skill: 2}
  trials: 2
  seeds: 1
  sampler: {name: random, seed: 3}
  batch: 2
  report: {seeds: 1}
"""


@pytest.fixture
def typed(
    project: TrainedProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., SimpleNamespace]:
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*arguments: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["farback", "doctor", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=said.out, err=said.err)

    return run


def damage(project: TrainedProject) -> None:
    """Much at once."""
    twice(project)
    runs = project.runs()
    half_the_scores(project.artifacts(runs[-1]))
    project.sql("delete from latest_metrics where run_uuid = ? and key like 'final/%'", runs[-2])
    project.sql("delete from metrics where run_uuid = ? and key like 'final/%'", runs[-2])
    project.sql("delete from tags where run_uuid = ? and key = 'status'", runs[-3])
    left_running(project, GONE)


def test_an_intact_store_says_so(typed: Callable[..., SimpleNamespace]) -> None:
    said = typed()
    assert said.code == 0, said.out
    assert "4 finished trials in 1 experiment" in said.out
    assert said.out.splitlines()[-1] == "The store is intact."
    assert typed("configs/tiny.yaml").out == typed("tiny").out


def test_each_issue_is_one_line_and_the_last_line_gives_the_remedy(
    project: TrainedProject, typed: Callable[..., SimpleNamespace]
) -> None:
    before = project.frame()
    damage(project)
    untouched = project.dump()
    said = typed("tiny")
    lines = said.out.splitlines()
    assert said.code == 1
    assert lines[-1] == "Found 4 faults: `farback doctor --repair` fixes 4."
    assert [line.split()[0] for line in lines if "[--repair:" in line] == ["error"] + ["warning"] * 3
    assert project.dump() == untouched  # a check changes nothing
    repaired = typed("--repair")
    assert repaired.code == 0, repaired.out
    assert (
        repaired.out.splitlines()[-1]
        == "The store is intact. `farback run` trains the trials with damaged results again."
    )
    assert repaired.out.count("[repaired: ") == 4
    after = project.dump()
    again = typed("--repair")
    assert (again.code, again.out.splitlines()[-1]) == (0, "The store is intact.")
    assert project.dump() == after
    assert project.train().trained == 1
    pd.testing.assert_frame_equal(project.frame(), before, check_exact=True)
    assert typed().code == 0


def test_what_cannot_be_repaired_safely_is_counted(
    project: TrainedProject, typed: Callable[..., SimpleNamespace]
) -> None:
    first, second, *_ = project.runs()
    half_the_scores(project.artifacts(first))
    with MLflow(project.uri) as store:
        store.client.mlflow.log_metric(second, "final/skill", 7.0, step=10_000)
    project.path.with_name("optuna.db").write_text("no database")
    assert typed().out.splitlines()[-1] == (
        "Found 3 faults: `farback doctor --repair` fixes 2; the rest need manual action."
    )
    left = typed("--repair")
    assert left.code == 1
    assert "Found 2 faults that cannot be repaired safely: each line says what to do." in left.out.splitlines()[-1]


def test_json_lists_every_issue_and_repair(project: TrainedProject, typed: Callable[..., SimpleNamespace]) -> None:
    damage(project)
    found = json.loads(typed("--json").out)
    assert (found["clean"], found["trials"], found["experiments"]) == (False, 4, 1)
    assert Counter(issue["severity"] for issue in found["issues"]) == {"error": 1, "warning": 3, "note": 1}
    assert all(set(one) >= {"severity", "check", "what", "where", "remedy", "repairable"} for one in found["issues"])
    assert sum(issue["repairable"] for issue in found["issues"]) == 4
    after = json.loads(typed("--json", "--repair").out)
    assert (after["clean"], len(after["repaired"])) == (True, 4)
    assert [issue["severity"] for issue in after["issues"]] == ["note"] * len(after["issues"])


def test_many_similar_issues_are_counted_after_the_first(
    project: TrainedProject, typed: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farback.cli.doctor.MOST", 1)
    for run_id in project.runs():
        half_the_scores(project.artifacts(run_id))
    assert "error   scores: 3 more like these (--json lists all)" in typed().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["tinny"], "tiny"), (["--store", "sqlite:///none.db"], "none.db"), (["--store", "./folder"], "sqlite")],
)
def test_a_mistake_is_one_message(typed: Callable[..., SimpleNamespace], arguments: list[str], message: str) -> None:
    said = typed(*arguments)
    assert (said.code, message in said.err) == (2, True), said.err
    assert not Path("none.db").exists()


def test_a_server_that_does_not_answer_is_an_issue_without_secrets(
    typed: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (redaction.USER, redaction.PASSWORD):
        monkeypatch.setenv(name, "")  # set from the URI, and restored after the test
    said = typed("--store", "http://anna:hunter2@127.0.0.1:1")
    assert (said.code, "cannot open it" in said.out, "hunter2" in said.out) == (1, True, False)


def test_trials_that_adaptive_lags_chose_belong_to_the_config(
    project: TrainedProject, typed: Callable[..., SimpleNamespace]
) -> None:
    path = project.root / "configs" / "chosen.yaml"
    listed = "  - cell: [elman, memoryless]\n    lag: [1, 2]\n"
    chosen = "  - cell: [elman]\n    lag: {adaptive: [1, 8], precision: 1, limit: 12}\n"
    rates = "    tune: {optimizer.lr: [1.0e-3, 1.0e-2]}\n"
    assert listed in CONFIG
    text = CONFIG.replace("name: tiny", "name: chosen").replace(listed, chosen + rates).replace("[1, 2]", "[1, 2, 8]")
    path.write_text(text)
    farback.run(path, workers=1, store=project.uri)
    found = json.loads(typed("chosen", "--json").out)
    assert (found["issues"], found["trials"] > 6) == ([], True)
    path.write_text(text.replace("1.0e-2", "2.0e-2"))  # some trials are of a setting that is gone
    assert "are not in the present configs/chosen.yaml" in typed("chosen").out


def test_a_search_and_its_database_of_studies_are_checked(
    project: TrainedProject, typed: Callable[..., SimpleNamespace]
) -> None:
    (project.root / "configs" / "sought.yaml").write_text(SEARCH)
    search(project.root / "configs" / "sought.yaml", workers=1, store=project.uri)
    found = json.loads(typed("sought", "--json").out)
    assert (found["issues"], found["trials"] > 0) == ([], True)
    study = optuna.load_study(study_name="sought", storage=opened(project.target().storage).optuna)
    study.ask().set_user_attr("owner", GONE)
    assert typed().code == 0  # the next search gives it up
    project.path.with_name("optuna.db").write_bytes(b"SQLite format 3\0" + bytes(5000))
    broken = typed()
    assert (broken.code, "optuna.db" in broken.out) == (1, True)
    os.remove(project.path.with_name("optuna.db"))
    assert "2 of 3 finished trials are not in the present configs/sought.yaml" in typed("sought").out
