"""Faults of other processes: a second driver, a tracking server that stops, a locked database."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from instants import Instants
from projects import Project, wait_for
from store_contents import StoreContent, check

import servers

pytestmark = pytest.mark.faults
Count = Callable[[str, str], None]


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"two drivers-{case}")
def test_two_drivers_record_every_trial_once(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    first = project.run(1 + case % 2)
    if case:  # in case 0 both create the store
        instants.reach(first, phase="training", share=0.5)
    second = project.run(1)
    count("two drivers", "")
    assert (first.wait(), second.wait()) == (0, 0), first.log + second.log
    assert "Traceback" not in first.errors + second.errors
    check(project, reference, once=False)  # two drivers may rarely take a trial at the same moment


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"one of two drivers-{case}")
def test_a_driver_trains_what_a_killed_one_left(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    survivor = project.run(1)
    for _ in range(3):
        killed = project.run(1 + case % 2)
        phase = instants.reach(killed, phase=instants.rng.choice(["start", "training"]), share=0.5)
        if phase and killed.kill_all():
            count("one of two drivers", phase)
    assert survivor.wait() == 0, survivor.log
    assert "Traceback" not in survivor.errors
    check(project, reference, once=False)


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"locked-{case}")
def test_a_run_waits_for_a_locked_database(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    command = project.run(1 + case % 2)
    wait_for(lambda: project.database.exists() or not command.alive)
    for phase in ("start", "training", "training", "page"):
        struck = instants.reach(command, phase=phase, share=0.3)
        if struck:
            with closing(sqlite3.connect(project.database, timeout=60, isolation_level=None)) as other:
                other.execute("begin exclusive")
                count("locked", struck)
                time.sleep(instants.rng.uniform(1, 8))
                other.execute("rollback")
    assert command.wait() == 0, command.log
    assert "Traceback" not in command.errors, command.log
    check(project, reference)


@pytest.mark.parametrize("seconds", [3.0, 75.0], ids=["server-seconds", "server-over a minute"])
def test_a_run_waits_for_a_stopped_server(
    seconds: float, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    port = servers.free_port()
    project.store.mkdir(parents=True)
    backend = f"sqlite:///{project.database}"
    with servers.mlflow_server(backend, project.store, port=port) as address:
        command = project.run(2, "--store", address)
        phase = instants.reach(command, phase="training", share=0.7)
        assert phase, command.log
    count("server", phase)
    time.sleep(seconds)
    with servers.mlflow_server(backend, project.store, port=port):
        if seconds < 60:
            phase = instants.reach(command, phase="training", share=0.7)
    if seconds < 60 and phase:
        count("server", phase)
    with servers.mlflow_server(backend, project.store, port=port):
        assert command.wait() == 0, command.log
        assert "Traceback" not in command.errors, command.log
        assert "does not answer" in command.errors, command.log
        second = project.run(1, "--store", address)
        assert second.wait() == 0
        assert second.to_train == 0
        check(project, reference, uri=address)
