"""Resuming from a checkpoint gives, bit for bit, what never stopping gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farback.cells import Cell
from farback.system import safetensors
from farback.tasks import Task
from farback.training import batches, compiled_updates, replicas
from farback.training import checkpoint as checkpoint_module
from farback.training.batches import ScoredSteps
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Finished, Paused, Progress, Request, TrialResult
from farback.trials.trial import Trial

Make = Callable[..., Trial]


@pytest.fixture(autouse=True, scope="module")
def few_validation_sequences_and_a_stop_after_any_update() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "VALIDATION", 32)
        patch.setattr(compiled_updates, "FLOPS", 1)
        yield


def events_of(cohort: Cohort, seconds: float = 1e9) -> list[Event]:
    return [event for event in train(cohort, seconds) if event is not None]


def results(events: Sequence[Event]) -> dict[str, TrialResult]:
    return {event.key: event.result for event in events if isinstance(event, Finished)}


def progress(events: Sequence[Event], key: str) -> list[Progress]:
    """The progress of a trial, without events that carry no number."""
    return [event for event in events if isinstance(event, Progress) and event.key == key and event.metrics]


def checkpoints(events: Sequence[Event]) -> dict[int, dict[str, Checkpoint]]:
    """By step and key."""
    found: dict[int, dict[str, Checkpoint]] = {}
    for event in events:
        if isinstance(event, Checkpoint):
            found.setdefault(event.step, {})[event.key] = event
    return found


def same(a: TrialResult, b: TrialResult) -> None:
    assert (a.key, a.status) == (b.key, b.status)
    assert a.scores.to_csv() == b.scores.to_csv()
    pd.testing.assert_frame_equal(a.scores, b.scores, check_exact=True)


def paused(cohort: Cohort, count: int) -> tuple[list[Event], list[Cohort]]:
    """Train for `count` updates, then request the end: the events, and the unfinished trials as cohorts."""
    training, events, updates = train(cohort, 1e9), [], 0
    event = next(training, None)
    with suppress(StopIteration):
        while True:
            if event is not None:
                events.append(event)
            updates += event is None
            event = training.send(Request(finish=updates >= count))
    unfinished = {event.key: event for event in events if isinstance(event, Checkpoint)}
    assert set(unfinished) == {event.key for event in events if isinstance(event, Paused)}
    trials = tuple(trial for trial in cohort.trials if trial.key in unfinished)
    return events, [Cohort(trials, tuple(unfinished[trial.key] for trial in trials))] if trials else []


# Law 6, within a trial -------------------------------------------------------------------------------------------

AT = {"name": "retention", "sequences": 16, "at": ["start", 3, "end"]}
FORMS: list[dict[str, Any]] = [
    {},
    {"optimizer": {"name": "sgd", "lr": 0.1}},
    {"optimizer": {"name": "sgd", "momentum": 0.9}},
    {"optimizer": {"name": "rmsprop", "momentum": 0.5}},
    {"optimizer": {"name": "adamw", "weight_decay": 0.3}, "schedule": {"name": "cosine", "warmup": 2}},
    {"depth": 2, "dropout": 0.3, "recurrent_dropout": 0.3, "truncate": 2, "block": {"norm": "rms", "residual": True}},
    {"depth": 2, "bidirectional": True, "initial_state": "learned", "cell": "lstm"},
    {"train_lags": {"uniform": [1, 6]}, "lag": 6, "cell": "gru"},
    {"train_lags": {"log_uniform": [1, 6]}, "lag": 6, "clip": None},
    {"train_lags": {"curriculum": [1, 6]}, "lag": 6},
    {"task": "nback", "lag": 3},
    {"task": {"name": "digits", "order": "rows"}, "lag": 64, "steps": 4},  # a finite data set
    {"task": "lightning", "encoder": "conv"},
    {"cell": "echo_state", "depth": 2},  # frozen weights
    {"stop": "never", "evaluate_every": 1},
    {"evaluate_every": 100},
    {"measures": [AT, {"name": "gradient_reach", "at": [2]}], "cell": "gru"},
    {"hidden": 1, "batch": 1},
]


@pytest.mark.parametrize("fields", FORMS, ids=str)
def test_resuming_equals_never_stopping(fields: dict[str, Any], trial_of: Make) -> None:
    """From the first, third and last update: scores byte for byte, and every point of progress."""
    trials = [trial_of(**fields, seed=seed) for seed in (0, 7)]
    check_resumed(trials, {1, 3, trials[0].steps})


@pytest.mark.parametrize("train_lags", ["fixed", {"curriculum": [1, 9]}], ids=str)
def test_resuming_at_the_ends_of_a_block_of_batches_equals_never_stopping(train_lags: Any, trial_of: Make) -> None:
    fields = {"steps": 34, "evaluate_every": 15, "batch": 2, "lag": 9, "train_lags": train_lags}
    trials = [trial_of(**fields, seed=seed) for seed in (0, 7)]
    check_resumed(trials, {15, 16, 17, 33})  # a block has 16 batches


def test_resuming_with_a_varying_number_of_scored_steps_equals_never_stopping(
    trial_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shipped task has a varying number; for such a task the network is read out at every step."""
    monkeypatch.setattr(ScoredSteps, "of", classmethod(lambda cls, trial: cls(trial.task.answer, None)))
    check_resumed([trial_of(task="selective_copy", lag=9, cell="gru", seed=seed) for seed in (0, 7)], {3, 4})


def check_resumed(trials: list[Trial], steps: set[int]) -> None:
    """Resume both trials together after each of these updates, and the second one alone after update 3 or later."""
    whole = events_of(Cohort.of(*trials), seconds=0)
    expected, saved = results(whole), checkpoints(whole)
    assert sorted(saved) == list(range(1, trials[0].steps + 1))
    single = min(step for step in steps if step >= 3)
    for step, own in [*((step, trials) for step in sorted(steps)), (single, trials[1:])]:
        events = events_of(Cohort(tuple(own), tuple(saved[step][trial.key] for trial in own)))
        assert set(results(events)) == {trial.key for trial in own}
        for trial in own:
            same(results(events)[trial.key], expected[trial.key])
            assert repr(progress(events, trial.key)) == repr(progress(whole, trial.key)), step  # repr: nan equals nan


def test_every_cell_resumes_without_a_difference(every_cell: Cell, trial_of: Make) -> None:
    check_halfway(trial_of(cell=every_cell, hidden=18, depth=2, steps=4, evaluate_every=2))


def test_every_task_resumes_without_a_difference(every_task: Task, trial_of: Make) -> None:
    check_halfway(trial_of(task=every_task, lag=every_task.lag, cell="gru", steps=4, evaluate_every=2))


def check_halfway(trial: Trial) -> None:
    _, left = paused(Cohort.of(trial), 3)  # between two evaluations
    assert left[0].step == 3
    same(results(events_of(left[0]))[trial.key], results(events_of(Cohort.of(trial)))[trial.key])


@settings(max_examples=5, deadline=None)
@given(stops=st.lists(st.integers(1, 12), max_size=6), pick=st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_the_number_of_stops_or_on_the_cohort(stops: list[int], pick: Any) -> None:
    """Three trials, of which one succeeds early and one diverges, are stopped repeatedly and packed differently."""
    trials = trio()
    expected = results(events_of(Cohort.of(*trials)))
    assert {result.status for result in expected.values()} == {"finished", "diverged"}
    found, waiting = {}, [Cohort.of(*trials)]
    for count in stops:
        events, left = zip(*(paused(cohort, count) for cohort in waiting), strict=True) if waiting else ((), ())
        for own in events:
            found |= results(own)
        pairs = [pair for many in left for c in many for pair in zip(c.trials, c.start, strict=True)]
        waiting = repacked(pairs, pick)
    for cohort in waiting:
        found |= results(events_of(cohort))
    assert found.keys() == expected.keys()
    for key, result in found.items():
        same(result, expected[key])


def repacked(unfinished: list[tuple[Trial, Checkpoint]], pick: Any) -> list[Cohort]:
    """Random cohorts of trials that stopped at the same update."""
    pick.shuffle(unfinished)
    waiting: list[Cohort] = []
    for trial, one in unfinished:
        fits = [cohort for cohort in waiting if cohort.step == one.step]
        if fits and pick.random() < 0.5:
            waiting.remove(fits[0])
            waiting.append(Cohort((*fits[0].trials, trial), (*fits[0].start, one)))
        else:
            waiting.append(Cohort((trial,), (one,)))
    return waiting


def trio() -> list[Trial]:
    base = {
        "task": {"name": "recall", "symbols": 2, "filler": "noise"},
        "lag": 1,
        "cell": {"name": "elman", "nonlinearity": "identity"},
        "hidden": 6,
        "batch": 16,
        "steps": 30,
        "evaluate_every": 4,
        "measures": [{"name": "retention", "sequences": 32}],
    }
    rates: list[tuple[float, float | None]] = [(0.5, 1.0), (1e-4, 1.0), (1e3, None)]
    return [
        Trial.model_validate({**base, "seed": seed, "clip": clip, "optimizer": {"name": "sgd", "lr": rate}})
        for seed, (rate, clip) in enumerate(rates)
    ]


def test_successes_before_a_stop_count_towards_sustained_success(
    trial_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "SOLVED_SKILL", -1e9)
    trial = trial_of(steps=20, evaluate_every=2)
    for count in (1, 4, 5):
        _, (left,) = paused(Cohort.of(trial), count)
        updates = results(events_of(left))[trial.key].scores.query("measure == 'training'")["value"]
        assert updates.tolist() == [6.0]


def test_a_resumed_trial_that_is_pruned_reports_the_right_update(trial_of: Make) -> None:
    trials = [trial_of(seed=seed) for seed in range(2)]
    _, (left,) = paused(Cohort.of(*trials), 3)
    events = train(left)
    while next(events) is not None:
        pass
    pruned = events.send(Request(frozenset({trials[0].key})))
    assert (type(pruned).__name__, pruned.key, pruned.step) == ("Pruned", trials[0].key, 4)
    whole = results(events_of(Cohort.of(trials[1])))
    same(results([event for event in events if event])[trials[1].key], whole[trials[1].key])


# When checkpoints are made -------------------------------------------------------------------------------------------


def test_checkpoints_are_made_at_the_requested_interval(trial_of: Make) -> None:
    trial = trial_of()
    assert not checkpoints(events_of(Cohort.of(trial)))
    assert sorted(checkpoints(events_of(Cohort.of(trial), seconds=0))) == [1, 2, 3, 4, 5, 6]


def test_a_request_to_finish_gives_a_checkpoint_of_every_trial_at_the_next_update(trial_of: Make) -> None:
    trials = [trial_of(seed=seed) for seed in range(3)]
    found, (left,) = paused(Cohort.of(*trials), 1)
    assert [type(event) for event in found] == [Checkpoint] * 3 + [Paused] * 3
    assert {event.step for event in found} == {1}
    assert left.trials == tuple(trials)


# The content of a checkpoint -----------------------------------------------------------------------------------------


def one(trial: Trial) -> Checkpoint:
    _, (left,) = paused(Cohort.of(trial), 3)
    return left.start[0]


def test_a_checkpoint_cannot_be_read_as_that_of_another_trial(trial_of: Make) -> None:
    mine, other = trial_of(), trial_of(seed=1)
    _, fields = checkpoint_module.read(mine.key, one(mine).state)
    assert (fields["key"], fields["step"], fields["format"]) == (mine.key, 3, checkpoint_module.FORMAT)
    with pytest.raises(ValueError, match=f"belongs to trial {mine.key}"):
        checkpoint_module.read(other.key, one(mine).state)
    arrays, text = safetensors.unpacked(one(mine).state)
    later = safetensors.packed(arrays, json.dumps({**json.loads(text), "format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        checkpoint_module.read(mine.key, later)


def test_a_checkpoint_is_the_same_packed_and_alone(trial_of: Make) -> None:
    trials = [trial_of(seed=seed, optimizer={"name": "adam", "lr": 0.01 * (seed + 1)}) for seed in range(3)]
    _, (packed,) = paused(Cohort.of(*trials), 3)
    assert [checkpoint.state for checkpoint in packed.start] == [one(trial).state for trial in trials]


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0, 1), change=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_checkpoint_is_never_read(place: float, change: int, cut: bool) -> None:
    state = EXAMPLE.state
    at = min(int(place * len(state)), len(state) - 1)
    broken = state[:at] if cut else state[:at] + bytes([state[at] ^ change]) + state[at + 1 :]
    try:
        arrays, text = safetensors.unpacked(broken)
    except ValueError:
        return
    whole, text_there = safetensors.unpacked(state)  # a changed byte of padding is no damage
    assert text == text_there
    assert all((arrays[name] == whole[name]).all() for name in whole)


EXAMPLE = one(trio()[0])


def test_the_provenance_of_several_machines_lists_all_of_them() -> None:
    first = {"cpu": "A", "torch": "2", "pid": "1"}
    assert checkpoint_module.joined_provenance({}, first) == first
    both = checkpoint_module.joined_provenance(first, {"cpu": "B", "torch": "2", "pid": "2"})
    assert both == {"cpu": "A, then B", "torch": "2", "pid": "2"}
    assert checkpoint_module.joined_provenance(both, {"cpu": "B", "torch": "2", "pid": "3"})["cpu"] == "A, then B"
    assert checkpoint_module.joined_provenance(both, first)["cpu"] == "A, then B, then A"
