"""A sweep whose lags are picked by bisection: less is trained, and the tables say the same as of the whole grid."""

import shutil
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

import farback
from farback import tables
from farback.cli.progress import SweepDisplay
from farback.executors import Serial, base
from farback.experiment import Experiment, Sweep
from farback.records.record import UserError
from farback.runs.progress import Tally
from farback.runs.schedule import Schedule
from farback.runs.sweep import checked_sweep
from farback.runs.sweep_page import publish, subject
from farback.stores.mlflow import MLflow
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Failed, Finished, TrialResult, scores
from farback.trials.trial import Trial
from memory_store import Memory
from open_sweeps import recorded_events, sweep_run

LAGS = [1, 2, 4, 8, 16]
CONFIG = """
name: small
question: How far?
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 24
  batch: 16
  steps: 75
  evaluate_every: 25
  optimizer: {name: adam, lr: 3.0e-2}
  measures: [{name: retention, sequences: 100}]
sweep:
  - cell: [shift_register, memoryless]
    lag: LAGS
    seed: {range: 3}
"""


def config(folder: Path, lag: str = "{bracket: [1, 16]}", name: str = "small") -> Sweep:
    (folder / "configs").mkdir(exist_ok=True)
    path = folder / "configs" / f"{name}.yaml"
    path.write_text(CONFIG.replace("LAGS", lag).replace("name: small", f"name: {name}"))
    return checked_sweep(Experiment.load(path))


def horizon_of(trial: Trial) -> int:
    """The longest lag at which a made-up network succeeds: by its seed, from short to the whole range."""
    return 0 if trial.cell.name == "memoryless" else [1, 5, 16][trial.seed]


def ended(trial: Trial) -> Finished:
    value = float(trial.lag <= horizon_of(trial))
    values = {"skill": value, "success": value, "accuracy": value, "chance_accuracy": 0.5}
    rows = [("retention", 75, trial.lag, name, number) for name, number in values.items()]
    return Finished(TrialResult(trial.key, scores(rows), "finished"))


class MadeUp(Serial):
    """Trains nothing: every trial ends as its horizon says, or fails."""

    def __init__(self, failing: int | None = None) -> None:
        super().__init__()
        self.failing = failing
        self.cohorts: list[Cohort] = []

    def map(self, function: Any, items: Any) -> Iterator[tuple[Cohort, Event]]:
        for cohort in items:
            self.cohorts.append(cohort)
            for trial in cohort.trials:
                yield cohort, Failed(trial.key, "it broke") if trial.lag == self.failing else ended(trial)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The same networks at every lag."""
    store = Memory()
    farback.run(config(tmp_path_factory.mktemp("whole"), str(LAGS), "grid"), workers=1, store=store)
    return store.frame("grid")


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The same networks at the lags that bisection picks."""
    folder, store = tmp_path_factory.mktemp("part"), Memory()
    summary = farback.run(config(folder), workers=1, store=store)
    assert summary.trained == 12  # of 30: two lags a seed
    again = farback.run(config(folder), workers=1, store=store)
    assert (again.trained, again.reused) == (0, 12)
    return store.frame("small")


def agree(part: pd.DataFrame, full: pd.DataFrame) -> None:
    for table in (tables.trainability, tables.seed_horizons, tables.success_by_lag):
        pd.testing.assert_frame_equal(table(part), table(full))


def test_horizons_are_those_of_the_whole_grid_from_fewer_trainings(part: pd.DataFrame, whole: pd.DataFrame) -> None:
    """Trained for real: a shift register of eight slots remembers 4 steps and not 8, the memoryless cell nothing."""
    assert set(tables.seed_horizons(whole)["horizon"]) == {"[4, 8)", "< 1"}
    assert part["key"].nunique() == 12
    agree(part, whole)


class Alternating(Serial):
    """Has two cohorts at a time, and yields an event of each in turn, as two workers do, without their processes."""

    @property
    def size(self) -> int:
        return 2

    def map(self, function: Any, items: Any) -> Iterator[tuple[Cohort, Event]]:
        queue, busy = base.CohortQueue(items), deque[tuple[Cohort, Iterator[Event]]]()
        while True:
            while len(busy) < 2 and (cohort := queue.take()) is not None:
                busy.append((cohort, iter([event for event in function(cohort) if event is not None])))
            if not busy:
                return
            cohort, stream = busy.popleft()
            if (event := next(stream, None)) is not None:
                yield cohort, event
                busy.append((cohort, stream))


@pytest.mark.slow
def test_two_workers_train_the_same_bits(tmp_path: Path, part: pd.DataFrame) -> None:
    shared = Memory()
    farback.run(config(tmp_path), executor=Alternating(), store=shared)
    pd.testing.assert_frame_equal(part, shared.frame("small"), check_exact=True)


def test_stopped_at_any_instant_only_what_is_due_is_trained(tmp_path: Path) -> None:
    experiment, once, halted = config(tmp_path), Memory(), Memory()
    farback.run(experiment, executor=MadeUp(), store=once)
    for count in (0, 1, 4, 7):
        stream = recorded_events(sweep_run(experiment, halted, MadeUp()))
        for _, _event in zip(range(count), stream, strict=False):
            pass
        stream.close()
    before = set(halted.frame("small")["key"])
    rest = farback.run(experiment, executor=MadeUp(), store=halted)
    pd.testing.assert_frame_equal(once.frame("small"), halted.frame("small"), check_exact=True)
    assert (rest.reused, rest.trained) == (len(before), once.frame("small")["key"].nunique() - len(before))
    assert len(before) > 0 < rest.trained


def test_what_a_grid_has_trained_is_used(tmp_path: Path) -> None:
    store = Memory()
    full = farback.run(config(tmp_path, str(LAGS)), executor=MadeUp(), store=store)
    assert full.trained == 30
    assert farback.run(config(tmp_path), executor=MadeUp(), store=store).trained == 0


def test_a_failed_trial_holds_its_chain_up_until_the_next_run(tmp_path: Path) -> None:
    store = Memory()
    broken = farback.run(config(tmp_path), executor=MadeUp(failing=4), store=store)
    assert (broken.trained, broken.failed) == (0, 6)  # 4 is the first lag of every chain, and tried once
    again = farback.run(config(tmp_path), executor=MadeUp(), store=store)
    assert again.failed == 0
    horizons = tables.seed_horizons(store.frame("small")).set_index(["label", "seed"])["horizon"]
    assert list(horizons["shift_register"]) == ["[1, 2)", "[4, 8)", ">= 16"]


def test_only_narrows_a_bracket(tmp_path: Path) -> None:
    experiment, store = config(tmp_path), Memory()
    run = sweep_run(experiment, store, MadeUp(), trials=experiment.only(["lag=2,4,8", "cell=shift_register"]))
    assert {trial.lag for cohort in run.plan.cohorts for trial in cohort.trials} == {4}
    for _ in recorded_events(run):
        pass
    assert set(store.frame("small")["trained_lag"]) == {2, 4, 8}


def test_a_grid_beside_a_bracket_is_trained_whole(tmp_path: Path) -> None:
    experiment = config(tmp_path)
    text = experiment.text + "  - {cell: [memoryless], lag: [3, 5], seed: {range: 2}}\n"
    experiment.path.write_text(text)
    store = Memory()
    farback.run(Experiment.load(experiment.path), executor=MadeUp(), store=store)
    lags = store.frame("small")[["key", "trained_lag"]].drop_duplicates()["trained_lag"].value_counts()
    assert (lags[3], lags[5]) == (2, 2)


def test_no_worker_waits_for_a_round_to_end(tmp_path: Path) -> None:
    """What is due after the first of a cohort has ended is there before the others end; until then there is nothing."""
    todo = sweep_run(config(tmp_path), Memory()).plan
    schedule = Schedule(todo)
    handed = iter(schedule)
    first = [next(handed) for _ in todo.cohorts]
    assert next(handed) is None
    quick = first[0].trials[0]
    schedule.update(ended(quick))
    following = next(handed)
    assert [trial.seed for trial in following.trials] == [quick.seed]
    assert following.trials[0].lag != quick.lag
    assert next(handed) is None


def test_what_is_due_at_one_lag_is_packed_into_one_cohort(tmp_path: Path) -> None:
    executor = MadeUp()
    farback.run(config(tmp_path), executor=executor, store=Memory())
    assert len(executor.cohorts) < sum(len(cohort.trials) for cohort in executor.cohorts)


def test_progress_is_against_the_most_that_may_be_needed(tmp_path: Path) -> None:
    run = sweep_run(config(tmp_path), Memory(), MadeUp())
    todo, what = run.plan, run.plan.remaining
    assert (len(what.needed()), len(what.missing)) == (18, 30)  # three lags of five for each of six chains, at most
    tally = Tally(todo)
    display = SweepDisplay(tally, Console(width=100, record=True))
    shares, most = [], []
    for event in recorded_events(run):
        tally.add(event)
        display.add(event)
        shares.append(tally.share)
        most.append(len(what.needed()))
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert most == sorted(most, reverse=True)
    assert most[-1] == len(tally.finished)
    display.console.print(display)
    shown = display.console.export_text()
    assert f"{most[-1]} of at most {most[-1]} trials trained" in shown
    assert "[4, 8)" in shown  # of half of the seeds: implied outcomes count


def test_the_page_says_that_the_rest_is_implied(tmp_path: Path) -> None:
    def note(experiment: Sweep) -> str:
        return subject(experiment, store, store.frame("small")).bisected

    store, experiment = Memory(), config(tmp_path)
    stream = recorded_events(sweep_run(experiment, store, MadeUp()))
    for _ in range(8):
        next(stream)
    stream.close()
    assert "The lags of 6 networks and seeds (" in note(experiment)
    assert "are not finished) were picked by bisection" in note(experiment)
    farback.run(experiment, executor=MadeUp(), store=store)
    assert note(experiment).startswith("The lags of 6 networks and seeds were picked by bisection")
    text = publish(experiment, store).report.read_text()
    trained = store.frame("small")["key"].nunique()
    assert f"{trained} of 30 trials of" in text
    assert "The lags of 6 networks and seeds were picked by bisection" in text
    grid = config(tmp_path, str(LAGS))
    farback.run(grid, executor=MadeUp(), store=store)
    assert note(grid) == ""


def test_a_bracket_without_retention_is_refused(tmp_path: Path) -> None:
    experiment = config(tmp_path)
    text = experiment.text.replace("{name: retention, sequences: 100}", "gradient_reach")
    experiment.path.write_text(text)
    with pytest.raises(UserError, match="add `retention` to `measures:`"):
        farback.run(Experiment.load(experiment.path), executor=MadeUp(), store=Memory())


@pytest.mark.slow
def test_runs_in_mlflow_carry_the_bracket(tmp_path: Path, empty_database: Path) -> None:
    uri = f"sqlite:///{shutil.copy(empty_database, tmp_path)}"
    with MLflow(uri) as store:
        farback.run(config(tmp_path), executor=MadeUp(), store=store)
        assert set(store.frame("small")["bracket"]) == {"1 2 4 8 16"}
    with MLflow(uri) as store:
        found = store.client.mlflow.get_experiment_by_name("small")
        runs = store.client.mlflow.search_runs([found.experiment_id], "tags.kind = 'trial'")
        assert {run.data.params["bracket"] for run in runs} == {"1 2 4 8 16"}
