"""Ladder heights, forecast maps and kernels of systems with known values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from farback import cells, encoders, inits, tasks
from farback.measures import kernel_recovery
from farback.measures.base import MeasureRow
from farback.measures.kernel_recovery import KernelRecoveryMeasure
from farback.measures.ladder import LadderMeasure
from farback.measures.maps import Maps
from farback.measures.retention import mean_scores
from farback.networks.network import Architecture, Network, draw
from farback.tasks.support.answers import height
from farback.trials.cohort import Cohort
from farback.trials.trial import Trial

TORCH = inits.build("torch")


def register(task: Any, slots: int, weight: dict[int, np.ndarray], bias: np.ndarray) -> Network:
    """A shift register of `slots` inputs, whose readout weighs slot k by `weight[k]`, (outputs, inputs)."""
    architecture = Architecture(cells.build("shift_register"), task.inputs, slots * task.inputs, task.answer.outputs)
    whole = np.zeros((task.answer.outputs, slots, task.inputs))
    for k, part in weight.items():
        whole[:, k] = part
    parameters = {"readout.weight": whole.reshape(1, task.answer.outputs, -1), "readout.bias": bias[None]}
    return Network(architecture, {name: torch.from_numpy(value).float() for name, value in parameters.items()})


def values(rows: list[MeasureRow], statistic: str) -> list[float]:
    return [row.value for row in sorted(rows) if row.statistic == statistic]


@pytest.mark.parametrize("days", [0, 1])
def test_a_network_that_remembers_some_days_has_their_height(days: int) -> None:
    """The oracle of the last 0 or 1 of two days: its log-odds given the pixel, as weight and bias."""
    q, w = 0.3, 0.5
    task = tasks.build(
        {"name": "lightning", "mode": "noisy_or", "lag": 2, "weight": w, "grid": 2, "strike_rate": q, "asked": 3}
    )
    quiet = np.array([1.0, 1 - w]) * (1 - task.miss) * (1 - w * q) ** (2 - days)  # without and with an observed strike
    odds = np.log((1 - quiet) / quiet)
    net = register(task, 3, {1: np.eye(4) * (odds[1] - odds[0])} if days else {}, np.full(4, odds[0]))
    (rows,) = LadderMeasure(sequences=4000).rows(net, task, [0], lambda: net)
    assert values(rows, "height") == pytest.approx([days], abs=0.12)
    assert values(rows, "rung_loss") == pytest.approx([rung.loss for rung in task.ladder()])
    assert values(rows, "rung_height") == [0, 1, 2]
    assert values(rows, "chance_loss") == [task.chance().loss]
    assert values(rows, "best_loss") == [task.chance().best]


def test_a_ladder_without_amounts_counts_rungs() -> None:
    task = tasks.build({"name": "recall", "lag": 2})
    net = register(task, 3, {2: 200 * np.eye(4, task.inputs)}, np.zeros(4))
    (rows,) = LadderMeasure(sequences=50).rows(net, task, [0], lambda: net)
    assert values(rows, "height") == [2.0]


def oracle(task: Any, lag: int) -> Network:
    """Reads the observed day in slot `lag`."""
    high, low = (np.log(p / (1 - p)) for p in (task.hit, task.miss))
    eye = (high - low) * np.eye(task.grid**2, task.inputs)
    return register(task, lag + 1, {lag: eye}, np.full(task.grid**2, low))


@pytest.mark.parametrize("lag", [None, 2])
def test_maps_are_observed_true_and_predicted_pixels(lag: int | None) -> None:
    task = tasks.build({"name": "lightning", "grid": 3, "lag": 5, "strike_rate": 0.4})
    net = oracle(task, lag or 5)
    (rows,) = Maps(lag=lag).rows(net, task, [3], lambda: net)
    assert len(rows) == 4 * 9
    seen, truth, bayes, predicted = (values(rows, name) for name in ("observed", "truth", "bayes", "predicted"))
    assert set(seen) <= {0.0, 1.0}
    assert set(truth) <= {0.0, 1.0}
    assert bayes == pytest.approx([0.9 if x else 0.02 for x in seen])
    assert predicted == pytest.approx(bayes, abs=1e-5)


def test_maps_use_one_sequence_for_all_seeds() -> None:
    trial = Trial.model_validate({"task": {"name": "lightning", "grid": 3}, "cell": "gru", "encoder": "conv", "lag": 4})
    net = draw(trial.architecture, [TORCH] * 2, [0, 1], 4)
    both = Maps().rows(net, trial.task, [0, 1], lambda: net)
    assert values(both[0], "truth") == values(both[1], "truth")
    assert values(both[0], "predicted") != values(both[1], "predicted")
    assert Maps().rows(net.replica(1), trial.task, [1], lambda: net) == [both[1]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"task": "recall", "measures": ["maps"]}, "the measure 'maps' needs the task 'lightning'"),
        ({"task": {"name": "lightning", "mode": "stream"}, "measures": [{"name": "maps", "lag": 2}]}, "its own lag, 5"),
        ({"task": "recall", "measures": ["kernel_recovery"]}, "taken on the task kernel, and the task is recall"),
    ],
    ids=["maps", "lag", "kernel"],
)
def test_a_trial_with_a_measure_that_does_not_apply_is_an_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Trial.model_validate({"cell": "gru", "lag": 5, **fields})


@pytest.mark.parametrize("shape", ["exponential", "two_bumps"])
def test_a_known_kernel_is_recovered(shape: str) -> None:
    """A shift register with the kernel as the weights of its readout."""
    task = tasks.build({"name": "kernel", "shape": shape, "lag": 12})
    net = register(task, 13, {k: np.array([[w]]) for k, w in enumerate(task.weights())}, np.array([0.3]))
    found = kernel_recovery(net, task, sequences=40)
    assert found.recovered == pytest.approx(task.weights(), abs=1e-5)
    assert found.known == pytest.approx(task.weights())
    assert found.linear == pytest.approx(1, abs=1e-6)
    assert (task.weights() ** 2).sum() == pytest.approx(1)


def test_the_kernel_of_a_short_register_ends() -> None:
    task = tasks.build({"name": "kernel", "shape": "power_law", "lag": 12})
    net = register(task, 5, {k: np.array([[0.2]]) for k in range(5)}, np.zeros(1))
    (rows,) = KernelRecoveryMeasure(sequences=200).rows(net, task, [0], lambda: net)
    assert values(rows, "recovered") == pytest.approx([0.2] * 5 + [0.0] * 8, abs=1e-5)
    assert values(rows, "linear") == pytest.approx([1.0])
    expected = ((np.array([0.2] * 5 + [0.0] * 8) - task.weights()) ** 2).sum()
    assert values(rows, "error") == pytest.approx([expected], abs=1e-4)


def test_too_few_equations_for_a_kernel_are_an_error() -> None:
    task = tasks.build({"name": "kernel", "lag": 100, "asked": 5})
    with pytest.raises(ValueError, match="10 sequences of 5 answers are too few for 101 weights"):
        kernel_recovery(lambda x: (x, x), task, sequences=10)


@pytest.mark.slow
def test_no_network_scores_above_the_oracle(trial_of: Any) -> None:
    """A check for leaked answers: a trained network with one state per pixel reaches the oracle and not more."""
    from farback.training.loop import train

    trial = trial_of(
        task={"name": "lightning", "grid": 4, "drift": [0, 1], "strike_rate": 0.2},
        encoder={"name": "conv", "channels": 4},
        cell="gru",
        lag=2,
        hidden=8,
        batch=16,
        steps=300,
        evaluate_every=50,
        optimizer={"name": "adam", "lr": 0.02},
        measures=[{"name": "retention", "sequences": 4000}],
    )
    *_, last = [event for event in train(Cohort.of(trial)) if event is not None]
    skill = float(last.result.scores.query("measure == 'retention' and statistic == 'skill'")["value"].iloc[0])
    task = trial.task
    each = [q * p * (1 - p) * np.log(p / (1 - p)) ** 2 for q, p in ((0.2, task.hit), (0.8, task.miss))]
    error = np.sqrt((sum(each) + 0.16 * 0.3**2) / (4000 * 16)) / (task.chance().loss - task.chance().best)
    assert 0.9 < skill < 1 + 4 * error


def test_encoders_are_found_by_their_file() -> None:
    assert encoders.names() == ["conv", "identity"]


def test_the_height_of_a_network_whose_answers_are_not_numbers_is_unknown() -> None:
    task = tasks.build({"name": "hold", "lag": 3})
    network = draw(Architecture(cells.build("gru"), task.inputs, 4, 1), [TORCH], [0], 3)
    broken = Network(network.architecture, {name: value * np.nan for name, value in network.parameters.items()})
    rows = {row.statistic: row.value for row in LadderMeasure(sequences=20).network_rows(broken, task, 0)}
    assert np.isnan(rows["loss"])
    assert np.isnan(rows["height"])


def test_the_ladder_counts_the_answers_of_all_lags() -> None:
    """A flip-flop system that knows the last four steps stands on the rung of four steps."""
    task = tasks.build({"name": "flipflop", "lag": 16, "write": 0.2})

    def system(x_BTI: torch.Tensor) -> torch.Tensor:
        known_BTI = x_BTI[:, -5:-1, :2] * x_BTI[:, -5:-1, 2:3]  # the symbols written in the last four steps
        last_BI = sum((known_BTI[:, t] * (1000.0 * 10.0**t) for t in range(4)), torch.zeros(len(x_BTI), 2))
        return last_BI[:, None].expand(-1, x_BTI.shape[1], -1)

    found = mean_scores(system, task, 20_000)
    (rung,) = [each for each in task.ladder() if each.amount == 4]
    assert found.loss == pytest.approx(rung.loss, abs=0.02)
    assert height(found.loss, task.ladder()) == pytest.approx(4, abs=0.2)
