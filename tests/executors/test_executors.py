"""The contract of executors, run over all of them, and tests of the processes of a pool."""

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
from farback.executors.pool import START
from farback.trials.cohort import Cohort, cohorts
from farback.trials.events import Checkpoint, Event, Failed, Finished, Paused, Progress, Pruned
from farback.trials.trial import Trial

Make = Callable[..., Trial]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """One pool for all tests, because it must stay usable after each of them."""
    with Pool(2) as executor:
        yield executor
        workers = processes(executor)
        assert workers
        assert all(work.alive(pid) for pid in workers)
    assert not any(work.alive(pid) for pid in workers)  # a closed pool has no process
    assert not set(workers) & {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture(params=["serial", "pool", "local_dask"])
def executor(request: pytest.FixtureRequest) -> Executor:
    return Serial() if request.param == "serial" else request.getfixturevalue(request.param)


def packs(trial_of: Make, *seeds: list[int]) -> list[Cohort]:
    return [Cohort.of(*(trial_of(seed=seed) for seed in row)) for row in seeds]


def by_seed(pairs: list[tuple[Cohort, Event]], kind: type) -> dict[int, Any]:
    """The events of one kind by the seed of their trial."""
    return {
        trial.seed: event
        for cohort, event in pairs
        for trial in cohort.trials
        if event.key == trial.key and isinstance(event, kind)
    }


# The contract ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_prepared_workers_train_the_cohorts(trial_of: Make) -> None:
    with Pool(2) as pool:
        pool.prepare(work.quick, 1)
        (first,) = processes(pool)
        pool.prepare(work.quick, 5)
        prepared = processes(pool)
        assert first in prepared
        assert len(prepared) == 2
        pairs = list(pool.map(work.quick, packs(trial_of, [0], [1], [2], [3])))
        assert process_ids(pairs) <= set(prepared)
        assert len([event for _, event in pairs if isinstance(event, Finished)]) == 4
        assert processes(pool) == prepared


def test_every_event_of_every_cohort_arrives_with_its_cohort(executor: Executor, trial_of: Make) -> None:
    items = packs(trial_of, [0, 1], [2], [3, 4], [5])
    pairs = list(executor.map(work.quick, items))
    assert len(pairs) == 2 * 6
    for cohort, event in pairs:
        assert cohort in items
        assert event.key in cohort.keys
    for kind in (Progress, Finished):
        assert sorted(by_seed(pairs, kind)) == [0, 1, 2, 3, 4, 5]
    assert [event.metrics["train/loss"] for event in by_seed(pairs, Progress).values()] == list(
        by_seed(pairs, Progress)
    )


def test_the_events_of_a_cohort_keep_their_order(executor: Executor, trial_of: Make) -> None:
    items = packs(trial_of, [0, 1], [2, 3])
    pairs = list(executor.map(work.quick, items))
    for cohort in items:
        own = [event for pack, event in pairs if pack == cohort]
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


def test_a_dropped_trial_ends_as_pruned_and_the_others_finish(executor: Executor, trial_of: Make) -> None:
    (dropped, kept) = trials = [trial_of(seed=seed) for seed in (0, 1)]
    pairs = []
    for cohort, event in executor.map(work.waits_for_drop, [Cohort.of(*trials)]):
        pairs.append((cohort, event))
        executor.drop([dropped.key])
    assert sorted(by_seed(pairs, Pruned)) == [dropped.seed]
    assert sorted(by_seed(pairs, Finished)) == [kept.seed]


def test_none_among_the_cohorts_means_not_yet(executor: Executor, trial_of: Make) -> None:
    """The executor asks again after the next event, and ends if no cohort is training."""
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


def test_scores_equal_those_of_serial_bit_for_bit(executor: Executor, trial_of: Make) -> None:
    """Law 1, with other sizes of cohorts and other processes."""
    trials = [trial_of(seed=seed, cell=cell, depth=2) for seed in range(3) for cell in ("gru", "elman")]
    alone = by_seed(
        list(Serial().map(work.trains, [Cohort.of(trial) for trial in trials if trial.cell.name == "gru"])), Finished
    )
    pairs = list(executor.map(work.trains, cohorts(trials, 2)))
    results = {event.key: event.result for _, event in pairs if isinstance(event, Finished)}
    assert set(results) == {trial.key for trial in trials}
    for event in alone.values():
        pd.testing.assert_frame_equal(results[event.key].scores, event.result.scores, check_exact=True)


def test_an_exception_fails_the_rest_of_its_cohort_and_nothing_else(executor: Executor, trial_of: Make) -> None:
    pairs = list(executor.map(work.raises, packs(trial_of, [0, 1], [2, work.BAD, 3], [4])))
    assert sorted(by_seed(pairs, Finished)) == [0, 1, 2, 4]
    failed = by_seed(pairs, Failed)
    assert sorted(failed) == [3, work.BAD]
    for event in failed.values():
        assert event.error == "ArithmeticError: division by zero at step 3"
        assert "work.py" in event.traceback
        assert "raise ArithmeticError" in event.traceback


def test_an_executor_is_usable_after_a_failure(executor: Executor, trial_of: Make) -> None:
    list(executor.map(work.raises, packs(trial_of, [work.BAD], [1])))
    assert sorted(by_seed(list(executor.map(work.quick, packs(trial_of, [0], [1]))), Finished)) == [0, 1]


def test_every_trial_ends_exactly_once(executor: Executor, trial_of: Make) -> None:
    pairs = list(executor.map(work.raises, packs(trial_of, [0, work.BAD], [1], [2, 3, 4])))
    keys = [event.key for _, event in pairs if isinstance(event, Finished | Failed)]
    assert len(keys) == len(set(keys)) == 6


# Finishing ------------------------------------------------------------------------------------------------


@pytest.fixture(params=["serial", "pool"])
def own(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """An executor for one test, because one that finished cannot be used again."""
    with Serial() if request.param == "serial" else Pool(1) as executor:
        yield executor


def test_finishing_gives_checkpoints_and_starts_no_cohort(own: Executor, trial_of: Make) -> None:
    assert not own.finishing
    pairs = []
    for cohort, event in own.map(work.waits, packs(trial_of, [0, 1], [2], [3])):
        pairs.append((cohort, event))
        own.finish()
    assert own.finishing
    assert sorted(by_seed(pairs, Paused)) == sorted(by_seed(pairs, Checkpoint)) == [0, 1]
    assert {event.step for event in by_seed(pairs, Paused).values()} == {3}
    assert list(own.map(work.quick, packs(trial_of, [4]))) == []


def test_finishing_before_the_start_starts_no_cohort(trial_of: Make) -> None:
    for executor in (Serial(), Pool(1)):
        with executor:
            executor.finish()
            executor.finish()
            assert list(executor.map(work.quick, packs(trial_of, [0]))) == []


@pytest.mark.slow
def test_trials_of_a_worker_that_dies_while_finishing_are_paused(trial_of: Make) -> None:
    with Pool(1) as executor:
        pairs = []
        for cohort, event in executor.map(work.dies_while_finishing, packs(trial_of, [0, 1])):
            pairs.append((cohort, event))
            executor.finish()
    assert {seed: event.step for seed, event in by_seed(pairs, Paused).items()} == {0: 2, 1: 0}
    assert not by_seed(pairs, Failed)


# Processes -------------------------------------------------------------------------------------------------------


def processes(pool: Pool) -> list[int]:
    return [int(worker.process.pid or 0) for worker in pool.workers]


def process_ids(pairs: list[tuple[Cohort, Event]]) -> set[int]:
    """The processes that cohorts ran in, as `work.quick` reports them."""
    return {int(event.result.scores["statistic"][0]) for _, event in pairs if isinstance(event, Finished)}


def test_a_pool_runs_in_other_processes_and_keeps_them(pool: Pool, trial_of: Make) -> None:
    first, second = (
        process_ids(list(pool.map(work.quick, packs(trial_of, *[[seed] for seed in range(6)])))) for _ in range(2)
    )
    assert os.getpid() not in first
    assert first | second == set(processes(pool))
    assert len(processes(pool)) <= 2


def test_a_worker_uses_one_thread(pool: Pool, trial_of: Make) -> None:
    pairs = list(pool.map(work.threads, packs(trial_of, [0], [1])))
    assert [event.metrics["threads"] for event in by_seed(pairs, Progress).values()] == [1.0, 1.0]


@pytest.mark.slow
def test_a_trial_that_kills_three_workers_fails_with_the_reason_and_no_other_does(pool: Pool, trial_of: Make) -> None:
    pairs = list(pool.map(work.dies, packs(trial_of, [0, 1], [2, 7, work.BAD, 3, 8], [4], [5], [6])))
    assert sorted(by_seed(pairs, Finished)) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    failed = by_seed(pairs, Failed)
    assert sorted(failed) == [work.BAD]
    assert "killed by SIGKILL, perhaps because memory ran out" in failed[work.BAD].error
    assert "2 other workers died while training this trial" in failed[work.BAD].error
    assert sorted(by_seed(list(pool.map(work.quick, packs(trial_of, [0], [1], [2]))), Finished)) == [0, 1, 2]


def test_the_trials_of_a_killed_worker_resume_from_their_last_checkpoints(pool: Pool, trial_of: Make) -> None:
    """Trials of one step resume together, in two halves, each trial once."""
    pairs = list(pool.map(work.dies_after_checkpoints, packs(trial_of, [0, 1, 2, 3, 4, 6])))
    scores = {seed: event.result.scores for seed, event in by_seed(pairs, Finished).items()}
    assert sum(isinstance(event, Finished) for _, event in pairs) == 6
    assert {seed: own["value"][0] for seed, own in scores.items()} == {0: 5, 1: 6, 2: 5, 3: 6, 4: 5, 6: 5}
    assert {seed: own["statistic"][0] for seed, own in scores.items()} == dict.fromkeys([0, 2, 4, 6], "2") | {
        1: "1",
        3: "1",
    }


@pytest.mark.slow
def test_a_worker_that_exits_is_reported_with_its_exit_code(pool: Pool, trial_of: Make) -> None:
    failed = by_seed(list(pool.map(work.exits, packs(trial_of, [work.BAD], [1]))), Failed)
    assert list(failed) == [work.BAD]
    assert "exit code 7" in failed[work.BAD].error
    assert sorted(by_seed(list(pool.map(work.quick, packs(trial_of, [0], [1]))), Finished)) == [0, 1]


@pytest.mark.slow
def test_the_death_of_an_idle_worker_fails_no_trial(pool: Pool, trial_of: Make) -> None:
    list(pool.map(work.quick, packs(trial_of, [0], [1], [2], [3])))
    victim = pool.workers[0].process
    os.kill(int(victim.pid or 0), signal.SIGKILL)
    wait_until(lambda: not victim.is_alive())
    pairs = list(pool.map(work.quick, packs(trial_of, [0], [1], [2], [3])))
    assert sorted(by_seed(pairs, Finished)) == [0, 1, 2, 3]
    assert not by_seed(pairs, Failed)


@pytest.mark.slow
def test_a_starting_worker_ignores_ctrl_c(trial_of: Make, capfd: pytest.CaptureFixture[str]) -> None:
    with Pool(1) as pool:
        pool.prepare(work.quick, 1)
        (worker,) = processes(pool)
        for _ in range(10):  # while it starts and imports
            os.kill(worker, signal.SIGINT)
            time.sleep(0.02)
        pairs = list(pool.map(work.quick, packs(trial_of, [0])))
    assert process_ids(pairs) == {worker}
    assert not capfd.readouterr().err


def test_an_event_that_cannot_be_sent_fails_its_cohort(pool: Pool, trial_of: Make) -> None:
    failed = by_seed(list(pool.map(work.unpicklable, packs(trial_of, [0, 1]))), Failed)
    assert sorted(failed) == [0, 1]
    assert "pickle" in failed[0].error


@pytest.mark.slow
def test_closing_the_events_ends_the_running_worker(pool: Pool, trial_of: Make) -> None:
    events = pool.map(work.runs_a_minute, packs(trial_of, [work.SLOW]))
    _, event = next(events)
    assert isinstance(event, Progress)
    running = int(event.metrics["train/loss"])
    assert work.alive(running)
    started = time.monotonic()
    events.close()
    wait_until(lambda: not work.alive(running))
    assert time.monotonic() - started < 10
    assert sorted(by_seed(list(pool.map(work.quick, packs(trial_of, [0], [1]))), Finished)) == [0, 1]


@pytest.mark.slow
def test_an_error_in_the_caller_ends_the_workers(trial_of: Make) -> None:
    started = []

    def stopped() -> None:
        with Pool(1) as pool:
            events = pool.map(work.runs_a_minute, packs(trial_of, [work.SLOW]))
            next(events)
            started.extend(processes(pool))
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        stopped()
    wait_until(lambda: not any(work.alive(worker) for worker in started))
    assert len(started) == 1


@pytest.mark.slow
def test_the_cohort_of_a_terminated_worker_resumes_on_another(pool: Pool, trial_of: Make) -> None:
    """SIGTERM may reach one worker or the whole process group. Another worker resumes its cohort."""
    pairs = []
    for cohort, event in pool.map(work.waits_or_resumes, packs(trial_of, [0, 1])):
        pairs.append((cohort, event))
        if isinstance(event, Progress) and event.metrics["train/loss"] > 1:
            os.kill(int(event.metrics["train/loss"]), signal.SIGTERM)
    assert {seed: event.result.scores["value"][0] for seed, event in by_seed(pairs, Finished).items()} == {0: 3, 1: 3}
    assert not by_seed(pairs, Paused)
    assert not by_seed(pairs, Failed)


@pytest.mark.slow
def test_workers_end_soon_after_their_driver_is_killed(trial_of: Make) -> None:
    """One worker checks for requests all the time, the other one is busy for a minute."""
    pipe, theirs = START.Pipe()
    driver = START.Process(target=work.drive_a_pool, args=(theirs, packs(trial_of, [0], [work.SLOW])))
    driver.start()
    workers = [pipe.recv() for _ in range(2)]
    assert len(set(workers)) == 2
    assert all(work.alive(worker) for worker in workers)
    driver.kill()
    driver.join()
    wait_until(lambda: not any(work.alive(worker) for worker in workers), seconds=5)


@pytest.mark.parametrize("workers", [0, -1])
def test_a_pool_needs_a_worker(workers: int) -> None:
    with pytest.raises(ValueError, match=rf"workers is {workers}"):
        Pool(workers)


def test_a_pool_has_a_worker_for_each_core_by_default() -> None:
    assert Pool().size == len(psutil.Process().cpu_affinity())


def wait_until(done: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


SCRIPT = """
from farback.executors import Pool
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.trial import Trial
print("started")
trial = Trial.model_validate({"task": "recall", "lag": 3, "cell": "elman", "hidden": 2, "batch": 4, "steps": 2})
with Pool(1) as pool:
    print(type(list(pool.map(train, [Cohort.of(trial)]))[-1][1]).__name__)
"""


@pytest.mark.slow
def test_a_script_from_standard_input_can_train(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-"], cwd=tmp_path, input=SCRIPT, capture_output=True, text=True, timeout=300
    )
    assert (done.stdout, done.returncode) == ("started\nFinished\n", 0), done.stderr


@pytest.mark.slow
def test_workers_import_neither_the_script_nor_files_of_the_current_directory(tmp_path: Path) -> None:
    """A script needs no `if __name__ == "__main__":`. A console script has no current directory on its path."""
    script, folder = tmp_path / "script.py", tmp_path / "folder"
    script.write_text(SCRIPT)
    folder.mkdir()
    for name in ("signal", "types", "statistics", "farback"):
        (folder / f"{name}.py").write_text("raise SystemExit('this file was imported')")
    done = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.returncode) == ("started\nFinished\n", 0), done.stderr
