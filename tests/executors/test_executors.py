"""One contract for every executor, and what only a pool of processes can go through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import work

from farback.executors import Executor, Pool, Serial
from farback.trials.cohort import Cohort, cohorts
from farback.trials.events import Checkpoint, Event, Failed, Finished, Paused, Progress, Pruned
from farback.trials.trial import Trial

# Starting a worker takes seconds: with `--dist loadgroup` one pool serves the whole suite.
pytestmark = pytest.mark.xdist_group("pool")

Make = Callable[..., Trial]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """One pool for the whole suite: that it stays usable after everything below is part of the contract."""
    with Pool(2) as executor:
        yield executor
        left = processes(executor)
        assert left
        assert all(work.alive(pid) for pid in left)
    assert not any(work.alive(pid) for pid in left)  # no process is left when a pool is closed
    assert not set(left) & {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture(params=["serial", "pool", "dask"])
def executor(request: pytest.FixtureRequest) -> Executor:
    return Serial() if request.param == "serial" else request.getfixturevalue(request.param)


def packs(trial_of: Make, *seeds: list[int]) -> list[Cohort]:
    return [Cohort.of(*(trial_of(seed=seed) for seed in row)) for row in seeds]


def ended(found: list[tuple[Cohort, Event]], kind: type) -> dict[int, Any]:
    """The events of one kind by the seed of their trial."""
    return {
        trial.seed: event
        for cohort, event in found
        for trial in cohort.trials
        if event.key == trial.key and isinstance(event, kind)
    }


# The contract ----------------------------------------------------------------------------------------------------


def test_workers_that_were_prepared_are_those_that_work(trial_of: Make) -> None:
    with Pool(2) as pool:
        pool.prepare(work.quick, 1)
        (first,) = processes(pool)
        pool.prepare(work.quick, 5)
        prepared = processes(pool)
        assert first in prepared
        assert len(prepared) == 2
        found = list(pool.map(work.quick, packs(trial_of, [0], [1], [2], [3])))
        assert where(found) <= set(prepared)
        assert len([event for _, event in found if isinstance(event, Finished)]) == 4
        assert processes(pool) == prepared


def test_every_event_of_every_cohort_arrives_with_its_cohort(executor: Executor, trial_of: Make) -> None:
    items = packs(trial_of, [0, 1], [2], [3, 4], [5])
    found = list(executor.map(work.quick, items))
    assert len(found) == 2 * 6
    for cohort, event in found:
        assert cohort in items
        assert event.key in cohort.keys
    for kind in (Progress, Finished):
        assert sorted(ended(found, kind)) == [0, 1, 2, 3, 4, 5]
    assert [event.metrics["train/loss"] for event in ended(found, Progress).values()] == list(ended(found, Progress))


def test_the_events_of_a_cohort_keep_their_order(executor: Executor, trial_of: Make) -> None:
    items = packs(trial_of, [0, 1], [2, 3])
    found = list(executor.map(work.quick, items))
    for cohort in items:
        own = [event for pack, event in found if pack == cohort]
        assert [(type(event), event.key) for event in own] == [
            (kind, t.key) for t in cohort.trials for kind in (Progress, Finished)
        ]


def test_no_cohorts_no_events(executor: Executor) -> None:
    assert list(executor.map(work.quick, [])) == []


def test_cohorts_are_taken_only_as_they_can_be_run(executor: Executor, trial_of: Make) -> None:
    """So that a sweep of a million trials is not in memory at once."""
    taken = []

    def items() -> Iterator[Cohort]:
        for seed in range(8):
            taken.append(seed)
            yield Cohort.of(trial_of(seed=seed))

    events = executor.map(work.quick, items())
    next(events)
    assert len(taken) <= 3
    list(events)
    assert taken == list(range(8))


def test_a_trial_that_is_dropped_ends_as_pruned_and_the_others_finish(executor: Executor, trial_of: Make) -> None:
    (dropped, kept) = trials = [trial_of(seed=seed) for seed in (0, 1)]
    found = []
    for cohort, event in executor.map(work.awaits_a_drop, [Cohort.of(*trials)]):
        found.append((cohort, event))
        executor.drop([dropped.key])
    assert sorted(ended(found, Pruned)) == [dropped.seed]
    assert sorted(ended(found, Finished)) == [kept.seed]


def test_none_among_the_cohorts_means_later(executor: Executor, trial_of: Make) -> None:
    """An executor takes again after the next event, and ends where nothing trains."""
    seen: list[str] = []
    items = packs(trial_of, [0], [1], [2], [3])

    def one_after_the_other() -> Iterator[Cohort | None]:
        for number, cohort in enumerate(items):
            while len(seen) < number:
                yield None
            yield cohort

    for _, event in executor.map(work.quick, one_after_the_other()):
        if isinstance(event, Finished):
            seen.append(event.key)
    assert seen == [key for cohort in items for key in cohort.keys]
    assert list(executor.map(work.quick, iter([None, items[0]]))) == []


def test_scores_are_serial_s_to_the_last_bit(executor: Executor, trial_of: Make) -> None:
    """Law 1: cohorts of other widths, other processes, the same numbers."""
    trials = [trial_of(seed=seed, cell=cell, depth=2) for seed in range(3) for cell in ("gru", "elman")]
    alone = ended(
        list(Serial().map(work.honest, [Cohort.of(trial) for trial in trials if trial.cell.name == "gru"])), Finished
    )
    found = list(executor.map(work.honest, cohorts(trials, 2)))
    results = {event.key: event.result for _, event in found if isinstance(event, Finished)}
    assert set(results) == {trial.key for trial in trials}
    for event in alone.values():
        pd.testing.assert_frame_equal(results[event.key].scores, event.result.scores, check_exact=True)


def test_an_exception_fails_the_rest_of_its_cohort_and_nothing_else(executor: Executor, trial_of: Make) -> None:
    found = list(executor.map(work.raises, packs(trial_of, [0, 1], [2, work.BAD, 3], [4])))
    assert sorted(ended(found, Finished)) == [0, 1, 2, 4]
    failed = ended(found, Failed)
    assert sorted(failed) == [3, work.BAD]
    for event in failed.values():
        assert event.error == "ArithmeticError: the abyss, at step 3"
        assert "work.py" in event.traceback
        assert "raise ArithmeticError" in event.traceback


def test_it_works_again_after_a_failure(executor: Executor, trial_of: Make) -> None:
    list(executor.map(work.raises, packs(trial_of, [work.BAD], [1])))
    assert sorted(ended(list(executor.map(work.quick, packs(trial_of, [0], [1]))), Finished)) == [0, 1]


def test_every_trial_ends_once(executor: Executor, trial_of: Make) -> None:
    found = list(executor.map(work.raises, packs(trial_of, [0, work.BAD], [1], [2, 3, 4])))
    keys = [event.key for _, event in found if isinstance(event, Finished | Failed)]
    assert len(keys) == len(set(keys)) == 6


# Coming to an end ------------------------------------------------------------------------------------------------


@pytest.fixture(params=["serial", "pool"])
def own(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """One that may be asked to finish, which is for good."""
    with Serial() if request.param == "serial" else Pool(1) as executor:
        yield executor


def test_an_executor_that_finishes_leaves_checkpoints_and_begins_nothing_more(own: Executor, trial_of: Make) -> None:
    assert not own.finishing
    found = []
    for cohort, event in own.map(work.waits, packs(trial_of, [0, 1], [2], [3])):
        found.append((cohort, event))
        own.finish()
    assert own.finishing
    assert sorted(ended(found, Paused)) == sorted(ended(found, Checkpoint)) == [0, 1]
    assert {event.step for event in ended(found, Paused).values()} == {3}
    assert list(own.map(work.quick, packs(trial_of, [4]))) == []


def test_finishing_while_nothing_runs_begins_nothing(trial_of: Make) -> None:
    for executor in (Serial(), Pool(1)):
        with executor:
            executor.finish()
            executor.finish()
            assert list(executor.map(work.quick, packs(trial_of, [0]))) == []


@pytest.mark.slow
def test_trials_of_a_worker_that_dies_while_finishing_are_paused(trial_of: Make) -> None:
    with Pool(1) as executor:
        found = []
        for cohort, event in executor.map(work.dies_slowly, packs(trial_of, [0, 1])):
            found.append((cohort, event))
            executor.finish()
    assert {seed: event.step for seed, event in ended(found, Paused).items()} == {0: 2, 1: 0}
    assert not ended(found, Failed)


# Processes -------------------------------------------------------------------------------------------------------


def processes(pool: Pool) -> list[int]:
    return [int(worker.process.pid or 0) for worker in pool.workers]


def where(found: list[tuple[Cohort, Event]]) -> set[int]:
    """The processes that cohorts ran in, as `work.quick` reports."""
    return {int(event.result.scores["statistic"][0]) for _, event in found if isinstance(event, Finished)}


def test_a_pool_runs_in_other_processes_and_keeps_them(pool: Pool, trial_of: Make) -> None:
    first, second = (
        where(list(pool.map(work.quick, packs(trial_of, *[[seed] for seed in range(6)])))) for _ in range(2)
    )
    assert os.getpid() not in first
    assert first | second == set(processes(pool))
    assert len(processes(pool)) <= 2


def test_a_worker_uses_one_thread(pool: Pool, trial_of: Make) -> None:
    found = list(pool.map(work.threads, packs(trial_of, [0], [1])))
    assert [event.metrics["threads"] for event in ended(found, Progress).values()] == [1.0, 1.0]


def test_a_trial_that_kills_three_workers_fails_with_the_reason_and_no_other_does(pool: Pool, trial_of: Make) -> None:
    found = list(pool.map(work.dies, packs(trial_of, [0, 1], [2, 7, work.BAD, 3, 8], [4], [5], [6])))
    assert sorted(ended(found, Finished)) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    failed = ended(found, Failed)
    assert sorted(failed) == [work.BAD]
    assert "killed by SIGKILL, perhaps because memory ran out" in failed[work.BAD].error
    assert "2 other workers died while training this trial" in failed[work.BAD].error
    assert sorted(ended(list(pool.map(work.quick, packs(trial_of, [0], [1], [2]))), Finished)) == [0, 1, 2]


def test_the_trials_of_a_killed_worker_resume_from_their_last_checkpoints(pool: Pool, trial_of: Make) -> None:
    """Those of one step together, in two halves, each trial once."""
    found = list(pool.map(work.stumbles, packs(trial_of, [0, 1, 2, 3, 4, 6])))
    scores = {seed: event.result.scores for seed, event in ended(found, Finished).items()}
    assert sum(isinstance(event, Finished) for _, event in found) == 6
    assert {seed: own["value"][0] for seed, own in scores.items()} == {0: 5, 1: 6, 2: 5, 3: 6, 4: 5, 6: 5}
    assert {seed: own["statistic"][0] for seed, own in scores.items()} == dict.fromkeys([0, 2, 4, 6], "2") | {
        1: "1",
        3: "1",
    }


@pytest.mark.slow
def test_a_worker_that_exits_is_reported_with_its_exit_code(pool: Pool, trial_of: Make) -> None:
    failed = ended(list(pool.map(work.leaves, packs(trial_of, [work.BAD], [1]))), Failed)
    assert list(failed) == [work.BAD]
    assert "exit code 7" in failed[work.BAD].error
    assert sorted(ended(list(pool.map(work.quick, packs(trial_of, [0], [1]))), Finished)) == [0, 1]


def test_a_worker_killed_while_it_is_idle_costs_no_trial(pool: Pool, trial_of: Make) -> None:
    list(pool.map(work.quick, packs(trial_of, [0], [1], [2], [3])))
    victim = pool.workers[0].process
    os.kill(int(victim.pid or 0), signal.SIGKILL)
    wait_until(lambda: not victim.is_alive())
    found = list(pool.map(work.quick, packs(trial_of, [0], [1], [2], [3])))
    assert sorted(ended(found, Finished)) == [0, 1, 2, 3]
    assert not ended(found, Failed)


def test_ctrl_c_while_a_worker_starts_is_the_drivers_alone(trial_of: Make, capfd: pytest.CaptureFixture[str]) -> None:
    with Pool(1) as pool:
        pool.prepare(work.quick, 1)
        (worker,) = processes(pool)
        for _ in range(10):  # while Python starts, and while it imports
            os.kill(worker, signal.SIGINT)
            time.sleep(0.02)
        found = list(pool.map(work.quick, packs(trial_of, [0])))
    assert where(found) == {worker}
    assert not capfd.readouterr().err


def test_an_event_that_cannot_be_sent_fails_its_cohort(pool: Pool, trial_of: Make) -> None:
    failed = ended(list(pool.map(work.unpicklable, packs(trial_of, [0, 1]))), Failed)
    assert sorted(failed) == [0, 1]
    assert "pickle" in failed[0].error


def test_a_caller_that_closes_the_events_leaves_nothing_running(pool: Pool, trial_of: Make) -> None:
    events = pool.map(work.dawdles, packs(trial_of, [work.SLOW]))
    running = next(
        int(e.metrics["train/loss"]) for c, e in events if c.trials[0].seed == work.SLOW and isinstance(e, Progress)
    )
    assert work.alive(running)
    started = time.monotonic()
    events.close()
    wait_until(lambda: not work.alive(running))
    assert time.monotonic() - started < 10
    assert sorted(ended(list(pool.map(work.quick, packs(trial_of, [0], [1]))), Finished)) == [0, 1]


@pytest.mark.slow
def test_no_process_is_left_when_an_error_closes_a_pool(trial_of: Make) -> None:
    started = []

    def stopped() -> None:
        with Pool(1) as pool:
            events = pool.map(work.dawdles, packs(trial_of, [work.SLOW]))
            next(events)
            started.extend(processes(pool))
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        stopped()
    wait_until(lambda: not any(work.alive(worker) for worker in started))
    assert len(started) == 1


@pytest.mark.slow
def test_a_worker_that_is_terminated_hands_its_cohort_back_with_checkpoints(pool: Pool, trial_of: Make) -> None:
    """By SIGTERM, as a process group or a machine's administrator sends it. Another worker resumes."""
    found = []
    for cohort, event in pool.map(work.waits_or_resumes, packs(trial_of, [0, 1])):
        found.append((cohort, event))
        if isinstance(event, Progress) and event.metrics["train/loss"] > 1:
            os.kill(int(event.metrics["train/loss"]), signal.SIGTERM)
    assert {seed: event.result.scores["value"][0] for seed, event in ended(found, Finished).items()} == {0: 3, 1: 3}
    assert not ended(found, Paused)
    assert not ended(found, Failed)


DRIVER = """
import work
from farback.executors import Pool
from farback.trials.cohort import Cohort
from farback.trials.trial import Trial
trials = [Trial.model_validate({"task": "recall", "lag": 3, "cell": "elman", "hidden": 9, "seed": s}) for s in (0, 99)]
if __name__ == "__main__":
    with Pool(2) as pool:
        for _, event in pool.map(work.lingers, [Cohort.of(trial) for trial in trials]):
            print(int(event.metrics["train/loss"]), flush=True)
"""


def test_workers_end_soon_after_their_driver_is_killed(tmp_path: Path) -> None:
    """One worker that looks for requests all the time, and one that is busy for a minute."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    path = os.pathsep.join([str(Path(work.__file__).parent), os.environ.get("PYTHONPATH", "")])
    driver = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})
    assert driver.stdout is not None
    workers = [int(driver.stdout.readline()) for _ in range(2)]
    assert len(set(workers)) == 2
    assert all(work.alive(worker) for worker in workers)
    driver.kill()
    driver.communicate()
    wait_until(lambda: not any(work.alive(worker) for worker in workers), seconds=5)


@pytest.mark.parametrize("workers", [0, -1])
def test_a_pool_needs_a_worker(workers: int) -> None:
    with pytest.raises(ValueError, match=rf"workers is {workers}"):
        Pool(workers)


def test_a_pool_has_a_worker_for_each_core_unless_told_otherwise() -> None:
    assert Pool().size == len(psutil.Process().cpu_affinity())


def wait_until(done: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_script_that_trains_without_a_guard_gets_an_error_that_says_so(tmp_path: Path) -> None:
    """Workers import the script that started them: it would start workers of its own, which Python refuses."""
    (tmp_path / "tiny.yaml").write_text(
        "name: tiny\nbase: {task: {name: recall, symbols: 2}, lag: 1, hidden: 4, steps: 4}\n"
        "sweep:\n  - cell: [elman, gru]\n    seed: {range: 2}\n"
    )
    script = tmp_path / "script.py"
    script.write_text("import farback\nfarback.run('tiny.yaml', workers=2)\n")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "must do it under `if __name__ == '__main__':`" in done.stderr.splitlines()[-1]
