"""The one path every trial takes."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import farback
from farback.executors import Serial, base
from farback.experiment import ConfigError, Experiment, Sweep
from farback.runs import progress, trial_checks
from farback.runs.progress import Tally
from farback.runs.schedule import Remaining, plan
from farback.runs.sweep import checked_sweep
from farback.stores.memory import Memory
from farback.training import compiled_updates, loop
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Failed, Finished
from farback.trials.trial import Trial
from open_sweeps import recorded_events, session, sweep_run

SMALL = """
name: small
question: Does it run?
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 4
  batch: 8
  steps: 12
  evaluate_every: 4
  measures: [{name: retention, lags: [1, 3], sequences: 50}]
sweep:
  - cell: [{name: elman}, {name: memoryless}]
    lag: [1, 2]
    seed: {range: 2}
"""


def config(folder: Path, text: str = SMALL) -> Sweep:
    (folder / "configs").mkdir(exist_ok=True)
    path = folder / "configs" / "small.yaml"
    path.write_text(text)
    return checked_sweep(Experiment.load(path))


def frame(store: Memory) -> pd.DataFrame:
    return store.frame("small")


def test_a_second_run_trains_nothing(tmp_path: Path) -> None:
    store = Memory()
    first = farback.run(config(tmp_path), workers=1, store=store)
    assert (first.trained, first.reused, first.failed) == (8, 0, 0)
    before = frame(store)
    second = farback.run(config(tmp_path), workers=1, store=store)
    assert (second.trained, second.reused) == (0, 8)
    pd.testing.assert_frame_equal(before, frame(store))


def test_one_changed_word_trains_only_what_is_new(tmp_path: Path) -> None:
    store = Memory()
    farback.run(config(tmp_path), workers=1, store=store)
    changed = farback.run(config(tmp_path, SMALL.replace("name: elman", "name: gru")), workers=1, store=store)
    assert (changed.trained, changed.reused) == (4, 4)


@pytest.mark.slow
def test_a_pool_gives_the_bits_of_one_process(tmp_path: Path) -> None:
    alone, shared = Memory(), Memory()
    farback.run(config(tmp_path), workers=1, store=alone)
    farback.run(config(tmp_path), workers=2, store=shared)
    pd.testing.assert_frame_equal(frame(alone), frame(shared), check_exact=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """The store of a run that was never stopped."""
    store = Memory()
    farback.run(config(tmp_path_factory.mktemp("whole")), workers=1, store=store)
    return store


def test_stopping_at_any_instant_and_running_again_gives_the_same_store(tmp_path: Path, whole: Memory) -> None:
    experiment, halted = config(tmp_path), Memory()
    for count in (0, 1, 5, 9):
        stream = recorded_events(sweep_run(experiment, halted))
        for _ in range(count):
            next(stream)
        stream.close()
    farback.run(experiment, workers=1, store=halted)
    pd.testing.assert_frame_equal(frame(whole), frame(halted), check_exact=True)


@pytest.mark.parametrize("count", [1, 30, pytest.param(90, marks=pytest.mark.slow)])
def test_a_run_resumed_from_checkpoints_gives_the_same_store(tmp_path: Path, whole: Memory, count: int) -> None:
    """With a checkpoint at every update; a driver that dies just stops reading."""
    experiment, halted = config(tmp_path), Memory()
    first = sweep_run(experiment, halted, checkpoint_seconds=0)
    stream = recorded_events(first)
    for _ in range(count):
        next(stream)
    stream.close()
    kept = first.folder.keys()
    done = halted.finished("small", [trial.key for trial in experiment.trials()])
    plan = sweep_run(experiment, halted).plan
    assert {one.key for cohort in plan.cohorts for one in cohort.start} == kept - done
    assert plan.resumed == len(kept - done) > 0
    assert [cohort.step > 0 for cohort in plan.cohorts] == sorted((c.step > 0 for c in plan.cohorts), reverse=True)
    before = len(halted.progress)
    assert farback.run(experiment, workers=1, store=halted).reused == len(done)
    pd.testing.assert_frame_equal(frame(whole), frame(halted), check_exact=True)
    assert first.folder.keys() == set()
    again = {(one.key, one.step): one.metrics for one in halted.progress[before:]}
    assert again == {  # a new run in the store has its whole curve
        (one.key, one.step): one.metrics for one in whole.progress if one.key not in done
    }


class Finishing(Serial):
    """Is asked to finish after so many updates in all."""

    def __init__(self, updates: int) -> None:
        super().__init__()
        self.updates = updates

    def map(self, function, items) -> Iterator[tuple[Cohort, Event]]:
        def counted(cohort: Cohort):
            training = function(cohort)
            try:
                event = next(training)
                while True:
                    self.updates -= 1
                    if self.updates < 0:
                        self.finish()
                    event = training.send((yield event))
            except StopIteration:
                return

        return super().map(counted, items)


def test_a_run_that_is_asked_to_finish_keeps_checkpoints_and_the_next_resumes(
    tmp_path: Path, whole: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "REQUEST_SECONDS", 0.0)
    experiment, halted = config(tmp_path), Memory()
    summaries = []
    while not summaries or summaries[-1].trained + summaries[-1].reused < 8:
        summaries.append(farback.run(experiment, executor=Finishing(30), store=halted))
        assert len(summaries) < 20
    assert len(summaries) > 1
    assert sum(summary.trained for summary in summaries) == 8
    assert not halted.failures
    pd.testing.assert_frame_equal(frame(whole), frame(halted), check_exact=True)
    assert session(halted).checkpoints(experiment).keys() == set()


def test_no_point_of_a_curve_is_recorded_twice_where_a_worker_died(
    tmp_path: Path, whole: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial that resumes repeats its progress from the start; the store of this run has the first part already."""
    monkeypatch.setattr(compiled_updates, "FLOPS", 1)  # a worker can die after every update
    experiment, halted = config(tmp_path), Memory()
    stumbling = Stumbling()
    farback.run(experiment, executor=stumbling, store=halted, checkpoint_seconds=0)
    assert stumbling.deaths >= 4
    points = [(one.key, one.step, name) for one in halted.progress for name in one.metrics]
    assert len(points) == len(set(points))
    assert set(points) == {(one.key, one.step, name) for one in whole.progress for name in one.metrics}
    pd.testing.assert_frame_equal(frame(whole), frame(halted), check_exact=True)


class Stumbling(Serial):
    """Every cohort loses its worker, and resumes from its last checkpoints."""

    deaths = 0

    def map(self, function, items) -> Iterator[tuple[Cohort, Event]]:
        queue = base.CohortQueue(items)
        while (cohort := queue.take()) is not None:
            still = base.RunningCohort(cohort)
            for count, event in enumerate(event for event in function(cohort) if event is not None):
                still.update(event)
                yield cohort, event
                if count == 25 and cohort.step < 8:
                    self.deaths += 1
                    yield from queue.worker_died(still, "it was killed")
                    break


def test_a_config_says_how_often_checkpoints_are_made(tmp_path: Path) -> None:
    assert session(Memory()).checkpoints(config(tmp_path)).seconds == 60
    often = config(tmp_path, SMALL + "checkpoint_seconds: 2.5\n")
    assert session(Memory()).checkpoints(often).seconds == 2.5
    assert session(Memory(), checkpoint_seconds=9).checkpoints(often).seconds == 9
    assert [trial.key for trial in often.trials()] == [trial.key for trial in config(tmp_path).trials()]
    for wrong in ("-1", "true", "soon", ".inf", "[1]"):
        with pytest.raises(
            ConfigError, match=r"small.yaml:\d+:\d+: checkpoint_seconds: the time must be a number of seconds"
        ):
            config(tmp_path, SMALL + f"checkpoint_seconds: {wrong}\n")


def test_a_config_says_how_much_memory_an_update_may_keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, real = [], loop.train
    monkeypatch.setattr(loop, "train", lambda cohort, **options: given.append(options["memory"]) or real(cohort))
    small = config(tmp_path, SMALL + "memory: 20\n")
    assert [trial.key for trial in small.trials()] == [trial.key for trial in config(tmp_path).trials()]
    farback.run(small, store=Memory(), workers=1, progress=False)
    assert set(given) == {20_000_000}
    for wrong in ("0", "1.5", "much"):
        with pytest.raises(ConfigError, match=r"small.yaml:\d+:\d+: memory: "):
            config(tmp_path, SMALL + f"memory: {wrong}\n")


class Breaking(Serial):
    """Loses every cohort."""

    def map(self, function, items) -> Iterator[tuple[Cohort, Event]]:
        for cohort in items:
            for key in cohort.keys:
                yield cohort, Failed(key, "it broke")


def test_failures_are_reported_and_tried_again(tmp_path: Path) -> None:
    store = Memory()
    broken = farback.run(config(tmp_path), workers=1, executor=Breaking(), store=store)
    assert (broken.trained, broken.failed) == (0, 8)
    assert broken.failures[0].error == "it broke"
    again = farback.run(config(tmp_path), workers=1, store=store)
    assert (again.trained, again.reused, again.failed) == (8, 0, 0)


def test_the_longest_cohorts_come_first_and_every_worker_gets_one(tmp_path: Path) -> None:
    trials = config(tmp_path).trials()
    todo = plan(Remaining.of(trials, set()), workers=4)
    assert sorted(trial.key for pack in todo.cohorts for trial in pack.trials) == sorted(trial.key for trial in trials)
    assert len(todo.cohorts) == 8  # two for each worker
    assert todo.cohorts[0].trials[0].lag == 2
    assert todo.cohorts[-1].trials[0].lag == 1


def test_an_axis_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    text = SMALL.replace("cell: [{name: elman}, {name: memoryless}]", "cell: [leaky_integrator]").replace(
        "    lag: [1, 2]", "    lag: [1, 2]\n    init: [{name: forget_bias, value: 1.0}, torch]"
    )
    with pytest.raises(ConfigError, match="forget_bias"):  # a leaky integrator has no such gate
        config(tmp_path, text)
    same = SMALL.replace("cell: [{name: elman}, {name: memoryless}]", "cell: [shift_register]").replace(
        "  hidden: 4", "  hidden: 6\n  bias: true"
    )
    same = same.replace("    lag: [1, 2]", "    lag: [1, 2]\n    bias: [true, false]").replace(
        "symbols: 2", "symbols: 2"
    )
    experiment = config(tmp_path, same)
    with pytest.raises(ConfigError, match=r"small.yaml:\d+.*bias.*changes nothing here: true and false are"):
        farback.run(experiment, workers=1, store=Memory())


def test_a_task_with_one_answer_only_is_refused(tmp_path: Path) -> None:
    """With a short delay the Mackey-Glass series comes to rest."""
    text = SMALL.replace("name: recall, symbols: 2, filler: blank", "name: mackey_glass, tau: 2.0, history: 2")
    with pytest.raises(ConfigError, match=r"task: every answer of .*mackey_glass.* is the same number.*remember"):
        trial_checks.check(config(tmp_path, text))


def test_an_axis_that_changes_something_at_the_last_level_of_the_others_is_allowed(tmp_path: Path) -> None:
    """Windows of 3 and 5 steps are the same on the two steps of lag 1, and not on the seven steps of lag 6."""
    windows = "cell: [{name: attention, window: 3}, {name: attention, window: 5}]"
    text = SMALL.replace("cell: [{name: elman}, {name: memoryless}]", windows)
    trial_checks.check(config(tmp_path, text.replace("lag: [1, 2]", "lag: [1, 6]")))
    with pytest.raises(ConfigError, match=r"cell: this axis changes nothing here: 'attention \(window 3\)'"):
        trial_checks.check(config(tmp_path, text))


def test_a_network_that_fails_at_its_first_step_is_reported_with_its_axis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(trial: Trial) -> bytes:
        raise ZeroDivisionError("of somebody's own cell")

    monkeypatch.setattr(loop, "fingerprint", fails)
    message = r"small.yaml:\d+.* fails at step 0: ZeroDivisionError: of somebody's own cell \(.*test_sweep.py:\d+\)"
    with pytest.raises(ConfigError, match=message):
        trial_checks.check(config(tmp_path))


def test_axes_that_act_after_step_0_are_allowed(tmp_path: Path) -> None:
    trial_checks.check(config(tmp_path, SMALL.replace("    lag: [1, 2]", "    lag: [1]\n    steps: [4, 8]")))


def test_diverged_trials_are_results(tmp_path: Path) -> None:
    text = SMALL.replace("  steps: 12", "  steps: 60\n  clip: null\n  optimizer: {name: sgd, lr: 1000.0}")
    text = text.replace("{name: elman}", "{name: elman, nonlinearity: identity}")
    text = text.replace("lag: [1, 2]", "lag: [2]").replace("seed: {range: 2}", "seed: {range: 1}")
    store = Memory()
    summary = farback.run(config(tmp_path, text), workers=1, store=store)
    assert summary.diverged > 0
    assert farback.run(config(tmp_path, text), workers=1, store=store).trained == 0


def test_the_tally_counts_the_share_that_is_done(tmp_path: Path) -> None:
    trials = config(tmp_path).trials()
    todo = plan(Remaining.of(trials, set()))
    tally = Tally(todo)
    assert tally.share == 0
    assert tally.seconds_left is None
    shares = []
    for _, event in Serial().map(train, todo.cohorts):
        tally.add(event)
        shares.append(tally.share)
        if isinstance(event, Finished):
            assert event.key in tally.finished
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_the_time_left_is_counted_from_the_first_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    todo = plan(Remaining.of(config(tmp_path).trials(), set()))
    made = [event for _, event in Serial().map(train, todo.cohorts)]
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    tally = Tally(todo)
    now[0] += 60  # workers start, and nothing of this is the pace
    tally.add(made[0])
    began = tally.share
    assert tally.seconds_left is None
    now[0] += 1
    tally.add(made[1])
    assert tally.seconds_left is None  # a second says little
    now[0] += 9
    for event in made[2 : len(made) // 2]:
        tally.add(event)
    assert tally.seconds_left == pytest.approx(10 / (tally.share - began) * (1 - tally.share))


def test_what_is_only_measured_counts_as_work(tmp_path: Path) -> None:
    todo = plan(Remaining.of(config(tmp_path, SMALL.replace("  steps: 12", "  steps: 0")).trials(), set()))
    tally = Tally(todo)
    assert tally.share == 0
    shares = []
    for _, event in Serial().map(train, todo.cohorts):
        tally.add(event)
        if isinstance(event, Finished):
            shares.append(tally.share)
    assert shares == sorted(set(shares))  # each moves it
    assert tally.share == pytest.approx(1)
