"""Disks that are full, lose power or return something else than was written; and memory that cannot be had."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable

import psutil
import pytest
from disks import damage, fill, lose_power, make_room, small_disk, watched
from instants import Instants
from projects import Command, Project, finish, wait_for
from store_contents import StoreContent, check, files_of_lost_runs

pytestmark = pytest.mark.faults
Count = Callable[[str, str], None]
MEGA, KILO = 1 << 20, 1 << 10


def assert_no_space(command: Command) -> None:
    """The command must fail with a message about the disk and without a traceback."""
    assert command.wait() in (1, 2), command.log
    assert "Traceback" not in command.errors, command.log
    assert any(text in command.errors for text in ("no space left", "No space left", "File too large")), command.log


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"full store-{case}")
def test_a_run_on_a_full_disk_resumes_when_there_is_space(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    with small_disk(project.store, 8 * MEGA):
        for _ in range(2):
            made = 0 if project.database.exists() or case == 0 else 1500 * KILO  # the size of a new store
            fill(project.store, made + instants.rng.randint(0, 400 * KILO))
            command = project.run(1 + case % 2)
            code = command.wait()
            if code:
                count("full store", "")
                assert_no_space(command)
            make_room(project.store)
        finish(project)
        check(project, reference)


@pytest.mark.parametrize("case", range(2), ids=lambda case: f"full checkpoints-{case}")
def test_training_continues_when_no_checkpoint_can_be_written(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    with small_disk(project.store / "checkpoints", instants.rng.randint(1, 6) * 4 * KILO):
        command = project.run()
        assert command.wait() == 0, command.log
        assert "Traceback" not in command.errors, command.log
        assert "cannot write the checkpoint" in command.errors, command.log
        count("full checkpoints", "")
        check(project, reference)


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"full results-{case}")
def test_a_page_is_written_when_there_is_space_again(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    with small_disk(project.results / "small", 512 * KILO):
        fill(project.results / "small", instants.rng.randint(0, 10) * 4 * KILO)
        command = project.run()
        assert_no_space(command)
        count("full results", "")
        make_room(project.results / "small")
        command = project.run() if case else project.start("report", "small")
        assert command.wait() == 0, command.log
        check(project, reference)


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"file size-{case}")
def test_a_run_with_a_limit_on_file_sizes_resumes_without_it(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    if not shutil.which("prlimit"):
        pytest.skip("there is no prlimit")
    least = (100, 1300, 1000)[case]  # too small for a new store, for a growing one, and for the log
    for _ in range(2):
        limit = (least + instants.rng.randint(0, 300)) * KILO
        command = project.run(1 + case % 2, prefix=("prlimit", f"--fsize={limit}"))
        if command.wait():
            count("file size", "")
            assert_no_space(command)
    finish(project)
    check(project, reference)


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"power-{case}")
def test_a_run_resumes_after_a_power_loss(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    for _ in range(6):
        command = project.run(1 + case % 2, environment=watched(project))
        phase = instants.reach(command, share=0.4)
        if command.kill_all():
            wait_for(lambda c=command: not c.members(), 30)  # type: ignore[misc]
            lose_power(project, instants.rng, drop_log=case > 0)
            count("power", phase)
    finish(project, 1 + case % 2)
    check(project, reference, aside=files_of_lost_runs(project))


@pytest.mark.parametrize("case", range(3), ids=lambda case: f"torn checkpoint-{case}")
def test_a_damaged_checkpoint_is_renamed(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    command = project.run()
    wait_for(lambda: project.checkpoints or not command.alive)
    instants.reach(command, phase="training", share=0.3)
    command.kill_all()
    torn = [path for path in project.checkpoints if instants.rng.random() < 0.7] or project.checkpoints[:1]
    assert torn
    for path in torn:
        damage(path, instants.rng)
        count("torn checkpoint", "")
    command = finish(project)
    reported = [path for path in torn if path.name in command.errors]
    assert reported == torn, command.log
    aside = list(project.store.rglob("*.unusable*"))
    assert len(aside) == len(torn)
    check(project, reference, aside=aside)


@pytest.mark.parametrize("case", range(2), ids=lambda case: f"torn scores-{case}")
def test_a_damaged_result_is_trained_again(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    finish(project)
    whole = sorted(project.store.glob("artifacts/small/*/artifacts/*"))
    names = ("scores.csv", "result.json")
    torn = instants.rng.sample([path for path in whole if path.name in names], 2)
    for path in torn:
        damage(path, instants.rng)
        count("torn scores", "")
    command = project.start("report", "small")
    assert command.wait() == 1, command.log
    assert any(path.parts[-3] in command.errors for path in torn), command.log
    assert "farback doctor --repair" in command.errors
    command = project.start("doctor", "--repair")
    assert command.wait() == 0, command.log
    assert finish(project).to_train == len({path.parent for path in torn})
    check(project, reference, once=False)


@pytest.mark.parametrize("case", range(2), ids=lambda case: f"memory-{case}")
def test_trials_that_failed_without_memory_are_trained_by_the_next_run(
    case: int, project: Project, reference: StoreContent, instants: Instants, count: Count
) -> None:
    command = project.run()
    instants.reach(command, phase="training", share=0.3)
    wait_for(lambda: not command.alive or command.workers())
    for worker in command.workers():
        in_use = worker.memory_info().vms
        try:
            worker.rlimit(psutil.RLIMIT_AS, (in_use, resource.RLIM_INFINITY))
        except psutil.NoSuchProcess:
            continue
        count("memory", "training")
    code = command.wait()
    assert code in (0, 1), command.log
    finish(project)
    check(project, reference)
