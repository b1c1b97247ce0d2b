"""Updates in one compiled call give, bit for bit, what single updates give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
import torch

from farback.optimizers.adam import Adam
from farback.system.arithmetic import arithmetic
from farback.training import batches, compiled_updates, replicas
from farback.training.compiled_updates import covers
from farback.training.loop import train
from farback.training.replicas import Replicas
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Event, Finished, Request, TrialResult
from farback.trials.trial import Trial

Make = Callable[..., Trial]
IDENTITY = {"name": "elman", "nonlinearity": "identity"}


@pytest.fixture(autouse=True, scope="module")
def few_validation_sequences() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "VALIDATION", 32)
        yield


@pytest.mark.parametrize(
    "fields",
    [
        {"cell": "gru"},
        {"cell": "lstm", "hidden": 33, "batch": 7},
        {"cell": {"name": "elman", "nonlinearity": "relu"}, "hidden": 1, "batch": 1, "clip": None},
        {"cell": "gru", "depth": 3, "hidden": 18},
        {"cell": "lstm", "depth": 2, "bias": False, "clip": 1e-3},
        {"optimizer": {"name": "sgd", "lr": 0.3, "momentum": 0.7}},
        {"optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.3}, "schedule": {"name": "linear", "warmup": 3}},
        {"optimizer": {"name": "rmsprop", "momentum": 0.5}, "schedule": {"name": "cosine", "final": 0.1}},
        {"optimizer": "rmsprop", "depth": 2, "hidden": 40},
        {"task": {"name": "recall", "symbols": 40}, "lag": 5},
        {"task": {"name": "recall", "symbols": 40}, "lag": 5, "depth": 2},
        {"task": "adding", "lag": 5, "cell": "gru"},
        {"task": "adding", "lag": 5, "depth": 2},
        {"task": "narma", "lag": 9},
        {"task": "parity", "lag": 4, "depth": 2},
        {"task": {"name": "lightning", "mode": "stream"}, "cell": "gru"},
        {"task": "lightning", "depth": 2},
        {"train_lags": {"curriculum": [1, 6]}, "lag": 6},
    ],
    ids=str,
)
def test_many_updates_in_one_call_equal_single_updates(fields: dict[str, Any], trial_of: Make) -> None:
    """Parameters, running averages, losses and norms; over more updates than are drawn at once."""
    for seeds in ((0,), (3, 5, 9)):
        trials = [trial_of(**{"steps": 40, **fields}, seed=seed) for seed in seeds]
        blocks, single = Replicas(trials), Replicas(trials)
        single.is_compiled = False
        calls, done = 0, 0
        with arithmetic():
            while done < 19:
                done += blocks.update(done + 1, 19 - done)[0]
                calls += 1
            for count in range(19):
                single.update(count + 1)
        assert calls < 19
        assert torch.equal(blocks.theta_RP, single.theta_RP)
        assert all(torch.equal(value, single.moments[name]) for name, value in blocks.moments.items())
        for many, one in zip(vars(blocks.window).values(), vars(single.window).values(), strict=True):
            assert torch.equal(torch.cat(many), torch.cat(one))


def results(cohort: Cohort) -> list[TrialResult]:
    ended = {event.key: event.result for event in train(cohort) if isinstance(event, Finished)}
    return [ended[trial.key] for trial in cohort.trials]


def same(a: TrialResult, b: TrialResult) -> None:
    assert (a.key, a.status) == (b.key, b.status)
    pd.testing.assert_frame_equal(a.scores, b.scores, check_exact=True)


@pytest.mark.parametrize("cell", [IDENTITY, "lstm"], ids=["elman", "lstm"])
@pytest.mark.parametrize("every", [3, 100])
def test_trainings_in_blocks_equal_trainings_without(
    cell: Any, every: int, trial_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a replica that diverges and one that stops early, and a measure between two evaluations."""
    at = {"name": "retention", "sequences": 16, "at": [2, 7, "end"]}
    shared = {"cell": cell, "evaluate_every": every, "steps": 40, "measures": [at], "clip": None}
    rates = [{"name": "sgd", "lr": rate} for rate in (1e-3, 1e3 if cell is IDENTITY else 1e-2, 1e-4)]
    trials = [trial_of(**shared, optimizer=rate, seed=4 + seed) for seed, rate in enumerate(rates)]
    monkeypatch.setattr(replicas, "SOLVED_SKILL", -0.005)
    found = results(Cohort.of(*trials))
    monkeypatch.setattr(replicas, "covers", lambda *_: False)
    expected = results(Cohort.of(*trials))
    for one, other in zip(found, expected, strict=True):
        same(one, other)
    assert expected[1].status == ("diverged" if cell is IDENTITY else "finished")


def test_a_training_resumes_within_a_block(trial_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint is from updates one by one, after the third of the sixteen that are drawn at once."""
    trials = [trial_of(cell="gru", steps=30, evaluate_every=10, seed=seed) for seed in (0, 7)]
    whole = results(Cohort.of(*trials))
    with monkeypatch.context() as patch:
        patch.setattr(compiled_updates, "FLOPS", 1)
        training, count = train(Cohort.of(*trials), 1e9), 0
        kept: list[Checkpoint] = []
        event: Event | None = next(training)
        while len(kept) < len(trials):
            count += event is None
            event = training.send(Request(finish=count >= 3))
            if isinstance(event, Checkpoint):
                kept.append(event)
    assert {saved.step for saved in kept} == {3}
    for one, other in zip(results(Cohort(tuple(trials), tuple(kept))), whole, strict=True):
        same(one, other)


class _OwnAdam(Adam):
    pass


def test_what_the_compiled_loop_does_not_cover_is_updated_one_by_one(trial_of: Make) -> None:
    assert covers(trial_of(cell="gru", depth=2), None, "cpu")
    others: list[dict[str, Any]] = [
        {"cell": "lru"},
        {"cell": "echo_state"},
        {"truncate": 2},
        {"recurrent_dropout": 0.1},
        {"dropout": 0.1, "depth": 2},
        {"bidirectional": True},
        {"initial_state": "learned"},
        {"block": {"norm": "rms"}},
        {"task": "lightning", "encoder": "conv"},
    ]
    for fields in others:
        assert not covers(trial_of(**fields), None, "cpu"), fields
    plain = trial_of()
    assert not covers(plain, 100, "cpu")
    assert not covers(plain, None, "cuda")
    assert not covers(plain.model_copy(update={"optimizer": _OwnAdam()}), None, "cpu")
