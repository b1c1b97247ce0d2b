"""Those beside us: another driver, a tracking server that goes away, a process that holds the database locked."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from holdings import Holdings, check
from instants import Instants
from projects import Project, wait_for

import servers

pytestmark = pytest.mark.faults
Count = Callable[[str, str], None]


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"two drivers-{case}")
def test_two_drivers_record_every_trial_once(
    case: int, project: Project, reference: Holdings, instants: Instants, count: Count
) -> None:
    first = project.run(1 + case % 2)
    if case:  # else they meet while the store is made
        instants.reach(first, phase="training", share=0.5)
    second = project.run(1)
    count("two drivers", "")
    assert (first.wait(), second.wait()) == (0, 0), first.said + second.said
    assert "Traceback" not in first.errors + second.errors
    check(project, reference, once=False)  # two drivers may rarely take a trial at the same moment


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"one of two drivers-{case}")
def test_a_driver_takes_over_what_a_killed_one_leaves(
    case: int, project: Project, reference: Holdings, instants: Instants, count: Count
) -> None:
    survivor = project.run(1)
    for _ in range(3):
        killed = project.run(1 + case % 2)
        phase = instants.reach(killed, phase=instants.rng.choice(["start", "training"]), share=0.5)
        if phase and killed.kill_all():
            count("one of two drivers", phase)
    assert survivor.wait() == 0, survivor.said
    assert "Traceback" not in survivor.errors
    check(project, reference, once=False)


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"locked-{case}")
def test_a_run_waits_for_a_database_that_another_process_holds_locked(
    case: int, project: Project, reference: Holdings, instants: Instants, count: Count
) -> None:
    command = project.run(1 + case % 2)
    wait_for(lambda: project.database.exists() or not command.alive)
    for phase in ("start", "training", "training", "page"):
        fell = instants.reach(command, phase=phase, share=0.3)
        if fell:
            with closing(sqlite3.connect(project.database, timeout=60, isolation_level=None)) as other:
                other.execute("begin exclusive")
                count("locked", fell)
                time.sleep(instants.rng.uniform(1, 8))
                other.execute("rollback")
    assert command.wait() == 0, command.said
    assert "Traceback" not in command.errors, command.said
    check(project, reference)


@pytest.mark.parametrize("seconds", [3.0, 75.0], ids=["server-seconds", "server-over a minute"])
def test_a_run_waits_for_a_server_that_is_gone(
    seconds: float, project: Project, reference: Holdings, instants: Instants, count: Count
) -> None:
    port = servers.free_port()
    project.store.mkdir(parents=True)
    backend = f"sqlite:///{project.database}"
    with servers.mlflow_server(backend, project.store, port=port) as address:
        command = project.run(2, "--store", address)
        phase = instants.reach(command, phase="training", share=0.7)
        assert phase, command.said
    count("server", phase)
    time.sleep(seconds)
    with servers.mlflow_server(backend, project.store, port=port):
        if seconds < 60:
            phase = instants.reach(command, phase="training", share=0.7)
    if seconds < 60 and phase:
        count("server", phase)
    with servers.mlflow_server(backend, project.store, port=port):
        assert command.wait() == 0, command.said
        assert "Traceback" not in command.errors, command.said
        assert "does not answer" in command.errors, command.said
        second = project.run(1, "--store", address)
        assert second.wait() == 0
        assert second.to_train == 0
        check(project, reference, uri=address)
