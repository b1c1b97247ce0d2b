"""Runs that dead drivers left, and those that count twice."""

import os
import socket
from dataclasses import replace

import pandas as pd
import psutil
import pytest
from wards import GONE, Ward, left_running, of

from farback.experiment import Experiment
from farback.stores import locations
from farback.stores.mlflow import MLflow
from farback.system import processes
from farback.trials.events import Failed, Finished, TrialResult

PARENT = f"{socket.gethostname()}:{os.getppid()}:{psutil.Process(os.getppid()).create_time():.2f}"


def test_a_run_whose_driver_is_gone_is_ended(ward: Ward, whole: Ward) -> None:
    run_id = left_running(ward, GONE)
    (found,) = ward.looked().findings
    assert (found.severity, found.check, found.where) == ("warning", "unfinished", f"run {run_id}")
    after = ward.repaired()
    assert after.findings == []
    assert ward.sql("select status from runs where run_uuid = ?", run_id) == [("KILLED",)]
    assert "is gone" in str(ward.tag(run_id, "killed"))
    assert ward.tag(run_id, "kind") == "superseded"  # its trial had finished before: the two would be averaged
    pd.testing.assert_frame_equal(ward.frame(), whole.frame(), check_exact=True)


@pytest.mark.parametrize("owner", [PARENT, "another-host:1:1.00", ""])
def test_a_driver_that_may_live_is_left_alone(ward: Ward, owner: str) -> None:
    twice(ward)
    run_id = left_running(ward, owner)
    key = ward.tag(run_id, "farback.key")
    hurt = next(each for each in ward.runs() if ward.tag(each, "farback.key") == key)
    (ward.artifacts(hurt) / "scores.csv").unlink()
    before = ward.dump()
    found = ward.looked()
    assert of(found.findings, "unfinished", "note")
    assert not any(finding.mends for finding in found.findings)
    assert ward.repaired().mended == []
    assert ward.dump() == before


def twice(ward: Ward, status: str = "finished") -> None:
    """The first trial finishes again, by a driver that is killed before it marks the run that was there."""
    trial = ward.config.trials()[0]
    ((old,),) = ward.sql("select run_uuid from tags where key = 'farback.key' and value = ?", trial.key)[:1]
    with MLflow(ward.uri) as store:
        store.begin("tiny", [trial])
        frame = store.frame("tiny")
        own = frame[frame["key"] == trial.key]
        store.put(Finished(TrialResult(trial.key, own, status)))  # type: ignore[arg-type]
    ward.set_tag(str(old), "kind", "trial")


def test_of_runs_of_one_trial_the_newest_stays(ward: Ward) -> None:
    twice(ward, "diverged")
    before = ward.frame()
    assert set(before["status"]) == {"finished", "diverged"}  # the frame takes the newest, too
    found = of(ward.looked().findings, "duplicates", "warning")
    assert len(found) == 1
    assert "finished by 2 runs" in found[0].what
    after = ward.repaired()
    assert after.is_clean
    assert [kind for (kind,) in ward.sql("select value from tags where key = 'kind'")].count("superseded") == 1
    pd.testing.assert_frame_equal(ward.frame(), before, check_exact=True)


def test_of_runs_of_one_trial_the_newest_that_can_be_read_stays(ward: Ward, whole: Ward) -> None:
    twice(ward, "diverged")
    ((newest,),) = ward.sql("select run_uuid from runs order by end_time desc limit 1")
    (ward.artifacts(str(newest)) / "scores.csv").unlink()
    assert ward.repaired().is_clean
    assert ward.tag(str(newest), "kind") == "set aside"
    pd.testing.assert_frame_equal(ward.frame(), whole.frame(), check_exact=True)  # nothing had to be trained again


def test_what_failed_is_a_note_until_it_has_finished(ward: Ward) -> None:
    extra = Experiment.load(ward.config.path, ["seed=7"]).trials()[0]
    with MLflow(ward.uri) as store:
        store.begin("tiny", [extra])
        store.put(Failed(extra.key, "no"))
    (note,) = ward.looked().findings
    assert (note.severity, note.check) == ("note", "unfinished")
    assert "1 trial ended without a result (1 failed)" in note.what
    assert ward.looked().is_clean


def test_trials_that_the_config_no_longer_names_are_a_note(ward: Ward) -> None:
    path = ward.config.path
    path.write_text(path.read_text().replace("lag: [1, 2]\n", "lag: [1]\n"))
    (note,) = ward.looked().findings
    assert (note.severity, note.check) == ("note", "config")
    assert "2 of 4 finished trials" in note.what
    path.write_text("name: [")
    assert ward.looked().findings == []  # what is wrong with a config `farback run` says
    path.unlink()
    assert ward.looked().findings == []


def test_other_versions_are_a_note(ward: Ward) -> None:
    for run_id in ward.runs()[:3]:
        ward.set_tag(run_id, "provenance.torch", "1.0")
    found = ward.looked()
    assert found.is_clean
    assert [(one.severity, one.check) for one in found.findings] == [("note", "versions")] * 2
    assert "3 trials made by torch 1.0" in found.findings[0].what


def test_without_the_file_at_hand_the_findings_are_the_same(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a server: everything is asked of MLflow, and artifacts are fetched through it."""
    twice(ward)
    left_running(ward, GONE)
    runs = ward.runs()
    (ward.artifacts(runs[0]) / "scores.csv").write_text("measure,step")
    (ward.artifacts(runs[1]) / "result.json").unlink()
    direct = ward.looked().findings
    with MLflow(ward.uri) as store:
        monkeypatch.setattr("farback.stores.client.client", lambda uri: store.client)
        monkeypatch.setattr(locations, "database", lambda uri: None)
        monkeypatch.setattr(locations, "local", lambda artifacts, uri: None)
        remote = replace(ward.patient(), storage="sqlite:///none")
        monkeypatch.setattr("farback.doctor.checkup.studies", lambda *given: iter(()))
        from farback.doctor.checkup import examine

        assert sorted(map(str, examine(remote).findings)) == sorted(map(str, direct))
        assert examine(remote, repair=True).is_clean
    monkeypatch.undo()
    assert ward.looked().is_clean


def test_this_process_is_alive_and_a_trial_of_its_is_left_alone(ward: Ward) -> None:
    left_running(ward, processes.identity())
    assert [finding.severity for finding in ward.repaired().findings] == ["note"]
