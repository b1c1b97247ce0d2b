"""Several drivers train one sweep: every trial once, and all of it whoever dies."""

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
from farback import Experiment
from farback.executors import Serial
from farback.runs import sweep
from farback.runs.leased_work import Share
from farback.stores import locations
from farback.stores.base import Overtaken
from farback.stores.memory import Memory
from farback.stores.mlflow import MLflow
from farback.trials.events import Finished, Reused

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
    lag: [1, 2]
    seed: {{range: 4}}
"""
DRIVE = """
import sys, farback
done = farback.run(sys.argv[1], workers=1, store=sys.argv[2])
print(done.trained, done.reused, done.failed)
"""


def config(folder: Path, steps: int = 20) -> Experiment:
    path = folder / "configs" / "shared.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(CONFIG.format(steps=steps))
    return Experiment.load(path)


def test_drivers_in_one_process_train_every_trial_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.05)
    monkeypatch.setattr("farback.training.packing.width", lambda trial: 2)
    experiment, whole, first = config(tmp_path), Memory(), Memory()
    farback.run(experiment, workers=1, store=whole)
    stores = [first, Memory(beside=first), Memory(beside=first)]
    summaries = []

    def drive(store: Memory) -> None:
        summaries.append(farback.run(experiment, executor=Serial(), store=store))

    threads = [threading.Thread(target=drive, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(done.trained for done in summaries) == 16
    assert [done.trained + done.reused for done in summaries] == [16, 16, 16]
    pd.testing.assert_frame_equal(first.frame("shared"), whole.frame("shared"), check_exact=True)


def test_what_another_driver_leaves_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.05)
    experiment, other = config(tmp_path), Memory()
    trials = experiment.trials()
    other.begin("shared", trials)
    held = [trial.key for trial in trials[:5]]
    assert other.claim(held) == set(held)
    left = threading.Timer(1.0, other.close)
    left.start()
    done = farback.run(experiment, workers=1, store=Memory(beside=other))
    left.join()
    assert (done.trained, done.reused) == (16, 0)


def test_an_outcome_of_a_trial_that_was_taken_over_is_not_passed_on(tmp_path: Path) -> None:
    experiment = config(tmp_path)
    trials = experiment.trials()[:2]

    class Losing(Memory):
        def put(self, event) -> None:
            if isinstance(event, Finished) and event.key == trials[0].key:
                raise Overtaken("gone")
            super().put(event)

    store = Losing()
    store.begin("shared", trials)
    share = Share(store)
    events = list(sweep.recorded(sweep.plan(trials, set()).cohorts, Serial(), share))
    assert [event.key for event in events if isinstance(event, Finished)] == [trials[1].key]
    assert [cohort.keys for cohort in share.elsewhere] == [[trials[0].key]]
    assert list(share.settled()) == []
    Memory.put(store, next(event for event in elsewhere(trials[:1]) if isinstance(event, Finished)))
    assert list(share.settled()) == [Reused(trials[0].key)]
    assert share.again() == []


def elsewhere(trials):
    return (event for _, event in Serial().map(sweep.train, sweep.plan(trials, set()).cohorts))


def started(experiment: Experiment, uri: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", DRIVE, str(experiment.path), uri]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=experiment.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> tuple[int, int, int]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    trained, reused, failed = map(int, out.split())
    return trained, reused, failed


def check(experiment: Experiment, uri: str) -> Counter[str]:
    """Every trial is there as one driver alone would have left it, and no run is left open; the kinds of runs."""
    alone = Memory()
    farback.run(experiment, workers=1, store=alone)
    with MLflow(uri) as store:
        pd.testing.assert_frame_equal(store.frame("shared"), alone.frame("shared"), check_exact=True)
        found = store.client.get_experiment_by_name("shared")
        runs = list(store.client.search_runs([found.experiment_id]))
        assert not [name for name in found.tags if name.startswith(("farback.claim", "farback.grave"))]
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    trials = Counter(run.data.tags["farback.key"] for run in runs if run.data.tags["kind"] == "trial")
    assert trials == Counter(trial.key for trial in experiment.trials())
    assert all(run.info.status == "FINISHED" for run in runs if run.data.tags["kind"] == "trial")
    return Counter(run.data.tags["kind"] for run in runs)


@pytest.mark.slow
def test_three_processes_train_every_trial_once(tmp_path: Path) -> None:
    experiment = config(tmp_path, steps=300)
    uri = locations.default_uri(tmp_path)
    done = [said(process) for process in [started(experiment, uri) for _ in range(3)]]
    assert sum(trained for trained, _, _ in done) == 16
    assert [trained + reused for trained, reused, _ in done] == [16, 16, 16]
    assert check(experiment, uri) == {"trial": 16}


@pytest.mark.slow
def test_what_a_killed_process_was_at_is_taken_over_by_the_other(tmp_path: Path) -> None:
    experiment = config(tmp_path, steps=600)
    uri = locations.default_uri(tmp_path)
    victim = started(experiment, uri)
    with MLflow(uri) as store:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            found = store.client.get_experiment_by_name("shared")
            if found and list(store.client.search_runs([found.experiment_id], "attributes.status = 'RUNNING'")):
                break
            time.sleep(0.1)
    other = started(experiment, uri)
    time.sleep(2)  # it begins beside the first
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    trained, reused, failed = said(other)
    assert (trained + reused, failed) == (16, 0)
    assert trained > 0
    kinds = check(experiment, uri)
    assert kinds["superseded"] > 0


@pytest.mark.slow
def test_a_server_that_is_gone_for_a_while_is_waited_for(tmp_path: Path) -> None:
    """Killed in the middle of a sweep and started again: nothing is lost, and nothing is there twice."""
    experiment, port = config(tmp_path, steps=400), servers.free_port()
    backend = locations.SQLITE + str(tmp_path / "server.db")
    MLflow(backend).close()
    with servers.mlflow_server(backend, tmp_path, port=port) as address:
        driver = started(experiment, address)
        client = MLflow(address).client
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
        assert out.split() == ["16", "0", "0"]
        kinds = check(experiment, address)
    assert kinds == {"trial": 16}
