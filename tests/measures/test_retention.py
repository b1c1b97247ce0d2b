"""Retention of systems with known memory, and the shift register that defines a lag."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from farback import cells, inits, tasks
from farback.measures import retention
from farback.measures.retention import RetentionMeasure
from farback.networks.network import Architecture, Network, draw
from farback.stats import Horizon
from farback.trials.trial import Trial

LAGS = [1, 2, 4, 8, 16, 32]


def ring_buffer(task: Any, slots: int, slot: int | None = None) -> Network:
    """A shift register with a readout that sums the cues in all slots, or reads one slot."""
    architecture = Architecture(cells.build("shift_register"), task.inputs, slots * task.inputs, task.answer.outputs)
    weight = torch.zeros(1, task.symbols, slots, task.inputs)
    for k in range(slots):
        if slot in (None, k):
            weight[0, :, k, : task.symbols] = 200 * torch.eye(task.symbols)
    parameters = {"readout.weight": weight.flatten(2), "readout.bias": torch.zeros(1, task.symbols)}
    return Network(architecture, parameters)


def test_a_ring_buffer_of_twelve_slots_fails_between_8_and_16() -> None:
    task = tasks.build("recall")
    found = retention(ring_buffer(task, 12), task, LAGS, sequences=500)
    assert found.horizon == Horizon(8, 16)
    assert found.monotone
    assert found.lag.tolist() == LAGS
    assert found.accuracy[:4].tolist() == [1.0] * 4
    assert found.skill[:4] == pytest.approx([1.0] * 4, abs=1e-6)
    assert found.accuracy[4:] == pytest.approx([0.25] * 2, abs=0.08)
    assert found.skill[4:] == pytest.approx([0.0] * 2, abs=1e-6)


@pytest.mark.parametrize("slots", [1, 5])
def test_a_register_remembers_exactly_the_lags_below_its_number_of_slots(slots: int) -> None:
    """Lag k is in slot k; an off-by-one error is common in this field."""
    task = tasks.build("recall")
    found = retention(ring_buffer(task, slots), task, range(8), sequences=300)
    assert found.remembered.tolist() == [lag < slots for lag in range(8)]


@pytest.mark.parametrize("lag", [0, 1, 4])
def test_one_slot_solves_nback_at_its_lag_only(lag: int) -> None:
    task = tasks.build({"name": "nback", "lag": lag})
    for slot in range(6):
        found = retention(ring_buffer(task, 6, slot), task, [lag], sequences=50)
        assert bool(found.remembered[0]) is (slot == lag)


def oracle(task: Any) -> Any:
    """Reads the cue of recall from the whole sequence."""

    def call(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        cue_BK = x_BTI[:, :, : task.symbols].sum(1)
        output = 200 * cue_BK.unsqueeze(1).expand(-1, x_BTI.shape[1], -1)
        return output, output

    return call


def test_the_horizon_of_a_perfect_oracle_is_right_censored() -> None:
    task = tasks.build("recall")
    found = retention(oracle(task), task, LAGS, sequences=100)
    assert found.horizon == Horizon(32, math.inf)
    assert str(found.horizon) == "at least 32"
    assert found.accuracy.tolist() == [1.0] * 6
    assert found.skill == pytest.approx([1.0] * 6)


def test_the_horizon_of_a_constant_answer_is_left_censored() -> None:
    task = tasks.build("recall")
    found = retention(lambda x: (torch.zeros(*x.shape[:2], 4),) * 2, task, LAGS, sequences=2000)
    assert found.horizon == Horizon(0, 1)
    assert str(found.horizon) == "below 1"
    assert found.skill == pytest.approx([0.0] * 6, abs=1e-6)
    assert found.accuracy == pytest.approx([0.25] * 6, abs=4 * math.sqrt(0.1875 / 2000))


def test_a_timer_is_not_monotone_and_its_horizon_is_the_first_failure() -> None:
    """Correct at lags 1, 2 and 8 only, as can happen after training at one lag."""
    task = tasks.build("recall")
    right = oracle(task)

    def timer(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        output, state = right(x_BTI)
        return (output if x_BTI.shape[1] - 1 in (1, 2, 8) else 0 * output), state

    found = retention(timer, task, LAGS, sequences=100)
    assert found.horizon == Horizon(2, 4)
    assert not found.monotone
    assert found.remembered.tolist() == [True, True, False, True, False, False]


def test_one_of_two_bits_does_not_count_as_remembered() -> None:
    task = tasks.build("recall")
    right = oracle(task)

    def half(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        pair = right(x_BTI)[0].unflatten(-1, (2, 2)).sum(-1, keepdim=True).expand(-1, -1, 2, 2).flatten(-2)
        return pair, pair

    found = retention(half, task, [1, 2], sequences=1000)
    assert found.accuracy == pytest.approx([0.5, 0.5], abs=0.07)
    assert found.skill == pytest.approx([0.5, 0.5], abs=1e-3)
    assert found.horizon == Horizon(0, 1)


def test_only_asked_steps_that_need_memory_are_scored() -> None:
    """Always answering blank is correct at 99 % of copy's steps without memory (a defect of the TCN benchmark)."""
    task = tasks.build("copy")

    def blanks(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        output = torch.zeros(*x_BTI.shape[:2], 9)
        output[..., 0] = 20.0
        return output, output

    assert retention(blanks, task, [200], sequences=20).accuracy.tolist() == [0.0]


def test_nan_outputs_are_failures() -> None:
    for name, outputs in (("recall", 4), ("adding", 1)):
        task = tasks.build(name)
        found = retention(
            lambda x, o=outputs: (torch.full((*x.shape[:2], o), torch.nan),) * 2, task, [2, 4], sequences=10
        )
        assert found.horizon == Horizon(0, 2)
        assert found.accuracy.tolist() == [0.0, 0.0]


def test_only_equal_seeds_give_equal_curves() -> None:
    task = tasks.build("recall")
    network = draw(Architecture(cells.build("gru"), task.inputs, 8, 4), [inits.build("torch")], [0], 5)
    a, b, c = (retention(network, task, LAGS, sequences=200, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(a.loss, b.loss)
    assert not np.array_equal(a.loss, c.loss)


def test_the_score_at_a_lag_does_not_depend_on_other_lags() -> None:
    task = tasks.build("recall")
    network = draw(Architecture(cells.build("gru"), task.inputs, 8, 4), [inits.build("torch")], [0], 5)
    alone = retention(network, task, [4], sequences=200)
    among = retention(network, task.at(30), [32, 4, 1, 4], sequences=200)
    assert among.lag.tolist() == [1, 4, 32]
    assert among.loss[1] == alone.loss[0]


def test_torch_modules_of_both_layouts_are_accepted() -> None:
    task = tasks.build("nback")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.GRU(4, 4, batch_first=True)
    last = nn.GRU(4, 4)
    last.load_state_dict(first.state_dict())
    a, b = (retention(module, task, [10], sequences=50) for module in (first, last))
    assert a.loss == pytest.approx(b.loss, rel=1e-5)


@pytest.mark.parametrize(
    ("system", "lags", "sequences", "message"),
    [
        (nn.GRU(9, 5), [1], 10, "4 outputs, the system has 5"),
        (nn.GRU(9, 4), [], 10, "at least one lag"),
        (nn.GRU(9, 4), [1], 0, "one sequence"),
        (3, [1], 10, "a system must be"),
    ],
    ids=["outputs", "lags", "sequences", "system"],
)
def test_unusable_arguments_are_errors(system: Any, lags: list[int], sequences: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retention(system, tasks.build("recall"), lags, sequences)


def test_the_measure_always_includes_the_training_lag() -> None:
    task = tasks.build({"name": "recall", "lag": 5})
    network = ring_buffer(task, 6)
    rows = RetentionMeasure(lags=(2,), sequences=30).rows(network, task, [0], lambda: network)
    assert {row.lag for row in rows[0]} == {2, 5}
    assert {row.statistic for row in rows[0]} == {"skill", "accuracy", "loss", "success", "chance_accuracy"}
    assert [row.value for row in rows[0] if row.statistic == "success"] == [1.0, 1.0]
    assert [row.value for row in rows[0] if row.statistic == "chance_accuracy"] == [0.25, 0.25]


def test_rows_of_a_replica_do_not_depend_on_the_others() -> None:
    task = tasks.build({"name": "recall", "lag": 5})
    architecture = Architecture(cells.build("gru"), task.inputs, 8, 4)
    network = draw(architecture, [inits.build("torch")] * 3, [4, 5, 6], 5)
    measure = RetentionMeasure(lags=(2,), sequences=30)
    packed = measure.rows(network, task, [4, 5, 6], lambda: network)
    for r, seed in enumerate([4, 5, 6]):
        assert measure.rows(network.replica(r), task, [seed], lambda: network) == [packed[r]]
    assert packed[0] != packed[1]


def test_a_trial_measures_retention_by_default() -> None:
    trial = Trial.model_validate({"task": "recall", "lag": 5, "cell": "gru"})
    assert [measure.name for measure in trial.measures] == ["retention"]
