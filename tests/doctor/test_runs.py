"""Runs that dead drivers left, and trials that have several runs."""

import os
import socket
from dataclasses import replace

import pandas as pd
import psutil
import pytest
from trained_project import GONE, TrainedProject, left_running, of

from farback.doctor import checkup, files
from farback.experiment import Experiment
from farback.stores import locations
from farback.stores.mlflow import MLflow
from farback.system import processes
from farback.trials.events import Failed, Finished, TrialResult

PARENT = f"{socket.gethostname()}:{os.getppid()}:{psutil.Process(os.getppid()).create_time():.2f}"


def test_a_run_whose_driver_is_gone_is_a_note_until_the_next_run_ends_it(
    project: TrainedProject, intact: TrainedProject
) -> None:
    run_id = left_running(project, GONE)
    before = project.dump()
    found = project.repair()
    (note,) = found.issues
    assert (note.severity, note.check, found.is_clean) == ("note", "unfinished", True)
    assert "1 run left by drivers that are gone" in note.what
    assert project.dump() == before
    project.train()
    assert project.check().issues == []
    assert project.sql("select status from runs where run_uuid = ?", run_id) == [("KILLED",)]
    assert "is gone" in str(project.tag(run_id, "killed"))
    assert project.tag(run_id, "kind") == "superseded"  # its trial had finished before: the two would be averaged
    pd.testing.assert_frame_equal(project.frame(), intact.frame(), check_exact=True)


def test_a_dead_driver_is_seen_without_a_config(project: TrainedProject) -> None:
    left_running(project, GONE, seed=7)
    project.config.path.unlink()
    assert [(note.severity, note.check) for note in project.check().issues] == [("note", "unfinished")]


@pytest.mark.parametrize("owner", [PARENT, "another-host:1:1.00"])
def test_trials_of_a_driver_that_may_be_alive_are_not_repaired(project: TrainedProject, owner: str) -> None:
    twice(project)
    run_id = left_running(project, owner)
    key = project.tag(run_id, "farback.key")
    damaged = next(each for each in project.runs() if project.tag(each, "farback.key") == key)
    (project.artifacts(damaged) / "scores.csv").unlink()
    before = project.dump()
    found = project.check()
    assert of(found.issues, "unfinished", "note")
    assert not any(issue.repairs for issue in found.issues)
    assert project.repair().repaired == []
    assert project.dump() == before


def twice(project: TrainedProject, status: str = "finished") -> None:
    """The first trial finishes again, by a driver that is killed before it marks the run that was there."""
    trial = project.config.trials()[0]
    ((old,),) = project.sql("select run_uuid from tags where key = 'farback.key' and value = ?", trial.key)[:1]
    frame = project.frame()
    own = frame[frame["key"] == trial.key]
    with MLflow(project.uri) as store, store.begin("tiny", [trial]) as recorder:
        recorder.put(Finished(TrialResult(trial.key, own, status)))  # type: ignore[arg-type]
    project.set_tag(str(old), "kind", "trial")


def test_the_newest_run_of_a_trial_counts(project: TrainedProject) -> None:
    twice(project, "diverged")
    before = project.frame()
    assert set(before["status"]) == {"finished", "diverged"}  # the frame takes the newest, too
    found = of(project.check().issues, "duplicates", "warning")
    assert len(found) == 1
    assert "finished by 2 runs" in found[0].what
    after = project.repair()
    assert after.is_clean
    assert [kind for (kind,) in project.sql("select value from tags where key = 'kind'")].count("superseded") == 1
    pd.testing.assert_frame_equal(project.frame(), before, check_exact=True)


def test_the_newest_readable_run_of_a_trial_counts(project: TrainedProject, intact: TrainedProject) -> None:
    twice(project, "diverged")
    ((newest,),) = project.sql("select run_uuid from runs order by end_time desc limit 1")
    (project.artifacts(str(newest)) / "scores.csv").unlink()
    assert project.repair().is_clean
    assert project.tag(str(newest), "kind") == "set aside"
    pd.testing.assert_frame_equal(project.frame(), intact.frame(), check_exact=True)  # nothing had to be trained again


def test_a_failed_trial_is_a_note(project: TrainedProject) -> None:
    extra = Experiment.load(project.config.path, ["seed=7"]).trials()[0]
    with MLflow(project.uri) as store, store.begin("tiny", [extra]) as recorder:
        recorder.put(Failed(extra.key, "no"))
    (note,) = project.check().issues
    assert (note.severity, note.check) == ("note", "unfinished")
    assert "1 trial ended without a result (1 failed)" in note.what
    assert project.check().is_clean


def test_trials_that_the_config_no_longer_names_are_a_note(project: TrainedProject) -> None:
    path = project.config.path
    path.write_text(path.read_text().replace("lag: [1, 2]\n", "lag: [1]\n"))
    (note,) = project.check().issues
    assert (note.severity, note.check) == ("note", "config")
    assert "2 of 4 finished trials" in note.what
    path.write_text("name: [")
    assert project.check().issues == []  # `farback run` reports a mistake in a config
    path.unlink()
    assert project.check().issues == []


def test_other_versions_are_a_note(project: TrainedProject) -> None:
    for run_id in project.runs()[:3]:
        project.set_tag(run_id, "provenance.torch", "1.0")
    found = project.check()
    assert found.is_clean
    assert [(one.severity, one.check) for one in found.issues] == [("note", "versions")] * 2
    assert "3 trials made by torch 1.0" in found.issues[0].what


def test_a_store_behind_a_server_gives_the_same_issues(
    project: TrainedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a server: everything is asked of MLflow, and artifacts are fetched through it."""
    twice(project)
    left_running(project, GONE)
    runs = project.runs()
    (project.artifacts(runs[0]) / "scores.csv").write_text("measure,step")
    (project.artifacts(runs[1]) / "result.json").unlink()
    direct = project.check().issues
    monkeypatch.setattr(locations, "database", lambda uri: None)
    monkeypatch.setattr(locations, "local", lambda artifacts, uri, project=None: None)
    remote = replace(project.target(), storage="sqlite:///none")
    monkeypatch.setattr(files, "studies", lambda uri: iter(()))
    assert sorted(map(str, checkup.check(remote).issues)) == sorted(map(str, direct))
    assert checkup.check(remote, repair=True).is_clean
    monkeypatch.undo()
    assert project.check().is_clean


def test_a_trial_in_training_by_this_process_is_not_repaired(project: TrainedProject) -> None:
    left_running(project, processes.identity())
    assert [issue.severity for issue in project.repair().issues] == ["note"]


def test_a_second_summary_is_found_and_set_aside(project: TrainedProject) -> None:
    with MLflow(project.uri) as store:
        store.summarise("tiny")
        experiment_id = store.client.mlflow.get_experiment_by_name("tiny").experiment_id
        second = store.client.create_run(experiment_id, {"kind": "summary", "owner": GONE}, "summary").info.run_id
    (issue,) = of(project.check().issues, "duplicates", "warning")
    assert "several summaries" in issue.what
    assert second in issue.where
    assert project.repair().issues == []
    assert project.tag(second, "kind") == "superseded"
