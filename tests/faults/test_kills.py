"""SIGKILL, SIGINT, SIGTERM, SIGSTOP: whatever is hit and however often, the same command ends at the same store."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
from holdings import Holdings, check
from instants import Instants
from projects import Project, finish, wait_for

pytestmark = pytest.mark.faults
Count = Callable[[str, str], None]


@pytest.mark.parametrize("case", range(5))
@pytest.mark.parametrize("kind", ["driver", "all"])
def test_a_run_that_is_killed_again_and_again_ends_at_the_same_store(
    kind: str, case: int, project: Project, reference: Holdings, instants: Instants, count: Count
) -> None:
    workers, made = 1 + case % 2, 0
    while made < 10 and len(project.commands) < 20:  # a command may be over before its instant
        command = project.run(workers)
        phase = instants.reach(command, share=0.4)  # or all would be trained after the first three
        if phase and (command.kill() if kind == "driver" else command.kill_all()):
            count(kind, phase)
            made += 1
        wait_for(lambda c=command: not c.members(), 30)  # type: ignore[misc]
    finish(project, workers)
    check(project, reference)


@pytest.mark.parametrize("case", range(4))
def test_a_run_that_is_started_again_while_old_workers_live_ends_at_the_same_store(
    case: int, project: Project, reference: Holdings, instants: Instants, count: Count
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
def test_workers_that_are_killed_are_replaced(
    case: int, project: Project, reference: Holdings, instants: Instants, count: Count
) -> None:
    made = 0
    for _ in range(4):  # one run may be over too soon, and fails a trial that has seen three deaths
        command = project.run(2)
        while made < 8 and command.alive:
            wait_for(lambda c=command: not c.alive or c.workers())  # type: ignore[misc]
            instants.pause(command, instants.rng.uniform(0, 0.4) * instants.pace.training)
            workers = command.workers()
            if command.alive and workers:
                instants.rng.choice(workers).kill()
                count("worker", "training")
                made += 1
        assert command.wait() in (0, 1), command.said
        assert "Traceback" not in command.errors, command.said
    assert made
    finish(project)
    check(project, reference)


CODES = {"SIGINT": 130, "SIGTERM": 143}


@pytest.mark.parametrize("case", range(2))
@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"])
def test_a_run_that_is_asked_to_end_says_what_is_left(
    kind: str, case: int, project: Project, reference: Holdings, instants: Instants, count: Count
) -> None:
    number = signal.Signals[kind]
    for _ in range(4):
        command = project.run(1 + case % 2)
        phase = instants.reach(command, share=0.5)
        if phase:
            command.signal_all(number) if kind == "SIGINT" else command.signal(number)
            count(kind, phase)
        code = command.wait()
        assert code in {CODES[kind], -number} | ({0} if phase != "start" else set()), command.said
        if code == -number:  # before Python listens, or when it has done everything and ends; shells count it alike
            assert not command.training or "rebuild" in command.output, command.said
        assert "Traceback" not in command.errors, command.said
        if phase == "training" and code == CODES[kind]:
            assert "are left" in command.output, command.said
            assert "to resume:" in command.output, command.said
        if code != -number and command.training:
            assert not open_runs(project)
    assert finish(project, 1 + case % 2).to_train <= len(reference.scores)
    check(project, reference)


def open_runs(project: Project) -> int:
    return int(str(project.query("select count(*) from runs where status = 'RUNNING'")[0][0]))


@pytest.mark.parametrize("case", range(2))
def test_a_second_ctrl_c_ends_a_run_at_once(
    case: int, project: Project, reference: Holdings, instants: Instants, count: Count
) -> None:
    for _ in range(3):
        command = project.run(1 + case % 2)
        phase = instants.reach(command, phase="training", share=0.5)
        if phase:
            command.signal_all(signal.SIGINT)
            time.sleep(instants.rng.uniform(0, 1))
            command.signal_all(signal.SIGINT)
            count("twice", phase)
        assert command.wait() in (130, -signal.SIGINT, 0), command.said  # a shell says 130 for both
    finish(project)
    check(project, reference)


@pytest.mark.parametrize("case", range(2))
def test_a_run_that_sleeps_goes_on_when_it_wakes(
    case: int, project: Project, reference: Holdings, instants: Instants, count: Count
) -> None:
    command = project.run(2)
    for phase in ("start", "training", "training", "page"):
        fell = instants.reach(command, phase=phase)
        if fell:
            command.signal_all(signal.SIGSTOP)
            count("asleep", fell)
            time.sleep(instants.rng.uniform(0.5, 3))
            command.signal_all(signal.SIGCONT)
    assert command.wait() == 0, command.said
    check(project, reference)


@pytest.mark.parametrize("case", range(3))
def test_a_store_whose_making_was_killed_is_made(
    case: int, project: Project, reference: Holdings, instants: Instants, count: Count
) -> None:
    for _ in range(4):
        command = project.run(1)
        wait_for(lambda c=command: project.store.exists() or not c.alive)  # type: ignore[misc]
        phase = instants.reach(command, phase="start", share=0.6)
        if command.kill_all():  # else it was quick
            count("creation" if phase == "start" else "all", phase)
    finish(project, 1)
    check(project, reference)


@pytest.mark.parametrize("case", range(2))
def test_a_page_whose_writing_was_killed_is_written_again(
    case: int, project: Project, reference: Holdings, instants: Instants, count: Count
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
    assert command.wait() == 0, command.said
    check(project, reference)
