"""How long a plan takes: arithmetic on measured times."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from farback.executors import Serial
from farback.experiment import Sweep
from farback.runs.schedule import Remaining, missing_from_frame, plan
from farback.runs.time_estimate import EARLY_SHARE, STARTUP, between, estimate, makespan, timed, update_shares
from farback.stores.memory import Memory
from farback.system import devices
from farback.training.cohort_width import packed
from farback.training.rates import CohortSeconds, Size, Stopwatch, keep
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Finished, Progress, TrialResult, scores
from farback.trials.trial import Trial

PARTS = {"begin": 1.0, "update": 0.5, "evaluation": 2.0, "start": 3.0, "way": 4.0, "end": 5.0}


class Clock(Serial):
    """Every kind of cohort takes the same."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Cohort] = []

    def map(self, function: Any, items: Any) -> Iterator[tuple[Cohort, Event]]:
        for cohort in items:
            self.asked.append(cohort)
            yield cohort, Progress(cohort.trials[0].key, 0, {**PARTS, "all": 1e9})


def trial(seed: int = 0, steps: int = 100, **fields: Any) -> Trial:
    small = {"task": "recall", "lag": 3, "cell": "elman", "hidden": 4, "batch": 4, "evaluate_every": 25}
    return Trial.model_validate({**small, "seed": seed, "steps": steps, **fields})


def test_a_cohort_takes_its_updates_evaluations_and_measures() -> None:
    seconds = CohortSeconds(**PARTS)
    whole = 1 + 100 * 0.5 + 3 * (4 * 2 + 3 + 4 + 5)
    assert seconds.total(Cohort.of(*(trial(seed) for seed in range(3))), 1.0) == pytest.approx(whole)
    half = 1 + 50 * 0.5 + (2 * 2 + 3 + 4 + 5)
    assert seconds.total(Cohort.of(trial()), 0.5) == pytest.approx(half)


def test_workers_take_the_next_piece_as_they_are_free() -> None:
    assert makespan([5, 4, 3, 2], 2) == 7  # 5 + 2 and 4 + 3
    assert makespan([5, 4, 3, 2], 1) == 14
    assert makespan([5, 4], 8) == 5
    assert makespan([], 2) == 0


def test_each_kind_is_timed_once_and_repeats_that_ended_count() -> None:
    trials = [trial(seed) for seed in range(8)] + [trial(seed, stop="never") for seed in range(8)]
    todo = plan(Remaining.of(trials, set()), 1)
    executor = Clock()
    unknown = estimate(todo, executor, Memory().frame("small"), devices.CPU)
    assert len(executor.asked) == 2  # one of each kind: within a kind they are equal
    known = estimate(todo, executor, frame_of({trials[0]: 25.0}), devices.CPU)
    assert known.most == unknown.most > unknown.expected > known.expected
    early, late = ([c for c in todo.cohorts if (c.trials[0].stop == "never") == never] for never in (False, True))
    seconds = CohortSeconds(**PARTS)
    assert unknown.expected == pytest.approx(
        sum(seconds.total(c, EARLY_SHARE) for c in early) + sum(seconds.total(c, 1) for c in late)
    )


def test_the_seconds_of_a_cohort_lie_between_those_that_were_timed() -> None:
    def cohort(lag: int, replicas: int) -> Cohort:
        return Cohort.of(*(trial(seed, lag=lag) for seed in range(replicas)))

    few, many = CohortSeconds(**PARTS), CohortSeconds(**{name: 3 * value for name, value in PARTS.items()})
    ends = {Size(3, 100): many, Size(1, 10): few}
    assert between(ends, cohort(lag=99, replicas=3)) == many
    assert between(ends, cohort(lag=9, replicas=1)) == few
    middle = between(ends, cohort(lag=54, replicas=1))  # 55 steps: half-way for one replica, not for the work of all
    assert middle.evaluation == pytest.approx(2 * PARTS["evaluation"])
    assert middle.update == pytest.approx((1 + 2 * 45 / 290) * PARTS["update"])
    assert between({Size(3, 100): many}, cohort(lag=5, replicas=8)) == many


def test_an_adaptive_sweep_is_timed_in_batches_as_they_are_trained(tmp_path: Path) -> None:
    config = """
name: small
question: How far back?
base: {task: recall, cell: elman, hidden: 4, batch: 4, steps: 100, evaluate_every: 25}
sweep: [{lag: {adaptive: [2, 40], precision: 0.3, limit: 24}}]
"""
    (tmp_path / "small.yaml").write_text(config)
    sweep = Sweep.load(tmp_path / "small.yaml")
    todo = plan(missing_from_frame(Memory().frame("small"), sweep, sweep.trials()), 1)
    executor = Clock()
    seconds = estimate(todo, executor, Memory().frame("small"), devices.CPU)
    assert len(executor.asked) == 2
    rounds = todo.remaining.adaptive.simulated()
    parts = CohortSeconds(**PARTS)
    shares = {each: share for batch in rounds for each, share in batch.items()}
    cohorts = [cohort for batch in rounds for cohort in packed(batch, 1)]
    assert len(cohorts) >= len(rounds) >= 24 / 3
    assert seconds.expected == pytest.approx(
        sum(parts.total(c, sum(shares[t] for t in c.trials) / len(c.trials)) for c in cohorts)
    )


def test_cohorts_like_those_of_earlier_runs_are_not_timed(tmp_path: Path) -> None:
    trials = [trial(seed, stop="never") for seed in range(3)] + [trial(seed, lag=99, stop="never") for seed in range(3)]
    todo = plan(Remaining.of(trials, set()), 1)
    watch = Stopwatch()
    for part in ("begin", "update", "evaluation"):
        watch.add(part, PARTS[part])
    for measure in trials[0].measures:
        watch.add(measure.name, 0.0)
    executor = Clock()
    keep(tmp_path, todo.cohorts[0], devices.CPU, watch)
    estimate(todo, executor, Memory().frame("small"), devices.CPU, tmp_path)
    assert [cohort.trials[0].lag for cohort in executor.asked] == [3]  # lag 99, which is trained first, is known
    keep(tmp_path, executor.asked[0], devices.CPU, watch)
    known = estimate(todo, executor, Memory().frame("small"), devices.CPU, tmp_path)
    assert len(executor.asked) == 1
    whole = sum(1 + 100 * 0.5 + len(cohort.trials) * 4 * 2 for cohort in todo.cohorts)
    assert known.expected == known.most == pytest.approx(whole + STARTUP)


def frame_of(updates: dict[Trial, float]) -> pd.DataFrame:
    """The frame of a store with trials that needed so many updates."""
    store = Memory()
    with store.begin("small", updates) as recorder:
        for one, count in updates.items():
            rows = scores([("training", 25, -1, "updates", count)])
            recorder.put(Finished(TrialResult(one.key, rows, "finished")))
    return store.frame("small")


def test_the_updates_that_repeats_needed_are_read_from_the_store() -> None:
    trials = [trial(seed) for seed in range(3)]
    assert update_shares(frame_of({trials[0]: 25.0, trials[1]: 75.0}), trials) == {trials[2].group: 0.5}
    assert update_shares(frame_of({}), trials) == {}


def test_a_little_of_a_cohort_is_timed_for_real() -> None:
    measures = [{"name": "retention", "sequences": 32, "at": ["start", 10, "end"]}]
    (event,) = timed(Cohort.of(trial(measures=measures), trial(1, measures=measures)), devices.CPU)
    assert isinstance(event, Progress)
    parts = event.metrics
    assert all(0 < parts[name] < 30 for name in PARTS)
    assert parts["start"] == parts["way"] == parts["end"]  # one measure, once each
    assert parts["all"] >= parts["begin"] + parts["evaluation"] + parts["end"]


def test_a_network_that_is_never_updated_is_timed_without_updates() -> None:
    (event,) = timed(Cohort.of(trial(steps=0)), devices.CPU)
    assert isinstance(event, Progress)
    assert event.metrics["update"] == 0.0 < event.metrics["end"]
