"""Dask clusters: workers and schedulers that die or differ, finishing, TLS."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import work
from cluster import Cluster

import farback
from farback.executors import Serial
from farback.executors.dask import Dask
from farback.experiment import Experiment
from farback.records.execution import TLS
from farback.records.user_error import UserError
from farback.stores.memory import Memory
from farback.training.loop import train
from farback.trials.cohort import Cohort, cohorts
from farback.trials.events import Checkpoint, Event, Failed, Finished, Paused, Progress
from farback.trials.trial import Trial
from open_sweeps import recorded_events, session, sweep_run

Make = Callable[..., Trial]
Pairs = list[tuple[Cohort, Event]]


def by_key(pairs: Pairs, kind: type) -> dict[str, Any]:
    """The events of one kind by key; each key at most once."""
    events = [event for _, event in pairs if isinstance(event, kind)]
    assert len(events) == len({event.key for event in events})
    return {event.key: event for event in events}


def long_trials(trial_of: Make, seeds: int) -> list[Trial]:
    """Trials that train for some seconds and never stop early."""
    fields = {"cell": "gru", "lag": 20, "steps": 400, "evaluate_every": 20, "stop": "never"}
    return [trial_of(seed=seed, **fields) for seed in range(seeds)]


def assert_serial_scores(results: dict[str, Finished], trials: list[Trial]) -> None:
    alone = by_key(list(Serial().map(train, cohorts(trials, len(trials)))), Finished)
    assert set(results) == set(alone)
    for key, event in alone.items():
        pd.testing.assert_frame_equal(results[key].result.scores, event.result.scores, check_exact=True)


@pytest.mark.slow
def test_a_worker_killed_during_training_changes_no_bit(cluster: Cluster, dask: Dask, trial_of: Make) -> None:
    """farback resumes its cohort from the last checkpoints, where Dask would start it from the beginning."""
    trials = long_trials(trial_of, 6)
    pids = dask.client.run(os.getpid)
    pairs: Pairs = []
    killed: set[str] = set()
    steps: dict[str, int] = {}  # of the last checkpoint of each trial
    for cohort, event in dask.map(partial(train, checkpoint_seconds=0.05), cohorts(trials, 3)):
        pairs.append((cohort, event))
        if isinstance(event, Checkpoint):
            steps[event.key] = event.step
        if isinstance(event, Checkpoint) and all(steps.get(key, 0) > 20 for key in cohort.keys) and not killed:
            address = next(task.address for task in dask.tasks.values() if event.key in task.cohort.keys)
            os.kill(pids[address], signal.SIGKILL)
            killed = set(cohort.keys)
            cluster.start_worker()
    assert len(killed) == 3
    assert_serial_scores(by_key(pairs, Finished), trials)
    assert not by_key(pairs, Failed)
    resumed = {cohort.step for cohort, event in pairs if isinstance(event, Finished) and event.key in killed}
    assert 0 not in resumed


@pytest.mark.slow
def test_workers_import_a_project_s_module_network_and_part(
    dask: Dask, trial_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARBACK_PROJECT", str(tmp_path))
    (tmp_path / "ours.py").write_text("from torch import nn\n\n\nclass Ours(nn.GRU):\n    pass\n")
    (tmp_path / "parts" / "cells").mkdir(parents=True)
    source = "from farback.cells.gru import GRU\n\n\nclass Part(GRU):\n    extra: float = 0.5\n"
    (tmp_path / "parts" / "cells" / "part.py").write_text(source)
    own = {"name": "module", "class": "ours:Ours"}
    trials = [trial_of(cell=own), trial_of(cell="part")]
    given = {name: getattr(trials[0], name) for name in trials[0].model_fields_set - {"cell", "hidden"}}
    trials.append(Trial.model_validate({**given, "network": own}))
    results = by_key(list(dask.map(train, [Cohort.of(trial) for trial in trials])), Finished)
    assert_serial_scores(results, trials)


@pytest.mark.slow
def test_a_restart_by_dask_resumes_from_the_checkpoints_instead(cluster: Cluster, dask: Dask, trial_of: Make) -> None:
    cohort = Cohort.of(*(trial_of(seed=seed) for seed in [0, 1, 2, 3, 4, 6]))
    pairs = []
    for item in dask.map(work.dies_after_checkpoints, [cohort]):
        pairs.append(item)
    cluster.start_worker()
    assert len(by_key(pairs, Checkpoint)) == 6  # of the first attempt only
    finished = by_key(pairs, Finished)
    assert {event.result.scores["value"][0] for event in finished.values()} == {5.0, 6.0}
    assert set(finished) == set(cohort.keys)


@pytest.mark.slow
def test_finishing_gives_checkpoints_to_resume_from(cluster: Cluster, trial_of: Make) -> None:
    trials = long_trials(trial_of, 3)
    with Dask(cluster.address) as executor:
        pairs = []
        for item in executor.map(train, cohorts(trials, 1)):
            pairs.append(item)
            if isinstance(item[1], Progress) and not executor.finishing:
                threading.Thread(target=executor.finish).start()
        assert list(executor.map(train, cohorts(trials, 1))) == []
    paused, kept = by_key(pairs, Paused), {event.key: event for _, event in pairs if isinstance(event, Checkpoint)}
    assert paused
    assert not by_key(pairs, Finished)
    assert all(kept[key].step == event.step for key, event in paused.items() if event.step)
    assert any(event.step for event in paused.values())
    rest = cohorts(trials, 3, kept)
    assert_serial_scores(by_key(list(Serial().map(train, rest)), Finished), trials)


def test_closing_the_events_stops_the_running_task(local_dask: Dask, trial_of: Make) -> None:
    events = local_dask.map(work.runs_a_minute, [Cohort.of(trial_of())])
    next(events)
    events.close()
    started = time.monotonic()
    assert len(list(local_dask.map(work.quick, [Cohort.of(trial_of(seed=seed)) for seed in range(4)]))) == 8
    deadline = started + 20
    while any(local_dask.client.run(lambda dask_worker: dask_worker.state.executing_count).values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_missing_scheduler_is_reported_with_its_address() -> None:
    with pytest.raises(UserError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9: .*dask scheduler"):
        Dask("tcp://127.0.0.1:9", connect_seconds=0.5).size  # noqa: B018 - it connects


def test_a_cluster_object_of_dask_can_replace_the_address(local_dask: Dask, trial_of: Make) -> None:
    """dask-jobqueue makes such objects. The scheduler is in this process."""
    assert local_dask.size == 1
    pairs = list(local_dask.map(train, [Cohort.of(trial_of())]))
    assert_serial_scores(by_key(pairs, Finished), [trial_of()])


SWEEP = """
name: small
question: Does it run?
base: {task: recall, lag: 20, cell: gru, hidden: 8, batch: 4, steps: 300, evaluate_every: 20, stop: never}
sweep: [{seed: {range: 6}}]
"""


@pytest.mark.slow
def test_a_run_resumes_after_the_scheduler_died(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SWEEP)
    experiment = Experiment.load(tmp_path / "small.yaml")
    store, whole = Memory(), Memory()
    folder = session(store).checkpoints(experiment)
    with Cluster(tmp_path, workers=1) as cluster:

        def run_until_it_dies() -> None:
            with Dask(cluster.address) as executor:
                executor.client.wait_for_workers(1)
                for event in recorded_events(sweep_run(experiment, store, executor, checkpoint_seconds=0.05)):
                    if isinstance(event, Checkpoint) and event.step > 20:
                        cluster.scheduler.kill()

        message = rf"lost the Dask scheduler at {cluster.address} .*run the same command again"
        with pytest.raises(UserError, match=message):
            run_until_it_dies()
        assert folder.keys()
        for worker in cluster.workers:
            worker.wait(60)  # workers end when their scheduler ends
        cluster.scheduler.wait()
        cluster.scheduler = cluster.start_scheduler(cluster.address.rpartition(":")[2])
        cluster.start_worker()
        with Dask(cluster.address) as executor:
            summary = farback.run(experiment, executor=executor, store=store, checkpoint_seconds=60)
    assert summary.failed == 0
    farback.run(experiment, workers=1, store=whole)
    pd.testing.assert_frame_equal(store.frame("small"), whole.frame("small"), check_exact=True)


@pytest.mark.slow
def test_a_trial_that_kills_three_workers_fails_and_no_other_does(tmp_path: Path, trial_of: Make) -> None:
    with Cluster(tmp_path, workers=4) as cluster, Dask(cluster.address) as dask:
        dask.client.wait_for_workers(4)
        packs = [[0, 1], [2, 7, work.BAD, 3, 8], [4], [5], [6]]
        pairs = list(dask.map(work.dies, [Cohort.of(*(trial_of(seed=seed) for seed in row)) for row in packs]))
        assert len(by_key(pairs, Finished)) == 9
        failed = by_key(pairs, Failed)
        assert list(failed) == [trial_of(seed=work.BAD).key]
        assert "the Dask worker tcp://127.0.0.1:" in failed[trial_of(seed=work.BAD).key].error


@pytest.mark.slow
def test_a_driver_waits_for_workers_and_refuses_those_with_other_source(
    tmp_path: Path, trial_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """No worker at first, then one with a changed comment in farback, then one with the same source."""
    shutil.copytree(Path(farback.__file__).parent, tmp_path / "other" / "farback")
    with (tmp_path / "other" / "farback" / "system" / "random_streams.py").open("a") as file:
        file.write("# changed\n")
    paths = os.pathsep.join([str(tmp_path / "other"), str(Path(work.__file__).parent)])
    caplog.set_level(logging.WARNING, logger="farback")
    with Cluster(tmp_path, workers=0) as cluster, Dask(cluster.address) as dask:
        assert dask.size == 1
        assert f"no worker has joined {cluster.address} yet" in caplog.text
        cluster.start_worker(PYTHONPATH=paths)
        items = [Cohort.of(trial_of(seed=seed)) for seed in range(3)]
        with pytest.raises(UserError, match=r"tcp://127.0.0.1:\d+ has farback's source \w+ \(here \w+\)"):
            list(dask.map(work.quick, items))
        assert "nothing is trained there" in caplog.text
        right = cluster.start_worker()
        dask.client.wait_for_workers(2)
        time.sleep(1)  # until the driver updates its list of workers
        pairs = list(dask.map(work.quick, items))
        assert len(by_key(pairs, Finished)) == 3
        assert {event.result.scores["statistic"][0] for event in by_key(pairs, Finished).values()} == {str(right.pid)}


@pytest.mark.slow
def test_a_client_without_a_certificate_is_refused(tmp_path: Path, trial_of: Make) -> None:
    ca, cert, key = certificates(tmp_path)
    options = ["--protocol", "tls", "--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key]
    with Cluster(tmp_path, workers=1, options=options) as cluster:
        assert cluster.address.startswith("tls://")
        with Dask(cluster.address, TLS(ca=ca, cert=cert, key=key)) as dask:
            pairs = list(dask.map(train, [Cohort.of(trial_of())]))
        assert_serial_scores(by_key(pairs, Finished), [trial_of()])
        for address in (cluster.address, cluster.address.replace("tls", "tcp")):
            with pytest.raises(UserError, match="no Dask scheduler answers"):
                Dask(address, connect_seconds=2).size  # noqa: B018 - it connects


def certificates(folder: Path) -> tuple[str, str, str]:
    """A certificate authority, and a certificate for 127.0.0.1 signed by it, made with openssl."""
    import subprocess

    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed; this test makes certificates with it")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "rsa:2048", "-nodes"]
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    openssl("req", *new, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=127.0.0.1")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    openssl("x509", "-req", "-in", "own.csr", *signed, "-out", "own.pem")
    return tuple(str(folder / name) for name in ("ca.pem", "own.pem", "own.key"))  # type: ignore[return-value]
