"""SIGKILL, SIGINT, SIGTERM and SIGSTOP at random instants: repeating the command gives the same store."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
from instants import Instants
from projects import Project, finish, wait_for
from store_contents import StoreContent, check

pytestmark = pytest.mark.faults
Count = Callable[[str, str], None]


@pytest.mark.parametrize("case", range(5))
@pytest.mark.parametrize("kind", ["driver", "all"])
def test_a_run_killed_many_times_gives_the_same_store(
    kind: str, case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    workers, made = 1 + case % 2, 0
    while made < 10 and len(project.commands) < 20:  # a command may end before its instant
        command = project.run(workers)
        phase = instants.reach(command, share=0.4)  # early in training, so that trials are left for the later kills
        if phase and (command.kill() if kind == "driver" else command.kill_all()):
            count(kind, phase)
            made += 1
        wait_for(lambda c=command: not c.members(), 30)  # type: ignore[misc]
    finish(project, workers)
    check(project, reference)


@pytest.mark.parametrize("case", range(4))
def test_a_run_restarted_while_old_workers_live_gives_the_same_store(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    made = 0
    while made < 6 and len(project.commands) < 12:
        command = project.run(2)
        phase = instants.reach(command, phase="training", share=0.3)
        if phase and command.kill():
            count("restart", phase)
            made += 1
    finish(project)
    check(project, reference)


@pytest.mark.parametrize("case", range(5))
def test_killed_workers_are_replaced(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    made = 0
    for _ in range(4):  # a run may end too soon, and fails a trial after three deaths
        command = project.run(2)
        while made < 8 and command.alive:
            wait_for(lambda c=command: not c.alive or c.workers())  # type: ignore[misc]
            instants.pause(command, instants.rng.uniform(0, 0.4) * instants.pace.training)
            workers = command.workers()
            if command.alive and workers:
                instants.rng.choice(workers).kill()
                count("worker", "training")
                made += 1
        assert command.wait() in (0, 1), command.log
        assert "Traceback" not in command.errors, command.log
    assert made
    finish(project)
    check(project, reference)


CODES = {"SIGINT": 130, "SIGTERM": 143}


@pytest.mark.parametrize("case", range(2))
@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"])
def test_an_interrupted_run_reports_what_is_left(
    kind: str, case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    number = signal.Signals[kind]
    for _ in range(4):
        command = project.run(1 + case % 2)
        phase = instants.reach(command, share=0.5)
        if phase:
            command.signal_all(number) if kind == "SIGINT" else command.signal(number)
            count(kind, phase)
        code = command.wait()
        assert code in {CODES[kind], -number} | ({0} if phase != "start" else set()), command.log
        if code == -number:  # the signal came before Python handles it or at the very end
            assert not command.training or "rebuild" in command.output, command.log
        assert "Traceback" not in command.errors, command.log
        if phase == "training" and code == CODES[kind]:
            assert "are left" in command.output, command.log
            assert "to resume:" in command.output, command.log
        if code != -number and command.training:
            assert not open_runs(project)
    assert finish(project, 1 + case % 2).to_train <= len(reference.scores)
    check(project, reference)


def open_runs(project: Project) -> int:
    return int(str(project.query("select count(*) from runs where status = 'RUNNING'")[0][0]))


@pytest.mark.parametrize("case", range(2))
def test_a_second_ctrl_c_ends_a_run_immediately(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    for _ in range(3):
        command = project.run(1 + case % 2)
        phase = instants.reach(command, phase="training", share=0.5)
        if phase:
            command.signal_all(signal.SIGINT)
            time.sleep(instants.rng.uniform(0, 1))
            command.signal_all(signal.SIGINT)
            count("twice", phase)
        assert command.wait() in (130, -signal.SIGINT, 0), command.log  # a shell reports 130 for both
    finish(project)
    check(project, reference)


@pytest.mark.parametrize("case", range(2))
def test_a_suspended_run_continues(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    command = project.run(2)
    for phase in ("start", "training", "training", "page"):
        struck = instants.reach(command, phase=phase)
        if struck:
            command.signal_all(signal.SIGSTOP)
            count("asleep", struck)
            time.sleep(instants.rng.uniform(0.5, 3))
            command.signal_all(signal.SIGCONT)
    assert command.wait() == 0, command.log
    check(project, reference)


@pytest.mark.parametrize("case", range(3))
def test_a_kill_while_the_store_is_created_is_repaired_by_the_next_run(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    for _ in range(4):
        command = project.run(1)
        wait_for(lambda c=command: project.store.exists() or not c.alive)  # type: ignore[misc]
        phase = instants.reach(command, phase="start", share=0.6)
        if command.kill_all():  # otherwise the command ended first
            count("creation" if phase == "start" else "all", phase)
    finish(project, 1)
    check(project, reference)


@pytest.mark.parametrize("case", range(2))
def test_a_page_is_written_again_after_a_kill(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    finish(project)
    made = 0
    while made < 6 and len(project.commands) < 12:
        command = project.start("report", "small")
        whole = instants.pace.start + instants.pace.page
        instants.pause(command, instants.rng.uniform(0.3, 0.9) * whole)
        if command.kill_all():
            count("page", "")
            made += 1
    command = project.start("report", "small")
    assert command.wait() == 0, command.log
    check(project, reference)
