"""Several drivers train one sweep: every trial has one result, whichever driver dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import farback
import servers
from farback.executors import Serial
from farback.experiment import Experiment, Sweep
from farback.runs import sweep
from farback.runs.leased_work import LeasedWork
from farback.stores import locations
from farback.stores.leases import HEARTBEAT, LEASE
from farback.stores.memory import Memory
from farback.stores.mlflow import MLflow
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Finished, Reused
from open_sweeps import session

CONFIG = """\
name: shared
base:
  task: {{name: recall, symbols: 2, filler: blank}}
  hidden: 4
  batch: 8
  steps: {steps}
  evaluate_every: 10
  stop: never
  measures: [{{name: retention, lags: [1, 3], sequences: 50}}]
sweep:
  - cell: [elman, gru]
    lag: [1]
    seed: {{range: 4}}
"""
RARE = 4  # trials that two drivers train, having leased them at the same moment
DRIVE = """
import sys, farback
done = farback.run(sys.argv[1], workers=1, store=sys.argv[2])
print(done.trained, done.reused, done.failed)
"""


def config(folder: Path, steps: int = 20) -> Sweep:
    path = folder / "configs" / "shared.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(CONFIG.format(steps=steps))
    return sweep.checked_sweep(Experiment.load(path))


def test_drivers_in_one_process_share_the_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them may rarely train one trial; the store has one result of each, as one driver alone would leave it."""
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.05)
    monkeypatch.setattr("farback.training.cohort_width.width", lambda trial: 2)
    experiment, whole, shared = config(tmp_path), Memory(), Memory()
    farback.run(experiment, workers=1, store=whole)
    summaries = []

    def drive() -> None:
        summaries.append(farback.run(experiment, executor=Serial(), store=shared))

    threads = [threading.Thread(target=drive) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 8 <= sum(done.trained for done in summaries) <= 8 + RARE
    assert [done.trained + done.reused for done in summaries] == [8, 8, 8]
    assert set(shared.experiments["shared"].results) == {trial.key for trial in experiment.trials()}
    assert not shared.experiments["shared"].leases
    pd.testing.assert_frame_equal(shared.frame("shared"), whole.frame("shared"), check_exact=True)


def test_what_another_driver_leaves_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.05)
    experiment, store = config(tmp_path), Memory()
    trials = experiment.trials()
    other = store.begin("shared", trials)
    held = [trial.key for trial in trials[:5]]
    assert other.lease(held) == set(held)
    left = threading.Timer(1.0, other.close)
    left.start()
    done = farback.run(experiment, workers=1, store=store)
    left.join()
    assert (done.trained, done.reused) == (8, 0)


def test_trials_of_another_driver_are_left_to_it_until_they_are_finished(tmp_path: Path) -> None:
    experiment, store = config(tmp_path), Memory()
    cohort = Cohort.of(*experiment.trials()[:3])
    mine, others, free = cohort.keys
    with store.begin("shared", cohort.trials) as other, store.begin("shared", cohort.trials) as recorder:
        work = LeasedWork(store, "shared", recorder)
        other.lease([others])
        assert [each.keys for each in work.leased([cohort]) if each] == [[mine, free]]
        assert [each.keys for each in work.elsewhere] == [[others]]
        assert list(work.finished_elsewhere()) == []
        for event in train(cohort.only([others])[0]):
            if isinstance(event, Finished):
                other.put(event)
        assert list(work.finished_elsewhere()) == [Reused(others)]
        assert work.retry() == []


def test_a_trial_that_another_driver_left_is_resumed_from_its_checkpoint(tmp_path: Path) -> None:
    experiment, store = config(tmp_path), Memory()
    cohort = Cohort.of(experiment.trials()[0])
    with store.begin("shared", cohort.trials) as other, store.begin("shared", cohort.trials) as recorder:
        work = LeasedWork(store, "shared", recorder, session(store).checkpoints(experiment))
        other.lease(cohort.keys)
        assert list(work.leased([cohort])) == []
        kept = next(event for event in train(cohort, checkpoint_seconds=0) if isinstance(event, Checkpoint))
        work.folder.put(kept)
        assert list(work.leased(work.retry())) == []
        other.close()
        assert [each.start for each in work.leased(work.retry()) if each] == [(kept,)]


def started(experiment: Sweep, uri: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", DRIVE, str(experiment.path), uri]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=experiment.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def counts(process: subprocess.Popen[str]) -> tuple[int, int, int]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    trained, reused, failed = map(int, out.split())
    return trained, reused, failed


def check(experiment: Sweep, uri: str) -> Counter[str]:
    """Every trial is there as one driver alone would have left it, and no run is left open; the kinds of runs."""
    alone = Memory()
    farback.run(experiment, workers=1, store=alone)
    with MLflow(uri) as store:
        pd.testing.assert_frame_equal(store.frame("shared"), alone.frame("shared"), check_exact=True)
        found = store.client.mlflow.get_experiment_by_name("shared")
        runs = list(store.client.mlflow.search_runs([found.experiment_id]))
        assert not [name for name in found.tags if name.startswith((HEARTBEAT, LEASE))]
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    trials = Counter(run.data.tags["farback.key"] for run in runs if run.data.tags["kind"] == "trial")
    assert trials == Counter(trial.key for trial in experiment.trials())
    assert all(run.info.status == "FINISHED" for run in runs if run.data.tags["kind"] == "trial")
    return Counter(run.data.tags["kind"] for run in runs)


@pytest.mark.slow
def test_three_processes_share_the_trials(tmp_path: Path) -> None:
    experiment = config(tmp_path, steps=300)
    uri = locations.default_uri(tmp_path)
    done = [counts(process) for process in [started(experiment, uri) for _ in range(3)]]
    doubles = sum(trained for trained, _, _ in done) - 8
    assert 0 <= doubles <= RARE
    assert [(trained + reused, failed) for trained, reused, failed in done] == [(8, 0)] * 3
    kinds = check(experiment, uri)
    assert (kinds["trial"], kinds["superseded"]) == (8, doubles)


def killed_in_training(process: subprocess.Popen[str], store: MLflow, experiment_id: str) -> int:
    """Kill a driver at an instant at which runs of its own are open, not between two of its cohorts: their number."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        process.send_signal(signal.SIGSTOP)
        runs = store.client.mlflow.search_runs([experiment_id], "attributes.status = 'RUNNING'")
        left = sum(f":{process.pid}:" in f":{run.data.tags['owner']}:" for run in runs)
        if left:
            process.send_signal(signal.SIGKILL)
            return left
        process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError(f"the driver had no open run before it ended: {process.communicate(timeout=60)}")


@pytest.mark.slow
def test_the_trials_of_a_killed_process_are_taken_over_by_the_other(tmp_path: Path) -> None:
    experiment = config(tmp_path, steps=600)
    uri = locations.default_uri(tmp_path)
    victim = started(experiment, uri)
    with MLflow(uri) as store:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            found = store.client.mlflow.get_experiment_by_name("shared")
            if found and list(store.client.mlflow.search_runs([found.experiment_id], "attributes.status = 'RUNNING'")):
                break
            time.sleep(0.1)
        other = started(experiment, uri)
        time.sleep(2)  # it begins beside the first
        left = killed_in_training(victim, store, found.experiment_id)
    victim.communicate()
    trained, reused, failed = counts(other)
    assert (trained + reused, failed) == (8, 0)
    assert trained > 0
    kinds = check(experiment, uri)
    assert kinds["superseded"] >= left > 0


@pytest.mark.slow
def test_a_server_that_is_gone_for_a_while_is_waited_for(tmp_path: Path) -> None:
    """Killed in the middle of a sweep and started again: nothing is lost, and nothing is there twice."""
    experiment, port = config(tmp_path, steps=400), servers.free_port()
    backend = locations.SQLITE + str(tmp_path / "server.db")
    MLflow(backend).close()
    with servers.mlflow_server(backend, tmp_path, port=port) as address:
        driver = started(experiment, address)
        client = MLflow(address).client.mlflow
        until = time.monotonic() + 120
        while time.monotonic() < until and driver.poll() is None:
            found = client.get_experiment_by_name("shared")
            if found and list(client.search_runs([found.experiment_id], "attributes.status = 'RUNNING'")):
                break
            time.sleep(0.2)
    assert driver.poll() is None, driver.communicate()
    time.sleep(10)
    with servers.mlflow_server(backend, tmp_path, port=port):
        out, err = driver.communicate(timeout=240)
        assert driver.returncode == 0, err
        assert "it does not answer" in err
        assert "is back after" in err
        assert "Traceback" not in err
        assert out.split() == ["8", "0", "0"]
        kinds = check(experiment, address)
    assert kinds == {"trial": 8}
