"""Probes of systems with known decodability: delay lines, leaky units, independent states."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from linear_systems import relu_rnn
from torch import Tensor, nn
from torch.nn.functional import pad

from farback import cells, inits, tasks
from farback.measures import probe
from farback.measures.probe import ProbeMeasure
from farback.networks.network import Architecture, Network, draw
from farback.stats import Horizon


def delay_line(slots: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def line(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        state = torch.cat([pad(x_BTI, (0, 0, k, 0))[:, : x_BTI.shape[1]] for k in range(slots)], -1)
        return state, state

    return line


def symbols(rng: np.random.Generator, count: int, steps: int = 12, sequences: int = 900) -> Any:
    symbol_BT = rng.integers(count, size=(sequences, steps))
    return symbol_BT, np.eye(count)[symbol_BT]


@pytest.mark.parametrize(("count", "slots"), [(4, 6), (2, 1)])
def test_a_delay_line_is_decoded_up_to_its_length_and_at_chance_beyond(
    count: int, slots: int, rng: np.random.Generator
) -> None:
    found = probe(delay_line(slots), symbols(rng, count)[1])
    assert found.lag.tolist() == list(range(12))
    assert found.accuracy[:slots].tolist() == [1.0] * slots
    assert (found.skill[:slots] > 0.97).all()
    spread = math.sqrt((1 - 1 / count) / count / 300)
    assert found.accuracy[slots:] == pytest.approx(np.full(12 - slots, 1 / count), abs=4.5 * spread)
    assert found.accuracy[slots:].mean() == pytest.approx(1 / count, abs=0.03)
    assert (np.abs(found.skill[slots:]) < 0.2).all()
    assert (np.abs(found.shuffled_skill) < 0.2).all()
    assert found.classes.tolist() == [count] * 12
    assert found.horizon == Horizon(slots - 1, slots)
    assert np.isnan(found.untrained_skill).all()


def test_horizons_are_censored_at_both_ends() -> None:
    rng = np.random.default_rng(0)
    inputs = symbols(rng, 3, steps=4, sequences=200)[1]
    assert probe(delay_line(4), inputs).horizon == Horizon(3, math.inf)
    assert probe(lambda x: 0 * x, inputs, lags=[1, 2]).horizon == Horizon(0, 1)


def test_decoding_does_not_depend_on_the_coordinates(rng: np.random.Generator) -> None:
    _, inputs = symbols(rng, 3)
    turn = torch.from_numpy(rng.normal(size=(12, 12)) * 10.0 ** rng.uniform(-3, 3, 12))
    line = delay_line(4)
    plain, mixed = probe(line, inputs), probe(lambda x: line(x)[0] @ turn + 5, inputs)
    assert mixed.skill[:4] == pytest.approx(plain.skill[:4], abs=1e-3)


def test_rare_classes_have_the_same_weight(rng: np.random.Generator) -> None:
    """An independent state scores 1 / K, not the share of the most frequent symbol."""
    symbol_BT = rng.choice(3, p=[0.9, 0.05, 0.05], size=(3000, 3))
    noise = torch.from_numpy(rng.standard_normal((3000, 3, 2)))
    found = probe(lambda x: noise[: len(x)], np.eye(3)[symbol_BT])
    assert found.accuracy == pytest.approx(np.full(3, 1 / 3), abs=0.12)


def test_numbers_are_scored_by_r2(rng: np.random.Generator) -> None:
    """The state is the input one step ago plus noise of the same variance: R2 = 1/2 at lag 1, and 0 elsewhere."""
    inputs = rng.standard_normal((3000, 6, 1))
    noise = torch.from_numpy(rng.standard_normal((3000, 6, 1)))
    found = probe(lambda x: pad(x, (0, 0, 1, 0))[:, :-1] + noise[: len(x)], inputs)
    assert found.skill == pytest.approx([0, 0.5, 0, 0, 0, 0], abs=0.05)
    assert np.isnan(found.accuracy).all()
    assert found.classes.tolist() == [0] * 6


@pytest.mark.parametrize("decay", [0.9])
def test_decoding_of_a_leaky_integrator_equals_its_memory_function(decay: float, rng: np.random.Generator) -> None:
    """R2 = (1 - a^2) a^2k: ratio 0.81 for a = 0.9, as for the memory function and the Sobol index."""
    module = relu_rnn(np.array([[decay]]), np.array([1 - decay]))
    found = probe(module, rng.random((6000, 70, 1)), lags=range(12))
    assert found.skill == pytest.approx((1 - decay**2) * decay ** (2.0 * np.arange(12)), abs=0.04)


def test_symbols_may_differ_from_the_inputs(rng: np.random.Generator) -> None:
    symbol_BT, clean = symbols(rng, 4)
    noisy = clean + 0.01 * rng.standard_normal(clean.shape)
    found = probe(delay_line(3), noisy, symbol_BT)
    assert found.horizon == Horizon(2, 3)
    assert found.classes.tolist() == [4] * 12
    assert probe(delay_line(3), noisy).classes.tolist() == [0] * 12
    assert probe(delay_line(3), noisy, torch.from_numpy(symbol_BT)).skill.tolist() == found.skill.tolist()


def test_the_readout_step_may_differ_between_sequences(rng: np.random.Generator) -> None:
    _, inputs = symbols(rng, 3)
    found = probe(delay_line(2), inputs, step=rng.integers(5, 12, size=900))
    assert found.lag.tolist() == list(range(6))
    assert found.horizon == Horizon(1, 2)


def test_a_lag_with_one_possible_input_is_nan(rng: np.random.Generator) -> None:
    inputs = symbols(rng, 3)[1]
    inputs[:, -3] = [1, 0, 0]
    found = probe(delay_line(4), inputs)
    assert np.isnan(found.skill).tolist() == [lag == 2 for lag in range(12)]
    assert found.horizon == Horizon(3, 4)


def test_a_torch_module_is_compared_with_its_untrained_copy(
    rng: np.random.Generator, global_generators_untouched: Callable[[], Any]
) -> None:
    """Weights that ignore the input decode nothing; random weights decode short lags."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.GRU(3, 24, batch_first=True)
    with torch.no_grad():
        module.weight_ih_l0.zero_()
    with global_generators_untouched():
        found = probe(module, symbols(rng, 3)[1])
    assert (np.abs(found.skill) < 0.2).all()
    assert found.untrained_skill[0] > 0.9
    assert found.untrained_skill[11] < 0.2
    assert not bool(module.weight_ih_l0.any())


def test_the_full_state_of_an_lstm_can_be_probed(rng: np.random.Generator) -> None:
    """With a closed output gate, c holds the first symbol and h is zero."""
    module = nn.LSTM(2, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for value in module.parameters():
            value.zero_()
        module.weight_ih_l0[4:6] = 3 * torch.eye(2)  # g
        module.bias_ih_l0[:] = torch.tensor([9.0] * 2 + [9.0] * 2 + [0.0] * 2 + [-800.0] * 2)  # i, f, g, o
    inputs = np.zeros((300, 9, 2))
    inputs[:, 0] = np.eye(2)[rng.integers(2, size=300)]
    assert probe(module, inputs, lags=[8]).skill[0] < 0.1
    assert probe(module, inputs, lags=[8], features="full").accuracy[0] == 1.0


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (np.zeros((29, 4, 1)), {}, "30 sequences or more"),
        (np.zeros((40, 4, 1)), {"lags": [4]}, "between 0 and 3"),
        (np.zeros((40, 4, 1)), {"symbols": np.zeros((40, 3))}, r"\(40, 4\); got \(40, 3\)"),
        (np.full((40, 4, 1), np.nan), {}, "inputs must be finite"),
    ],
)
def test_unusable_arguments_are_errors(inputs: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        probe(delay_line(1), inputs, **options)


def network_of(cell: Any, task: Any, hidden: int = 8, **fields: Any) -> Network:
    architecture = Architecture(cells.build(cell), task.inputs, hidden, task.answer.outputs, **fields)
    return draw(architecture, [inits.build("torch")] * 2, [4, 5], 5)


def values(rows: Any, name: str) -> dict[int, float]:
    return {row.lag: row.value for row in rows if row.statistic == name}


def test_a_register_on_a_task_holds_as_many_inputs_as_slots() -> None:
    task = tasks.build({"name": "nback", "lag": 4})
    network = network_of("shift_register", task, hidden=12)  # three slots
    measure = ProbeMeasure(sequences=600, lags=(0, 1, 2, 3, 9))
    rows = measure.rows(network, task, [0, 1], lambda: network)[0]
    assert {row.statistic for row in rows if row.lag >= 0} == {
        "skill",
        "accuracy",
        "untrained_skill",
        "shuffled_skill",
    }
    assert {lag: value > 0.5 for lag, value in values(rows, "skill").items()} == {
        0: True,
        1: True,
        2: True,
        3: False,
        9: False,
    }
    assert values(rows, "untrained_skill") == pytest.approx(values(rows, "skill"), abs=1e-4)
    assert values(rows, "horizon") == {-1: 2.0}


def test_the_cue_of_recall_is_decoded_at_its_lag() -> None:
    task = tasks.build({"name": "recall", "lag": 6, "filler": "blank"})
    for slots, skill in ((7, True), (6, False)):
        network = network_of("shift_register", task, hidden=slots * task.inputs)
        measure = ProbeMeasure(sequences=300)
        rows = measure.rows(network, task, [0, 1], lambda n=network: n)[0]
        assert list(values(rows, "skill")) == [6]  # the other lags are blank
        assert (values(rows, "skill")[6] > 0.5) is skill
        assert values(rows, "horizon") == {-1: 6.0 * skill}


def test_rows_of_a_replica_do_not_depend_on_the_others() -> None:
    task = tasks.build({"name": "adding", "lag": 4})
    network, other = network_of("gru", task), network_of("lstm", task)
    measure = ProbeMeasure(sequences=90)
    packed = measure.rows(network, task, [4, 5], lambda: other)
    alone = [measure.rows(network.replica(r), task, [4 + r], lambda r=r: other.replica(r))[0] for r in range(2)]
    assert repr(alone) == repr(packed)
    assert values(packed[0], "untrained_skill") != values(packed[0], "skill")


def test_blank_inputs_and_nonfinite_states_give_no_rows() -> None:
    blanks = tasks.build({"name": "selective_copy", "lag": 40})
    network = network_of("gru", blanks)
    assert ProbeMeasure(sequences=90).rows(network, blanks, [0, 1], lambda: network) == [[], []]
    task = tasks.build({"name": "nback", "lag": 3})
    network = network_of("gru", task)
    broken = Network(network.architecture, {name: value * torch.nan for name, value in network.parameters.items()})
    assert ProbeMeasure(sequences=90).rows(broken, task, [0, 1], lambda: network) == [[], []]
    both_ways = network_of("gru", task, bidirectional=True)
    assert ProbeMeasure(features="full").rows(both_ways, task, [0, 1], lambda: both_ways) == [[], []]


def test_with_the_cue_at_each_lag_the_skill_ends_where_the_register_ends() -> None:
    task = tasks.build({"name": "recall", "lag": 20})
    network = network_of("shift_register", task, hidden=6 * task.inputs)  # holds lags 0 to 5
    measure = ProbeMeasure(sequences=300, lags=(1, 3, 5, 6, 20), each_lag=True)
    rows = measure.rows(network, task, [0, 1], lambda: network)[0]
    skilful = {lag: value > 0.5 for lag, value in values(rows, "skill").items()}
    assert skilful == {1: True, 3: True, 5: True, 6: False, 20: False}
    assert values(rows, "horizon") == {-1: 5.0}


def test_where_no_lag_has_anything_to_decode_the_horizon_is_unknown() -> None:
    constant = probe(delay_line(3), np.ones((60, 6, 1)))
    assert np.isnan(constant.skill).all()
    assert str(constant.horizon) == "unknown (no lag has a score)"


def test_a_lag_without_anything_to_decode_does_not_end_the_horizon() -> None:
    inputs = np.random.default_rng(0).integers(2, size=(200, 6, 1)).astype(float)
    inputs[:, 3] = 1.0  # lag 2
    found = probe(delay_line(5), inputs)
    assert np.isnan(found.skill).tolist() == [lag == 2 for lag in range(6)]
    assert found.horizon == Horizon(4, 5)
