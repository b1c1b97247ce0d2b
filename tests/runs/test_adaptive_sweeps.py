"""A sweep whose lags are chosen during the run, with a tuned setting: which trials it trains, and what it records."""

import shutil
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import farback
from farback.executors import Serial, base
from farback.experiment import Experiment, Sweep
from farback.experiment.chosen_trials import JUDGED_SEEDS
from farback.runs.displays import SweepDisplay
from farback.runs.progress import Tally
from farback.runs.schedule import missing_from_frame
from farback.runs.sweep import checked_sweep
from farback.runs.sweep_page import publish, subject
from farback.stats import psychometric
from farback.stores.memory import Memory
from farback.stores.mlflow import MLflow
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Failed, Finished, TrialResult, scores
from farback.trials.trial import Trial
from open_sweeps import recorded_events, sweep_run
from some import one_in, some

CONFIG = """
name: small
question: How far?
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 8
  batch: 16
  steps: 100
  evaluate_every: 25
sweep:
  - cell: [gru, memoryless]
    lag: {adaptive: [2, 128], precision: 0.35}
    tune: {optimizer.lr: [1.0e-3, 1.0e-2]}
"""
HALF = {("gru", 1e-3): 6.0, ("gru", 1e-2): 30.0, ("memoryless", 1e-3): 1e-3, ("memoryless", 1e-2): 1e-3}


def config(folder: Path, text: str = CONFIG) -> Sweep:
    (folder / "configs").mkdir(exist_ok=True)
    path = folder / "configs" / "small.yaml"
    path.write_text(text)
    return checked_sweep(Experiment.load(path))


def ended(trial: Trial) -> Finished:
    """A made-up result: success has a logistic rate in the logarithm of the lag, with its half-way lag in `HALF`."""
    half = HALF[trial.cell.name, float(trial.optimizer.spec()["lr"])]
    rate = 1 / (1 + (trial.lag / half) ** 5)
    passed = float(np.random.default_rng([trial.seed, trial.lag]).random() < rate)
    values = {"skill": passed, "success": passed, "accuracy": (1 + passed) / 2, "chance_accuracy": 0.5}
    rows = [("retention", 100, trial.lag, name, number) for name, number in values.items()]
    rows.append(("training", 100, -1, "updates", 50.0 if passed else 100.0))
    return Finished(TrialResult(trial.key, scores(rows), "finished"))


class MadeUp(Serial):
    """Trains nothing: every trial ends with its made-up result, or fails."""

    def __init__(self, failing: str = "") -> None:
        super().__init__()
        self.failing = failing
        self.trained: list[Trial] = []

    def map(self, function: Any, items: Any) -> Iterator[tuple[Cohort, Event]]:
        for cohort in items:
            for trial in cohort.trials:
                self.trained.append(trial)
                yield cohort, Failed(trial.key, "it broke") if trial.cell.name == self.failing else ended(trial)


class OutOfOrder(Serial):
    """Two made-up workers, the first of which is slow: cohorts end in another order than they began."""

    @property
    def size(self) -> int:
        return 2

    def map(self, function: Any, items: Any) -> Iterator[tuple[Cohort, Event]]:
        queue, busy = base.CohortQueue(items), deque[tuple[Cohort, list[Trial]]]()
        while True:
            while len(busy) < 2 and (cohort := queue.take()) is not None:
                busy.append((cohort, list(cohort.trials)))
            if not busy:
                return
            cohort, trials = busy.pop()  # the newest
            yield cohort, ended(trials.pop())
            if trials:
                busy.appendleft((cohort, trials))


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, pd.DataFrame, list[Trial]]:
    """The sweep, its frame and its trials after a run that was not stopped."""
    sweep, store, executor = config(tmp_path_factory.mktemp("complete")), Memory(), MadeUp()
    farback.run(sweep, executor=executor, store=store)
    return sweep, farback.frame(sweep, store), executor.trained


def test_the_better_setting_is_judged_on_seeds_of_its_own(complete: tuple[Sweep, pd.DataFrame, list[Trial]]) -> None:
    _, frame, _ = complete
    gru = frame[frame["cell"] == "GRU"].drop_duplicates("key")
    judged, choice = gru[gru["role"] == "judged"], gru[gru["role"] == "choice"]
    assert set(judged["tuned"]) == {"optimizer.lr 0.01"}
    assert set(choice["tuned"]) == {"optimizer.lr 0.001", "optimizer.lr 0.01"}
    assert judged["seed"].min() == JUDGED_SEEDS > choice["seed"].max()
    for _, own in gru.groupby(["role", "tuned"]):
        assert own["seed"].is_unique


def test_the_half_way_lag_is_within_its_interval_at_the_precision(
    complete: tuple[Sweep, pd.DataFrame, list[Trial]],
) -> None:
    _, frame, _ = complete
    rows = frame[(frame["statistic"] == "success") & (frame["role"] == "judged") & (frame["cell"] == "GRU")]
    counts = rows.groupby("lag")["value"].agg(["sum", "size"])
    found = psychometric(counts.index, counts["sum"], counts["size"])
    assert found.low < HALF["gru", 1e-2] < found.high
    assert found.deviation <= 0.36
    assert len(rows) <= 60


def test_what_learns_nothing_is_finished_soon(complete: tuple[Sweep, pd.DataFrame, list[Trial]]) -> None:
    _, frame, _ = complete
    trials = frame[frame["cell"] == "memoryless"].drop_duplicates("key")
    assert (trials["role"] == "judged").sum() <= 12
    assert set(trials["trained_lag"]) <= set(range(2, 20))


def test_nothing_is_trained_twice_or_again(complete: tuple[Sweep, pd.DataFrame, list[Trial]]) -> None:
    sweep, frame, trained = complete
    assert len({trial.key for trial in trained}) == len(trained) == frame["key"].nunique()
    what = missing_from_frame(frame, sweep, sweep.trials())
    assert (what.due(), what.reused, what.expected) == ([], len(trained), 0)


@pytest.mark.parametrize("count", some([10, 1, 41], one_in(3)))
def test_stopped_at_any_instant_the_next_run_makes_the_same_choices(
    tmp_path: Path, complete: tuple[Sweep, pd.DataFrame, list[Trial]], count: int
) -> None:
    sweep, store = config(tmp_path), Memory()
    stream = recorded_events(sweep_run(sweep, store, MadeUp()))
    for _, _event in zip(range(count), stream, strict=False):
        pass
    stream.close()
    before = store.frame("small")["key"].nunique()
    rest = farback.run(sweep, executor=MadeUp(), store=store)
    assert (rest.reused, rest.trained) == (before, complete[1]["key"].nunique() - before)
    pd.testing.assert_frame_equal(farback.frame(sweep, store), complete[1], check_exact=True)


def test_the_order_in_which_trials_end_changes_nothing(
    tmp_path: Path, complete: tuple[Sweep, pd.DataFrame, list[Trial]]
) -> None:
    sweep, store = config(tmp_path), Memory()
    farback.run(sweep, executor=OutOfOrder(), store=store)
    pd.testing.assert_frame_equal(farback.frame(sweep, store), complete[1], check_exact=True)


def test_a_failed_trial_stops_its_own_network_until_the_next_run(
    tmp_path: Path, complete: tuple[Sweep, pd.DataFrame, list[Trial]]
) -> None:
    sweep, store = config(tmp_path), Memory()
    broken = farback.run(sweep, executor=MadeUp(failing="gru"), store=store)
    assert broken.failed == 6  # the first three trials of each setting
    assert set(store.frame("small")["cell"]) == {"memoryless"}
    assert farback.run(sweep, executor=MadeUp(), store=store).failed == 0
    pd.testing.assert_frame_equal(farback.frame(sweep, store), complete[1], check_exact=True)


def test_the_limit_ends_a_search(tmp_path: Path) -> None:
    sweep, store = config(tmp_path, CONFIG.replace("precision: 0.35", "precision: 0.02, limit: 24")), Memory()
    farback.run(sweep, executor=MadeUp(), store=store)
    trials = farback.frame(sweep, store).drop_duplicates("key")
    counts = trials[trials["cell"] == "GRU"].groupby(["role", "tuned"]).size()
    assert counts["judged"].tolist() == [24]
    assert counts["choice"].max() == 6


def test_listed_trials_are_trained_too_and_have_no_role(tmp_path: Path) -> None:
    listed = "  - {cell: [gru], hidden: [9], lag: [2, 3], optimizer.lr: [1.0e-2], seed: {range: 2}}\n"
    sweep = config(tmp_path, CONFIG + listed)
    store, executor = Memory(), MadeUp()
    farback.run(sweep, executor=executor, store=store)
    assert len({trial.key for trial in executor.trained}) == len(executor.trained)
    trials = farback.frame(sweep, store).drop_duplicates("key")
    listed = trials[trials["role"].isna()]
    assert sorted(zip(listed["trained_lag"], listed["seed"], strict=True)) == [(2, 0), (2, 1), (3, 0), (3, 1)]


def test_the_display_shows_each_horizon_and_the_share_reaches_one(tmp_path: Path) -> None:
    run = sweep_run(config(tmp_path), Memory(), MadeUp())
    tally = Tally(run.plan)
    display = SweepDisplay(tally, Console(width=120, record=True))
    display.console.print(display)
    assert "choosing among 2 settings" in display.console.export_text()
    for event in recorded_events(run):
        tally.add(event)
        display.add(event)
    assert tally.share == pytest.approx(1)
    display.console.print(display)
    shown = display.console.export_text()
    assert f"{len(tally.finished)} of about {len(tally.finished)} trials trained" in shown
    result = run.plan.remaining.adaptive.networks[0].judged.result()
    assert f"{result.estimate:.0f} ({result.low:.0f} to {result.high:.0f})" in shown


def test_an_estimate_of_time_trains_as_many_as_a_run(
    tmp_path: Path, complete: tuple[Sweep, pd.DataFrame, list[Trial]]
) -> None:
    what = sweep_run(config(tmp_path), Memory()).plan.remaining
    trained = complete[1]["key"].nunique()
    trials = [[*chain.from_iterable(what.adaptive.simulated(longest))] for longest in (False, True)]
    assert trained / 3 < len(trials[0]) < 3 * trained
    lags = [np.mean([trial.lag for trial in some]) for some in trials]
    assert lags[0] < lags[1]


def test_many_settings_that_are_equally_good_are_not_all_dropped(tmp_path: Path) -> None:
    rates = [f"{rate}.0e-4" for rate in range(1, 31)]
    sweep = config(tmp_path, CONFIG.replace("[1.0e-3, 1.0e-2]", f"[{', '.join(rates)}]").replace(", memoryless", ""))
    trials = chain.from_iterable(sweep_run(sweep, Memory()).plan.remaining.adaptive.simulated())
    judged = {trial.optimizer.spec()["lr"] for trial in trials if trial.role and trial.role[0] == "judged"}
    assert len(judged) == 1


def test_the_page_says_how_lags_and_settings_were_chosen(tmp_path: Path) -> None:
    sweep, store = config(tmp_path), Memory()
    stream = recorded_events(sweep_run(sweep, store, MadeUp()))
    for _ in range(20):
        next(stream)
    stream.close()
    about = subject(sweep, store, store.frame("small"))
    assert "2 networks are not finished" in about.chosen
    assert about.missing > 0
    farback.run(sweep, executor=MadeUp(), store=store)
    frame = farback.frame(sweep, store).drop_duplicates("key")
    about = subject(sweep, store, store.frame("small"))
    assert about.missing == 0
    assert f"{(frame['role'] == 'choice').sum()} trainings of a first set of seeds" in about.chosen
    assert f"The {(frame['role'] == 'judged').sum()} trainings that are counted" in about.chosen
    assert about.chosen in publish(sweep, store).report.read_text()


@pytest.mark.slow
def test_runs_in_mlflow_have_their_role_and_setting(tmp_path: Path, empty_database: Path) -> None:
    uri = f"sqlite:///{shutil.copy(empty_database, tmp_path)}"
    sweep = config(tmp_path)
    with MLflow(uri) as store:
        farback.run(sweep, executor=MadeUp(), store=store)
        frame = farback.frame(sweep, store).drop_duplicates("key").set_index("key")
    with MLflow(uri) as store:
        found = store.client.mlflow.get_experiment_by_name("small")
        runs = store.client.mlflow.search_runs([found.experiment_id], "tags.kind = 'trial'", max_results=1000)
    assert len(runs) == len(frame)
    for run in runs:
        row = frame.loc[run.data.tags["farback.key"]]
        assert (run.data.params["role"], run.data.params["tuned"]) == (row["role"], row["tuned"])
