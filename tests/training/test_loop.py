"""Training: packed equals alone, random streams, divergence, stopping, clipping, and equality with plain PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from farback import cells, inits, optimizers
from farback.cells import Cell
from farback.system.random_streams import stream
from farback.tasks import Task
from farback.training import batches, compiled_updates, replicas
from farback.training.batches import BatchStream, ScoredSteps, lags
from farback.training.loop import fingerprint, train
from farback.training.replicas import Replica, Replicas
from farback.trials.cohort import Cohort
from farback.trials.events import Event, Finished, Progress, Pruned, Request, TrialResult
from farback.trials.trial import Trial

Make = Callable[..., Trial]
SGD = {"name": "sgd", "lr": 0.1}


@pytest.fixture(autouse=True, scope="module")
def few_validation_sequences() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "VALIDATION", 32)
        yield


def events_of(*trials: Trial) -> list[Event]:
    return [event for event in train(Cohort.of(*trials)) if event is not None]


def results(trials: list[Trial]) -> list[TrialResult]:
    """By trial, whatever order they ended in."""
    ended = {event.key: event.result for event in events_of(*trials) if isinstance(event, Finished)}
    assert set(ended) == {trial.key for trial in trials}
    return [ended[trial.key] for trial in trials]


def same(a: TrialResult, b: TrialResult) -> None:
    """Equal to the last bit, row by row."""
    assert a.key == b.key
    assert a.status == b.status
    pd.testing.assert_frame_equal(a.scores, b.scores, check_exact=True)


def value(result: TrialResult, measure: str, statistic: str) -> np.ndarray:
    rows = result.scores.query("measure == @measure and statistic == @statistic")
    return rows["value"].to_numpy()


# Law 1 -----------------------------------------------------------------------------------------------------------


def check_packed(trials: list[Trial]) -> list[TrialResult]:
    """Train trials together, then the first and the last one alone."""
    packed = results(trials)
    for r in (0, -1):
        same(results([trials[r]])[0], packed[r])
    return packed


def test_packed_equals_alone_for_every_cell(every_cell: Cell, trial_of: Make) -> None:
    """Replicas with every difference that is allowed: seed, learning rate, clipping, initialisation."""
    base = {"cell": every_cell, "hidden": 18, "depth": 2, "steps": 4}
    other = [name for name in inits.names() if fits(name, trial_of, base)][-1]
    rates = [{"name": "adam", "lr": rate} for rate in (1e-3, 0.1, 1e-2)]
    varied = [
        {"seed": 1, "optimizer": rates[0]},
        {"seed": 1, "optimizer": rates[2], "clip": 0.01},
        {"seed": 2, "optimizer": rates[1], "clip": None, "init": other},
    ]
    check_packed(
        [trial_of(**base, **fields, task={"name": "recall", "symbols": 4, "distractors": 4}) for fields in varied]
    )


def fits(init: str, trial_of: Make, fields: dict[str, Any]) -> bool:
    try:
        trial_of(**fields, init=init)
    except ValueError:
        return False
    return True


def test_packed_equals_alone_for_every_task(every_task: Task, trial_of: Make) -> None:
    """Includes `adding`, whose single output is computed by another matrix product for one replica than for two."""
    fields = {"task": every_task, "lag": every_task.lag, "cell": "gru", "steps": 4}
    check_packed([trial_of(**fields, seed=seed) for seed in (0, 5, 9)])


@pytest.mark.parametrize(
    "fields",
    [
        {"train_lags": {"uniform": [1, 6]}, "lag": 6},
        {"train_lags": {"log_uniform": [1, 6]}, "lag": 6},
        {"train_lags": {"curriculum": [1, 6]}, "lag": 6},
        {"bidirectional": True, "depth": 2},
        {"initial_state": "learned", "bias": False},
        {"optimizer": "sgd"},
        {"optimizer": {"name": "rmsprop", "momentum": 0.5}},
        {"optimizer": {"name": "adamw", "weight_decay": 0.3}},
        {"schedule": {"name": "linear", "warmup": 2, "final": 0.1}},
        {"dropout": 0.3, "recurrent_dropout": 0.3, "depth": 3, "bidirectional": True},
        {"recurrent_dropout": 0.3},
        {"block": {"norm": "layer", "residual": True, "conv": 4, "gate": "silu", "mlp": 2}, "depth": 2, "truncate": 2},
        {"truncate": 2},
        {"truncate": 3, "depth": 2, "bidirectional": True, "initial_state": "learned", "dropout": 0.3},
        {"task": "lightning", "encoder": {"name": "conv", "state": "map"}, "depth": 2, "dropout": 0.3, "truncate": 2},
        {"hidden": 1, "batch": 1},
        {"task": "lightning", "encoder": "conv"},
        {"task": "lightning", "encoder": "conv", "depth": 2, "bidirectional": True, "initial_state": "learned"},
        {"task": {"name": "lightning", "mode": "stream"}, "encoder": {"name": "conv", "state": "map"}},
        {"hidden": 33, "batch": 7},
    ],
    ids=str,
)
def test_packed_equals_alone_for_every_form_of_training(fields: dict[str, Any], trial_of: Make) -> None:
    check_packed([trial_of(cell="lstm", seed=seed, **fields) for seed in (0, 5, 9)])


def diverging(trial_of: Make, **fields: Any) -> Trial:
    """A linear net with an absurd rate and no clipping."""
    return trial_of(**{**linear(1e3), "seed": 4, "clip": None, **fields})


def linear(rate: float) -> dict[str, Any]:
    return {
        "cell": {"name": "elman", "nonlinearity": "identity"},
        "steps": 40,
        "optimizer": {"name": "sgd", "lr": rate},
    }


@pytest.mark.parametrize("every", [1, 7])
def test_a_replica_that_diverges_ends_as_a_result_and_changes_no_other(trial_of: Make, every: int) -> None:
    """Also if it diverges at an update after which the others are evaluated."""
    good = [trial_of(**linear(1e-3), seed=seed, evaluate_every=every) for seed in (0, 1)]
    bad = diverging(trial_of, evaluate_every=every)
    packed = check_packed([good[0], bad, good[1]])
    same(results([bad])[0], packed[1])
    assert [result.status for result in packed] == ["finished", "diverged", "finished"]
    assert value(packed[1], "training", "updates")[0] < 40
    assert value(packed[0], "training", "updates").tolist() == [40.0]
    assert len(value(packed[0], "valid", "skill")) == -(-40 // every)


def test_all_replicas_of_a_cohort_may_diverge(trial_of: Make) -> None:
    packed = results([diverging(trial_of, seed=seed) for seed in (1, 2)])
    assert {result.status for result in packed} == {"diverged"}


def test_a_diverged_trial_is_no_success(trial_of: Make) -> None:
    (result,) = results([diverging(trial_of)])
    assert value(result, "retention", "success").tolist() == [0.0]


def test_a_network_that_is_not_finite_after_its_last_update_has_diverged(trial_of: Make) -> None:
    """The loss of an update is computed before it, so only the evaluation shows the effect of the last one."""
    (whole,) = results([diverging(trial_of, evaluate_every=1)])
    for steps in range(1, int(value(whole, "training", "updates")[0]) + 1):
        (result,) = results([diverging(trial_of, evaluate_every=1, steps=steps)])
        finite = np.isfinite(value(result, "retention", "loss")).all()
        assert result.status == ("finished" if finite else "diverged")


def test_a_replica_that_stops_early_changes_no_other(trial_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first and the last hardly change; the threshold lies between their skills, so one of them stops."""
    fields = {"cell": "gru", "steps": 10, "evaluate_every": 2, "hidden": 5}
    trials = [
        trial_of(**fields, seed=seed, optimizer={"name": "adam", "lr": rate})
        for seed, rate in ((0, 1e-6), (1, 0.3), (2, 1e-6))
    ]
    first, _, last = (value(result, "valid", "skill").mean() for result in results(trials))
    monkeypatch.setattr(replicas, "SOLVED_SKILL", (first + last) / 2)
    packed = check_packed(trials)
    updates = [value(packed[r], "training", "updates")[0] for r in (0, 2)]
    assert sorted(updates) == [6.0, 10.0]


# Law 5 -----------------------------------------------------------------------------------------------------------


def tensors(trial: Trial, purpose: str, count: int = 3) -> list[torch.Tensor]:
    data = BatchStream([trial], purpose, ScoredSteps.of(trial), "cpu")
    return [part for _ in range(count) for part in data.next()]


def test_equal_seeds_give_every_cell_the_same_data(every_cell: Cell, trial_of: Make) -> None:
    plain = trial_of(hidden=18)
    other = trial_of(cell=every_cell, hidden=18, depth=2, clip=None, optimizer="sgd")
    for purpose in ("train", "validation"):
        for a, b in zip(tensors(plain, purpose), tensors(other, purpose), strict=True):
            assert torch.equal(a, b)


def test_training_validation_and_other_seeds_are_other_data(trial_of: Make) -> None:
    inputs = [tensors(trial_of(seed=seed), purpose)[0] for seed in (0, 1) for purpose in ("train", "validation")]
    assert len({x.numpy().tobytes() for x in inputs}) == 4


def test_every_batch_is_fresh(trial_of: Make) -> None:
    trial = trial_of(lag=12, batch=8)
    data = BatchStream([trial], "train", ScoredSteps.of(trial), "cpu")
    seen = [data.next().x_RTBI.numpy().tobytes() for _ in range(50)]  # over several blocks
    assert len(set(seen)) == 50


def test_a_stream_of_data_does_not_depend_on_other_replicas(trial_of: Make) -> None:
    trials = [trial_of(seed=seed, lag=5) for seed in range(3)]
    asked = ScoredSteps.of(trials[0])
    packed, alone = BatchStream(trials, "train", asked, "cpu"), BatchStream(trials[2:], "train", asked, "cpu")
    for at in range(40):
        if at == 5:
            packed.keep([0, 2])
        for a, b in zip(packed.next(), alone.next(), strict=True):
            assert torch.equal(a[-1:], b)


def test_training_touches_no_global_generator(
    trial_of: Make, global_generators_untouched: Callable[[], AbstractContextManager[None]]
) -> None:
    with global_generators_untouched():
        results([trial_of(cell="gru", initial_state="learned", train_lags={"uniform": [1, 3]})])


def test_results_do_not_depend_on_the_global_generators(trial_of: Make) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = results([trial_of()])[0]
        torch.manual_seed(2)
        same(first, results([trial_of()])[0])


def test_the_number_of_threads_is_restored(trial_of: Make) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        events_of(trial_of())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("train_lags", "low", "high"), [({"uniform": [2, 9]}, 2, 9), ({"log_uniform": [2, 9]}, 2, 9)])
def test_mixed_lags_cover_their_range(train_lags: dict[str, Any], low: int, high: int, trial_of: Make) -> None:
    trial = trial_of(lag=9, train_lags=train_lags)
    drawn = lags(trial, stream(0, "train"), 40_000)
    assert drawn is not None
    share = np.bincount(drawn, minlength=high + 1)[low:] / 40_000
    assert drawn.min() == low
    assert drawn.max() == high
    k = np.arange(low, high + 1)
    expected = np.full(8, 1 / 8) if "uniform" in train_lags else np.log((k + 1) / k) / math.log((high + 1) / low)
    assert share == pytest.approx(expected, abs=0.01)


def test_the_largest_lag_of_a_curriculum_grows_geometrically_then_stays(trial_of: Make) -> None:
    """From 1 to 16 in the first half of 8 updates: a factor of two for each update."""
    curriculum = trial_of(lag=16, train_lags={"curriculum": [1, 16]}).train_lags
    assert [curriculum.largest(count, 8) for count in range(1, 9)] == [1, 2, 4, 8, 16, 16, 16, 16]
    assert [curriculum.largest(count, 1) for count in (1,)] == [1]


def test_each_update_of_a_curriculum_has_its_own_lags_and_validation_has_all(trial_of: Make) -> None:
    """Over several blocks of batches. The lag of a sequence is the step at which it is scored."""
    trial = trial_of(lag=40, batch=200, steps=60, train_lags={"curriculum": [2, 40]})
    scored = ScoredSteps.of(trial)
    data = BatchStream([trial], "train", scored, "cpu")
    for count in range(1, 61):
        asked_at = data.next().index_RN // 200
        largest = trial.train_lags.largest(count, 60)
        assert int(asked_at.min()) == 2
        assert largest - 2 <= int(asked_at.max()) <= largest
    asked_at = BatchStream([trial], "validation", scored, "cpu").validation().index_RN // batches.VALIDATION
    assert 30 <= int(asked_at.max()) <= 40


# Against plain PyTorch -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "module", "task"),
    [
        ("lstm", nn.LSTM, "recall"),
        ("lstm", nn.LSTM, "selective_copy"),
        ("gru", nn.GRU, "adding"),
        ("gru", nn.GRU, "copy"),
        ("elman", nn.RNN, "nback"),
        ("elman", nn.RNN, "adding"),
    ],
)
def test_losses_equal_those_of_a_plain_pytorch_script(
    cell: str, module: type[nn.RNNBase], task: str, trial_of: Make
) -> None:
    """torch.nn module, nn.Linear, torch.optim.Adam, clip_grad_norm_ after backward, on the same batches."""
    trial = trial_of(
        task={"name": task},
        lag=12,
        cell=cell,
        depth=2,
        clip=0.05,
        evaluate_every=1,
        optimizer={"name": "adam", "lr": 0.01},
    )
    cohort = Replicas([trial])
    start = {name: part[0].clone() for name, part in cohort.network().parameters.items()}
    net = module(trial.task.inputs, 9, 2)
    readout = nn.Linear(9, trial.task.answer.outputs)
    net.load_state_dict({name: part for name, part in start.items() if not name.startswith("readout")})
    readout.load_state_dict({"weight": start["readout.weight"], "bias": start["readout.bias"]})
    parameters = [*net.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    rng = stream(trial.seed, "train")
    block = trial.task.sample(rng, 16 * trial.batch)  # farback draws sixteen batches at a time
    losses, norms = [], []
    for at in range(trial.steps):
        x, target, lag = (part[at * trial.batch : (at + 1) * trial.batch] for part in block)
        output = readout(net(x.transpose(0, 1))[0]).transpose(0, 1)[lag >= 0]
        answer = target[lag >= 0]
        loss = (
            nn.functional.mse_loss(output[:, 0], answer)
            if task == "adding"
            else nn.functional.cross_entropy(output, answer)
        )
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(nn.utils.clip_grad_norm_(parameters, 0.05)))
        optimizer.step()
        losses.append(loss.item())
    (found,) = results([trial])
    assert value(found, "train", "loss") == pytest.approx(losses, rel=2e-4)
    assert value(found, "grad", "norm") == pytest.approx(norms, rel=2e-3)


def test_clipping_changes_the_update_and_comes_after_backward(trial_of: Make) -> None:
    """The first update of plain SGD has length rate * limit; clipping before backward, as in TCN, would not."""
    moved = []
    for clip in (None, 1e-3):
        trial = trial_of(clip=clip, optimizer=SGD, evaluate_every=1)
        cohort = Replicas([trial])
        before = cohort.theta_RP.clone()
        cohort.update(1)
        moved.append((cohort.theta_RP - before).norm().item())
        (result,) = results([trial])
        norm = value(result, "grad", "norm")[0]
        assert value(result, "grad", "clipped")[0] == (clip is not None)
        assert moved[-1] == pytest.approx(0.1 * (norm if clip is None else clip), rel=1e-3)
    assert moved[0] > 10 * moved[1]


# Stopping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stop", "updates"), [("sustained", 6.0), ("never", 20.0)])
def test_success_at_three_evaluations_in_a_row_ends_a_trial(
    stop: str, updates: float, trial_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "SOLVED_SKILL", -math.inf)
    (result,) = results([trial_of(stop=stop, steps=20, evaluate_every=2)])
    assert value(result, "training", "updates").tolist() == [updates]
    assert result.status == "finished"


def test_successes_must_be_in_a_row(trial_of: Make) -> None:
    replica = Replica(trial_of())
    assert [replica.solved(skill) for skill in (0.95, 0.95, 0.5, 0.95, 0.9, 1.0)] == [False] * 5 + [True]


def test_stopping_and_reporting_use_different_data(trial_of: Make) -> None:
    (result,) = results([trial_of(steps=2, evaluate_every=2)])
    assert value(result, "valid", "loss")[-1] != value(result, "retention", "loss")[0]


def test_a_trial_without_updates_is_measured_after_initialisation(trial_of: Make) -> None:
    (result,) = results([trial_of(steps=0)])
    assert value(result, "training", "updates").tolist() == [0.0]
    assert len(value(result, "retention", "skill")) == 1


def test_the_last_update_is_evaluated_whatever_the_interval(trial_of: Make) -> None:
    (result,) = results([trial_of(steps=7, evaluate_every=3)])
    steps = result.scores.query("measure == 'valid' and statistic == 'skill'")["step"]
    assert steps.tolist() == [3, 6, 7]


def test_measures_are_taken_before_during_and_after_training(trial_of: Make) -> None:
    measure = {"name": "retention", "lags": [1, 2], "sequences": 20, "at": ["start", 2, "end"]}
    events = events_of(trial_of(steps=4, evaluate_every=4, measures=[measure], stop="never"))
    (result,) = [event.result for event in events if isinstance(event, Finished)]
    taken = result.scores.query("measure == 'retention' and statistic == 'skill'")
    assert sorted(set(taken["step"])) == [0, 2, 4]
    shown = [event.step for event in events if isinstance(event, Progress) and "retention/horizon" in event.metrics]
    assert shown == [0, 2, 4]
    (untrained,) = results([trial_of(steps=0, measures=[measure])])
    first, drawn = (one.query("measure == 'retention' and step == 0") for one in (result.scores, untrained.scores))
    pd.testing.assert_frame_equal(first.reset_index(drop=True), drawn.reset_index(drop=True), check_exact=True)


def test_measuring_during_training_changes_no_number(trial_of: Make) -> None:
    measures = [{"name": "retention", "at": at} for at in (["end"], ["start", 2, 3, "end"])]
    plain, often = results([trial_of(measures=[measures[0]])]) + results([trial_of(measures=[measures[1]])])
    columns = "measure in ('train', 'valid', 'grad')"
    pd.testing.assert_frame_equal(
        plain.scores.query(columns).reset_index(drop=True),
        often.scores.query(columns).reset_index(drop=True),
        check_exact=True,
    )


# Frozen parameters ---------------------------------------------------------------------------------------------


def test_frozen_parameters_keep_their_initial_values_and_all_others_change(every_cell: Cell, trial_of: Make) -> None:
    check_frozen(trial_of(cell=every_cell, clip=0.01, hidden=18))


@pytest.mark.parametrize("optimizer", [*optimizers.names(), {"name": "rmsprop", "momentum": 0.5}], ids=str)
def test_no_optimizer_changes_frozen_parameters(optimizer: Any, trial_of: Make) -> None:
    for cell in ("echo_state", "lstm"):
        check_frozen(trial_of(cell=cell, optimizer=optimizer, clip=0.01))


def check_frozen(trial: Trial) -> None:
    cohort = Replicas([trial])
    before = {name: value.clone() for name, value in cohort.network().parameters.items()}
    for count in (1, 2, 3):
        cohort.update(count)
    moved = {name for name, value in cohort.network().parameters.items() if not torch.equal(value, before[name])}
    assert moved == before.keys() - trial.architecture.frozen


def test_an_echo_state_network_trains_only_its_readout(trial_of: Make) -> None:
    trial = trial_of(cell="echo_state", depth=2)
    names = set(trial.architecture.shapes())
    assert names - trial.architecture.frozen == {"readout.weight", "readout.bias"}
    assert trial.architecture.parameter_count == 4 * (9 + 1)
    (result,) = results([trial])
    assert result.provenance["parameters"] == "40"


# Events ----------------------------------------------------------------------------------------------------------


def test_each_replica_reports_progress_at_every_evaluation_and_finishes_once(trial_of: Make) -> None:
    trials = [trial_of(seed=seed) for seed in range(2)]
    events = events_of(*trials)
    for trial in trials:
        own = [event for event in events if event.key == trial.key]
        assert [event.step for event in own if isinstance(event, Progress)] == [2, 4, 6]
        assert [type(event) for event in own].count(Finished) == 1
        assert isinstance(own[-1], Finished)
        assert set(own[0].metrics) == {
            "train/loss",
            "grad/norm",
            "grad/clipped",
            "valid/skill",
            "valid/accuracy",
            "valid/loss",
        }


def test_progress_equals_the_recorded_scores(trial_of: Make) -> None:
    events = events_of(trial_of())
    (result,) = [event.result for event in events if isinstance(event, Finished)]
    shown = [event.metrics["valid/loss"] for event in events if isinstance(event, Progress)]
    assert value(result, "valid", "loss").tolist() == shown


def test_a_cohort_of_several_shapes_is_refused(trial_of: Make) -> None:
    with pytest.raises(ValueError, match="same shape"):
        Cohort.of(trial_of(hidden=9), trial_of(hidden=18))


def test_provenance_holds_versions_and_sizes(trial_of: Make) -> None:
    (result,) = results([trial_of(cell="lstm")])
    assert result.provenance["torch"] == torch.__version__
    assert result.provenance["parameters"] == str(4 * 9 * (9 + 9 + 2) + 4 * 9 + 4)
    assert result.provenance["state"] == "18"


# Learning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_small_gated_network_learns_recall_at_lag_three(cell: str, trial_of: Make) -> None:
    fields = {"hidden": 16, "batch": 32, "steps": 400, "evaluate_every": 20, "optimizer": {"name": "adam", "lr": 0.02}}
    (result,) = results([trial_of(cell=cell, measures=[{"name": "retention", "sequences": 500}], **fields)])
    assert value(result, "retention", "accuracy")[0] > 0.97
    assert value(result, "training", "updates")[0] < 400


def test_a_network_without_memory_learns_nothing(trial_of: Make) -> None:
    fields = {"batch": 32, "steps": 100, "evaluate_every": 50, "optimizer": {"name": "adam", "lr": 0.01}}
    (result,) = results([trial_of(cell="memoryless", measures=[{"name": "retention", "sequences": 4000}], **fields)])
    assert value(result, "retention", "accuracy")[0] == pytest.approx(0.25, abs=4 * math.sqrt(0.1875 / 4000))
    assert -0.05 < value(result, "retention", "skill")[0] < 0.01
    assert value(result, "retention", "success").tolist() == [0.0]


# Law 7 -----------------------------------------------------------------------------------------------------------

STRUCTURE: list[dict[str, Any]] = [
    *[
        {"task": {"name": name}, "lag": 33}
        for name in ("adding", "copy", "nback", "parity", "recall", "selective_copy")
    ],
    *[{"task": {"name": name}, "lag": 33} for name in ("multiplication", "match", "flipflop", "assoc", "delay")],
    *[{"task": {"name": name}, "lag": 33} for name in ("kernel", "narma", "mackey_glass", "lightning")],
    *[{"task": {"name": "digits", "order": order}, "lag": 64} for order in ("rows", "permuted")],
    {"task": {"name": "digits", "order": "permuted", "permutation": 1}, "lag": 64},
    {"task": {"name": "copy", "layout": "tcn"}, "lag": 33},
    *[{"task": {"name": "kernel", "shape": shape}, "lag": 33} for shape in ("power_law", "shift", "two_bumps")],
    *[{"task": {"name": "lightning", "mode": mode}, "lag": 33} for mode in ("stream", "noisy_or", "persistent")],
    *[{"task": {"name": "lightning", "drift": drift}, "lag": 33} for drift in ([0, 1], [1, 0], [-1, 0])],
    {"task": {"name": "lightning", "correlation": 1.0}, "lag": 33},
    {"encoder": {"name": "conv", "state": "map"}},
    *[{"task": "lightning", "encoder": {"name": "conv", "state": state}} for state in ("pixel", "map")],
    {"encoder": {"name": "conv", "channels": 4, "state": "map"}},
    {"encoder": {"name": "conv", "kernel": 1, "state": "map"}},
    {"task": {"name": "recall", "symbols": 5}},
    {"task": {"name": "recall", "filler": "blank"}},
    {"task": {"name": "recall", "length": 7}},
    {"lag": 4},
    {"train_lags": {"uniform": [1, 3]}},
    {"train_lags": {"uniform": [2, 3]}},
    {"train_lags": {"log_uniform": [1, 3]}},
    {"train_lags": {"curriculum": [1, 3]}},
    {"train_lags": {"curriculum": [2, 3]}},
    *[
        {"cell": {"name": "elman", "nonlinearity": f}}
        for f in ("relu", "sigmoid", "identity", "leaky_relu", "gelu", "softsign", "modrelu", "sin")
    ],
    *[{"cell": {"name": name}} for name in cells.names() if name != "elman"],
    {"cell": {"name": "leaky_integrator", "decay": 0.5}},
    {"cell": {"name": "janet", "beta": 0.5}},
    {"cell": {"name": "indrnn", "nonlinearity": "tanh"}},
    *[{"cell": {"name": "lru", field: 0.5}} for field in ("inner", "outer", "angle")],
    *[{"cell": {"name": "cornn", field: 0.5}} for field in ("dt", "gamma", "epsilon")],
    {"cell": {"name": "lem", "dt": 0.5}},
    *[{"cell": {"name": "antisymmetric", field: 0.5}} for field in ("epsilon", "gamma")],
    {"cell": {"name": "exprnn", "rotation": "henaff"}},
    {"cell": {"name": "echo_state", "leak": 0.5}},
    *[{"init": name} for name in ("orthogonal", "identity", "xavier", "scaled")],
    {"init": {"name": "scaled", "radius": 1.3}},
    {"hidden": 18},
    {"depth": 2},
    {"depth": 3},
    {"bias": False},
    {"bidirectional": True},
    {"initial_state": "learned"},
    {"batch": 5},
    {"seed": 1},
]


def test_every_level_of_every_structural_axis_changes_weights_data_or_loss_at_step_0(trial_of: Make) -> None:
    prints = [fingerprint(trial_of()), *(fingerprint(trial_of(**level)) for level in STRUCTURE)]
    equal = {prints.index(one): number - 1 for number, one in enumerate(prints) if prints.index(one) != number}
    assert equal == {}


def test_every_task_has_a_fingerprint_of_its_own(every_task: Task, trial_of: Make) -> None:
    plain = trial_of(lag=12, task="recall")
    other = trial_of(task=every_task.at(max(12, every_task.lag)), lag=max(12, every_task.lag))
    assert (fingerprint(other) == fingerprint(plain)) is (other.key == plain.key)


def test_every_cell_has_a_fingerprint_of_its_own(every_cell: Cell, trial_of: Make) -> None:
    plain, other = trial_of(), trial_of(cell=every_cell)
    assert (fingerprint(other) == fingerprint(plain)) is (other.key == plain.key)


def test_a_fingerprint_depends_on_what_precedes_training_only(trial_of: Make) -> None:
    assert fingerprint(trial_of()) == fingerprint(trial_of(steps=999, clip=None, optimizer="sgd"))


def test_a_dropped_trial_leaves_and_changes_no_other(trial_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [trial_of(seed=seed, steps=20) for seed in range(3)]
    whole = {event.key: event.result.scores for event in events_of(*trials) if isinstance(event, Finished)}
    monkeypatch.setattr(compiled_updates, "FLOPS", 1)  # a request after every update
    training, events = train(Cohort.of(*trials)), []
    event = next(training)
    with suppress(StopIteration):
        while True:
            events.append(event)
            event = training.send(Request(frozenset({trials[1].key})) if len(events) > 9 else None)
    assert [event for event in events if isinstance(event, Pruned)] == [Pruned(trials[1].key, 4)]
    kept = {event.key: event.result.scores for event in events if isinstance(event, Finished)}
    assert list(kept) == [trials[0].key, trials[2].key]
    for key, scores in kept.items():
        pd.testing.assert_frame_equal(scores, whole[key], check_exact=True)
