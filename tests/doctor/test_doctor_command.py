"""`farback doctor`, as typed."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import optuna
import pandas as pd
import pytest
from test_results import half_the_scores
from test_runs import twice
from wards import GONE, Ward, left_running

from farback.cli import main
from farback.doctor import checkup
from farback.experiment import Experiment
from farback.runs.search.api import search
from farback.stores.studies import opened
from farback.system import processes

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
    ward: Ward, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., SimpleNamespace]:
    monkeypatch.chdir(ward.root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*arguments: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["farback", "doctor", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=said.out, err=said.err)

    return run


def hurt(ward: Ward) -> None:
    """Much at once."""
    twice(ward)
    runs = ward.runs()
    half_the_scores(ward.artifacts(runs[-1]))
    ward.sql("delete from latest_metrics where run_uuid = ? and key like 'final/%'", runs[-2])
    ward.sql("delete from metrics where run_uuid = ? and key like 'final/%'", runs[-2])
    left_running(ward, GONE)
    folder = ward.path.parent / "checkpoints" / "tiny"
    folder.mkdir(parents=True)
    (folder / f"{ward.config.trials()[1].key}.safetensors").write_bytes(b"half")
    ward.path.with_name("mlflow.db.new").write_text("half")


def test_a_whole_store_says_so(typed: Callable[..., SimpleNamespace]) -> None:
    said = typed()
    assert said.code == 0, said.out
    assert "4 finished trials in 1 experiment" in said.out
    assert said.out.splitlines()[-1] == "The store is whole."
    assert typed("configs/tiny.yaml").out == typed("tiny").out


def test_what_is_wrong_is_a_line_each_and_the_last_says_what_to_do(
    ward: Ward, typed: Callable[..., SimpleNamespace]
) -> None:
    before = ward.frame()
    hurt(ward)
    untouched = ward.dump()
    said = typed("tiny")
    lines = said.out.splitlines()
    assert said.code == 1
    assert lines[-1] == "Found 6 faults: `farback doctor --repair` mends 6."
    assert [line.split()[0] for line in lines if "[--repair:" in line] == ["warning", "error"] + ["warning"] * 4
    assert ward.dump() == untouched  # looking changes nothing
    repaired = typed("--repair")
    assert repaired.code == 0, repaired.out
    assert repaired.out.splitlines()[-1] == "The store is whole. `farback run` trains again what was set aside."
    assert repaired.out.count("[mended: ") >= 6
    after = ward.dump()
    again = typed("--repair")
    assert (again.code, again.out.splitlines()[-1]) == (0, "The store is whole.")
    assert ward.dump() == after
    assert ward.train().trained == 1
    pd.testing.assert_frame_equal(ward.frame(), before, check_exact=True)
    assert typed().code == 0


def test_as_json_it_is_all_there(ward: Ward, typed: Callable[..., SimpleNamespace]) -> None:
    hurt(ward)
    said = json.loads(typed("--json").out)
    assert (said["clean"], said["trials"], said["experiments"]) == (False, 4, 1)
    assert len(said["findings"]) == 6
    assert all(set(one) >= {"severity", "check", "what", "where", "remedy", "repairable"} for one in said["findings"])
    mended = json.loads(typed("--json", "--repair").out)
    assert (mended["clean"], len(mended["findings"])) == (True, 0)
    assert len(mended["mended"]) >= 6


def test_of_many_alike_the_first_are_shown_and_the_rest_is_counted(
    ward: Ward, typed: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farback.cli.doctor.MOST", 1)
    for run_id in ward.runs():
        half_the_scores(ward.artifacts(run_id))
    assert "error   scores: 3 more like these (--json lists all)" in typed().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["tinny"], "tiny"), (["--store", "sqlite:///none.db"], "none.db"), (["--store", "./folder"], "sqlite")],
)
def test_a_mistake_is_one_message(typed: Callable[..., SimpleNamespace], arguments: list[str], message: str) -> None:
    said = typed(*arguments)
    assert (said.code, message in said.err) == (2, True), said.err
    assert not Path("none.db").exists()


def test_a_server_that_does_not_answer_is_a_finding_without_secrets(
    typed: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> None:
        raise ConnectionError("http://anna:hunter2@127.0.0.1:1/api does not answer")

    monkeypatch.setattr(checkup, "_experiments", refuse)
    said = typed("--store", "http://anna:hunter2@127.0.0.1:1")
    assert (said.code, "cannot open it" in said.out, "hunter2" in said.out) == (1, True, False)


def test_what_dead_processes_left_in_a_study_is_given_up(ward: Ward, typed: Callable[..., SimpleNamespace]) -> None:
    (ward.root / "configs" / "sought.yaml").write_text(SEARCH)
    config = Experiment.load(ward.root / "configs" / "sought.yaml")
    search(config, workers=1, store=ward.uri)
    assert typed().code == 0
    storage = opened(ward.patient().storage)
    study = optuna.load_study(study_name="sought", storage=storage.optuna)
    dead, alive, early = (study.ask() for _ in range(3))
    dead.set_user_attr("owner", GONE)
    alive.set_user_attr("owner", processes.identity())
    said = typed()
    assert said.code == 1
    assert f"trial {dead.number} of the study sought" in said.out
    assert f"trial {early.number} of the study sought" in said.out
    assert typed("tiny").code == 0  # of another experiment
    assert typed("--repair").code == 0
    states = [study.trials[one.number].state.name for one in (dead, alive, early)]
    assert states == ["FAIL", "RUNNING", "FAIL"]
    assert study.trials[dead.number].user_attrs["reason"].endswith("is gone")
    ward.path.with_name("optuna.db").write_bytes(b"SQLite format 3\0" + bytes(5000))
    broken = typed()
    assert (broken.code, "optuna.db" in broken.out) == (1, True)


def test_the_trials_of_a_search_are_in_its_config(ward: Ward, typed: Callable[..., SimpleNamespace]) -> None:
    (ward.root / "configs" / "sought.yaml").write_text(SEARCH)
    search(ward.root / "configs" / "sought.yaml", workers=1, store=ward.uri)
    said = json.loads(typed("sought", "--json").out)
    assert (said["findings"], said["trials"] > 0) == ([], True)
    os.remove(ward.path.with_name("optuna.db"))
    assert "not in configs/sought.yaml" in typed("sought").out
