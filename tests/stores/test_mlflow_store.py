"""What MLflow's runs look like, and what survives accidents."""

import logging
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from made_up import finished, progress, trial

from farback.records.user_error import UserError
from farback.stores import database, locations, queries
from farback.stores.leases import Leases
from farback.stores.mlflow import MLflow, MLflowRecorder
from farback.stores.queries import RunLookup
from farback.trials.events import Failed, Finished, TrialResult, scores

GONE = f"{socket.gethostname()}:{2**22 + 1}:1.00"  # above the largest pid that Linux gives
ELSEWHERE = "another-host:1:1.00"


def runs(store: MLflow, text: str = "") -> list:
    return list(store.client.search(store.client.mlflow.get_experiment_by_name("first").experiment_id, text))


def artifacts(uri: str, name: str) -> list[Path]:
    return list(locations.database(uri).parent.rglob(f"artifacts/first/*/artifacts/{name}"))


@pytest.mark.slow
def test_stores_are_light_to_import() -> None:
    code = """
import sys, farback.cli.ui
assert not {"mlflow", "torch"} & sys.modules.keys()
import farback.stores.mlflow
assert "mlflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_trial_is_recorded_beside_its_database_and_leaves_nothing_elsewhere(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even for a moment, in which a kill would leave it: there is no folder for what is temporary."""
    page = tmp_path / "page.md"
    page.write_text("a page")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with MLflow(uri) as store:
        with store.begin("first", [trial(0), trial(1)]) as recorder:
            recorder.put(progress(trial(0)))
            recorder.put(finished(trial(0)))
            recorder.put(Failed(trial(1).key, "no", "Traceback ..."))
        store.summarise("first", metrics={"horizon": 3.0}, files=[page])
        assert set(store.frame("first")["key"]) == {trial(0).key}
    assert [path.read_text() for path in artifacts(uri, "traceback.txt")] == ["Traceback ..."]


def test_a_run_has_the_trial_s_tags_parameters_and_metrics(uri: str) -> None:
    one = trial(seed=3, lag=20)
    with MLflow(uri) as store:
        with store.begin("first", [one]) as recorder:
            for step in (100, 300, 200):
                recorder.put(progress(one, step))
            recorder.put(finished(one, skill=0.5))
        (run,) = runs(store)
        history = {m.step: m.value for m in store.client.mlflow.get_metric_history(run.info.run_id, "retention/skill")}
        curve = [m.step for m in store.client.mlflow.get_metric_history(run.info.run_id, "train/loss")]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "GRU, lag 20, seed 3"
    assert run.info.start_time <= run.info.end_time
    said = run.data.tags
    assert (said["kind"], said["cell"], said["status"]) == ("trial", "GRU", "finished")
    assert (said["farback.key"], said["farback.shape"], said["farback.group"]) == (one.key, one.shape, one.group)
    assert said["owner"].startswith(f"{socket.gethostname()}:{os.getpid()}:")
    assert {"version.farback", "version.torch", "version.mlflow", "version.python"} <= set(said)
    parameters = run.data.params
    assert (parameters["lag"], parameters["bias"], parameters["task.length"]) == ("20", "true", "none")
    assert history == {1: 0.5, 10: 0.05, 100: 0.005}
    assert sorted(curve) == [100, 200, 300]
    values = run.data.metrics
    assert (values["final/skill"], values["best/skill"], values["best/loss"]) == (0.5, 0.5, 1 / 300)
    assert values["final/training_updates"] == 1000
    assert "final/lyapunov_largest" not in values  # infinite: only in the exact artifact
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("recall", one.task.digest())


@pytest.mark.parametrize(
    ("passed", "horizon"),
    [((True, False), "10 to 20"), ((True, True), "at least 20"), ((False, False), "below 10")],
)
def test_a_run_says_its_horizon_and_whether_it_is_a_bound(uri: str, passed: tuple[bool, bool], horizon: str) -> None:
    one = trial()
    rows = [("retention", 1000, lag, "success", float(each)) for lag, each in zip((10, 20), passed, strict=True)]
    with MLflow(uri) as store:
        with store.begin("first", [one]) as recorder:
            recorder.tag(one.key, {"values": "lr 0.003, hidden 8"})
            recorder.put(Finished(TrialResult(one.key, scores(rows), "finished")))
        (run,) = runs(store)
    assert run.data.tags["horizon"] == horizon
    assert run.info.run_name == "GRU, lag 10, lr 0.003, hidden 8, seed 0"  # what a search chose is in the name


def test_reopening_sees_everything(uri: str) -> None:
    one, two = trial(1), trial(2)
    with MLflow(uri) as store:
        with store.begin("first", [one, two]) as recorder:
            recorder.put(finished(one))
            recorder.put(progress(two))
        before = store.frame("first")
    with MLflow(uri) as again:
        pd.testing.assert_frame_equal(again.frame("first"), before, check_exact=True)
        again.begin("first", [one, two]).close()
        assert again.finished("first", [one.key, two.key]) == {one.key}
        assert [run.info.status for run in runs(again, f"tags.`farback.key` = '{two.key}'")] == ["KILLED"]


@pytest.mark.parametrize(("owner", "status"), [(GONE, "KILLED"), (ELSEWHERE, "RUNNING"), (None, "RUNNING")])
def test_only_runs_of_dead_drivers_are_closed(uri: str, owner: str | None, status: str) -> None:
    one = trial()
    crashed = MLflow(uri)
    crashed.begin("first", [one]).put(progress(one))
    (run,) = runs(crashed)
    if owner is None:  # a driver that lives: our parent
        parent = psutil.Process(os.getppid())
        owner = f"{socket.gethostname()}:{parent.pid}:{parent.create_time():.2f}"
    crashed.client.mlflow.set_tag(run.info.run_id, "owner", owner)
    with MLflow(uri) as store, store.begin("first", [one]) as recorder:
        assert [each.info.status for each in runs(store)] == [status]
        assert store.finished("first", [one.key]) == set()
        recorder.put(finished(one))
        assert store.finished("first", [one.key]) == {one.key}
        kinds = sorted(each.data.tags["kind"] for each in runs(store))
    assert kinds == (["superseded", "trial"] if status == "KILLED" else ["trial", "trial"])


def test_a_reused_pid_is_not_the_old_owner(uri: str) -> None:
    one = trial()
    crashed = MLflow(uri)
    crashed.begin("first", [one]).put(progress(one))
    owner = f"{socket.gethostname()}:{os.getpid()}:1.00"
    crashed.client.mlflow.set_tag(runs(crashed)[0].info.run_id, "owner", owner)
    with MLflow(uri) as store, store.begin("first", [one]):
        assert runs(store)[0].info.status == "KILLED"


def test_a_failure_keeps_its_reason(uri: str) -> None:
    one = trial()
    with MLflow(uri) as store, store.begin("first", [one]) as recorder:
        recorder.put(Failed(one.key, "RuntimeError: out of memory", "Traceback: here"))
        (run,) = runs(store)
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", "RuntimeError: out of memory")
    assert artifacts(uri, "traceback.txt")[0].read_text() == "Traceback: here"


def test_the_summary_is_replaced(uri: str, tmp_path: Path) -> None:
    for name in ("old.csv", "new.csv"):
        (tmp_path / name).write_text(name)
    with MLflow(uri) as store:
        store.begin("first", [trial()], question="How far?", config_text="name: first").close()
        store.summarise(
            "first", note="old", metrics={"horizon/GRU": 1.0}, tags={"a/bound": "below"}, files=[tmp_path / "old.csv"]
        )
        new = {"horizon/GRU": 2.0, "more": 3.0}
        store.summarise("first", note="new", metrics=new, tags={"b/bound": "below"}, files=[tmp_path / "new.csv"])
        (run,) = runs(store, "tags.kind = 'summary'")
        assert run.data.tags["mlflow.note.content"] == "new"
        assert run.data.metrics == new
        assert {name: text for name, text in run.data.tags.items() if "/" in name} == {"b/bound": "below"}
        assert artifacts(uri, "new.csv")
        assert not artifacts(uri, "old.csv")
        store.summarise("first", metrics={"horizon/LSTM": 1.0})  # a metric that is gone must not linger
        (run,) = runs(store, "tags.kind = 'summary'")
        assert run.data.metrics == {"horizon/LSTM": 1.0}
        note = store.client.mlflow.get_experiment_by_name("first").tags["mlflow.note.content"]
    assert "How far?" in note
    assert f"/runs/{run.info.run_id}" in note
    assert "name: first" in note


def test_an_unchanged_summary_is_not_written_again(uri: str, tmp_path: Path) -> None:
    page = tmp_path / "report.md"
    page.write_text("a page")
    with MLflow(uri) as store:
        store.begin("first", [trial()], question="How far?").close()
        store.summarise("first", metrics={"horizon": 1.0}, files=[page], question="How far?")
    with MLflow(uri, reading=True) as again:
        again.summarise("first", metrics={"horizon": 1.0}, files=[page], question="How far?")
        assert "bare" not in vars(again.client)  # MLflow was not imported
        again.summarise("first", metrics={"horizon": 1.0}, files=[page], question="How far back?")
        assert "How far back?" in again.client.mlflow.get_experiment_by_name("first").tags["mlflow.note.content"]
        (kept,) = artifacts(uri, "report.md")
        for change in (lambda: page.write_text("another page"), kept.unlink):
            change()
            again.summarise("first", metrics={"horizon": 1.0}, files=[page], question="How far back?")
            assert kept.read_text() == "another page"


@pytest.mark.parametrize("where", ["uri", "on_postgres"])
def test_looking_up_runs_in_the_database_agrees_with_mlflow_s_search(
    where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = request.getfixturevalue(where)
    trials = [trial(seed) for seed in range(3)]
    with MLflow(uri) as store, store.begin("first", trials) as recorder:
        recorder.put(finished(trials[0]))
        recorder.put(Failed(trials[1].key, "no"))
        recorder.put(progress(trials[2]))
        store.summarise("first")
        experiment_id = recorder.experiment_id
        some = [trials[1].key, trials[2].key, trial(3).key]
        many = [*some, *(f"{number:016x}" for number in range(2000))]
        running, ended = store.lookup.running(experiment_id), store.lookup.ended(experiment_id)
        found = store.lookup.ended(experiment_id, many)
        monkeypatch.setattr(queries, "ENDED", "select from nowhere")
        monkeypatch.setattr(queries, "ENDED_AMONG", "select from nowhere")
        monkeypatch.setattr(queries, "RUNNING", "select from nowhere")
        slow = RunLookup(store.client)
        assert slow.running(experiment_id) == running
        assert {bare(run) for run in slow.ended(experiment_id)} == {bare(run) for run in ended}
        for keys in (some, many):
            assert [bare(run) for run in slow.ended(experiment_id, keys)] == [bare(run) for run in found]
        assert [run.key for run in found] == [trials[1].key]
        assert [run.key for run in running] == [trials[2].key]
    assert sorted(run.status for run in ended) == ["FAILED", "FINISHED"]


def bare(run: queries.TrackedRun) -> tuple[str, ...]:
    """What both kinds of look-up know of a run."""
    return run.key, run.run_id, run.status, str(run.ended), run.artifacts


def test_lost_artifacts_are_an_error(uri: str) -> None:
    one = trial()
    with MLflow(uri) as store:
        with store.begin("first", [one]) as recorder:
            recorder.put(finished(one))
        artifacts(uri, "scores.csv")[0].unlink()
        with pytest.raises(UserError, match=r"cannot read the scores of run .*farback doctor --repair"):
            store.frame("first")


def test_a_project_may_move(uri: str, tmp_path: Path) -> None:
    one = trial()
    with MLflow(uri) as store:
        with store.begin("first", [one]) as recorder:
            recorder.put(finished(one))
        before = store.frame("first")
    moved = tmp_path / "moved"
    moved.mkdir()
    for part in tmp_path.glob("mlflow.db*"):  # with the write-ahead log, as this process still has it open
        shutil.copy(part, moved)
    shutil.move(tmp_path / "artifacts", moved / "artifacts")
    with MLflow(locations.SQLITE + str(moved / "mlflow.db")) as store:
        pd.testing.assert_frame_equal(store.frame("first"), before, check_exact=True)


def test_a_deleted_experiment_says_so(uri: str) -> None:
    with MLflow(uri) as store, store.begin("first") as recorder:
        store.client.mlflow.delete_experiment(recorder.experiment_id)
    with MLflow(uri) as store, pytest.raises(ValueError, match="was deleted in MLflow"):
        store.begin("first")


def test_loggers_and_warnings_stay_as_they_were(uri: str) -> None:
    MLflow(uri).close()
    names = ("mlflow", "alembic", "")
    before = [logging.getLogger(name).level for name in names]
    with MLflow(uri) as store:
        store.begin("first").close()
    assert [logging.getLogger(name).level for name in names] == before


def _touch(uri: str, seed: int) -> None:
    one = trial(seed)
    with MLflow(uri) as store, store.begin(f"by {seed}", [one]) as recorder:
        recorder.put(finished(one))


@pytest.mark.slow
def test_processes_that_create_one_database_at_once_do_not_break_it(tmp_path: Path) -> None:
    uri = locations.default_uri(tmp_path / "with space")
    spawn = multiprocessing.get_context("spawn")
    crowd = [spawn.Process(target=_touch, args=(uri, seed)) for seed in range(4)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join(240)
    assert [process.exitcode for process in crowd] == [0] * 4
    with MLflow(uri) as store:
        assert all(len(store.frame(f"by {seed}")) for seed in range(4))


def test_an_unfinished_database_is_created_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "mlflow.db"
    path.parent.mkdir()
    path.with_name("mlflow.db.new").write_text("a file of the user")
    script = (
        "import os, sys, pathlib\nfrom farback.stores import database\n"
        "database.create(pathlib.Path(sys.argv[1]), lambda new: (new.write_bytes(b'half'), os._exit(9)))\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 9
    assert not path.exists()
    database.create(path, lambda unfinished: None)
    assert sorted(each.name for each in path.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock", "mlflow.db.new"]


def asleep_for(seconds: float, sleeper: MLflowRecorder, other: MLflowRecorder) -> None:
    """Two drivers of different machines, of which the first is silent for a while after it took its trials."""
    now = 0.0
    for name, recorder in (("sleeper", sleeper), ("other", other)):
        process = f"{name}:1:1.00"
        recorder.leases = Leases(recorder.leases.board, 2000.0, process=process, clock=lambda: now)
    assert sleeper.lease(sleeper.trials) == set(sleeper.trials)
    assert other.lease(other.trials) == set()
    now = seconds


def test_of_two_drivers_that_finish_a_trial_the_newer_run_counts(uri: str) -> None:
    """One slept so long that the other took the trial over: nothing excludes that, so it must do no harm."""
    one, two = trial(1), trial(2)
    with MLflow(uri) as store:
        with store.begin("first", [one, two]) as sleeper, store.begin("first", [one, two]) as other:
            asleep_for(2000.0, sleeper, other)
            sleeper.put(progress(one))
            assert other.lease([one.key]) == {one.key}
            other.put(finished(one, skill=0.5))
            sleeper.put(finished(one, skill=0.5))
            assert sleeper.lease([one.key]) == set()
            sleeper.put(finished(two, skill=0.25))
            found = runs(store, f"tags.`farback.key` = '{one.key}' and attributes.status = 'FINISHED'")
            by_age = sorted(found, key=lambda run: run.info.end_time)
            assert [run.data.tags["kind"] for run in by_age] == ["superseded", "trial"]
        frame = store.frame("first")
        assert len(frame) == 2 * len(finished(one).result.scores)
        assert set(frame["key"]) == {one.key, two.key}


def test_a_dead_driver_s_run_of_a_trial_that_has_finished_does_not_count(uri: str) -> None:
    one = trial()
    with MLflow(uri) as store:
        crashed = store.begin("first", [one])
        crashed.put(progress(one))
        (run,) = runs(store)
        with store.begin("first", [one]) as other:
            other.put(finished(one))
        store.client.mlflow.set_tag(run.info.run_id, "owner", GONE)
        store.begin("first", [one]).close()
        found = {each.data.tags["kind"]: each.info.status for each in runs(store)}
    assert found == {"superseded": "KILLED", "trial": "FINISHED"}


def test_a_killed_run_of_a_trial_that_another_driver_finished_does_not_count(uri: str) -> None:
    one = trial()
    with MLflow(uri) as store:
        with store.begin("first", [one]) as other, store.begin("first", [one]) as cut_off:
            cut_off.put(progress(one))
            other.put(finished(one))
        found = {each.data.tags["kind"]: each.info.status for each in runs(store)}
    assert found == {"superseded": "KILLED", "trial": "FINISHED"}


def test_a_silent_recorder_does_not_end_the_runs_of_its_own_process(uri: str) -> None:
    """An earlier recorder of this process that was never closed is silent, and has this process' identity."""
    one, two = trial(1), trial(2)
    with MLflow(uri, silent_seconds=0.2) as store:
        left = Leases(store.begin("first", [one]).leases.board, 0.2)
        left.take([one.key])
        with store.begin("first", [one, two]) as recorder:
            recorder.put(progress(two))
            deadline = time.monotonic() + 20
            while not recorder.lease([one.key]) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert recorder.lease([one.key]) == {one.key}
            (run,) = runs(store)
            assert run.info.status == "RUNNING"


def test_a_store_retries_again_after_a_recorder_was_abandoned(uri: str) -> None:
    with MLflow(uri, retry_seconds=17.0) as store:
        store.begin("first", [trial()]).abandon()
        assert store.client.retries.seconds == 17.0
