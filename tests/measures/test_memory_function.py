"""The memory function from simulated states: closed forms with torch modules, and independent states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from linear_systems import driven, first, relu_rnn, ring, shift
from torch import nn

from farback import cells, inits, tasks
from farback.measures import linear_memory_function, memory_function
from farback.measures.memory_function import MemoryFunctionMeasure
from farback.networks.network import Architecture, Network, draw


@pytest.mark.parametrize(("size", "max_lag"), [(8, 19)])
def test_a_shift_register_in_a_plain_relu_rnn(size: int, max_lag: int, rng: np.random.Generator) -> None:
    """The lags beyond its length sum to 0; unadjusted R2 would sum to N (lags) / (T - 1)."""
    input_T = rng.uniform(0, 1, 19_900 + max_lag)
    found = memory_function(input_T, driven(relu_rnn(shift(size), first(size)), input_T), max_lag)
    assert found.samples == 19_900
    assert found.r2[:size] == pytest.approx(np.ones(size), abs=1e-12)
    assert found.total(size) == pytest.approx(0, abs=0.02)
    assert found.total() == pytest.approx(size, abs=0.02)
    assert found.total(1) == pytest.approx(size - 1, abs=0.02)
    assert (found.half, found.features) == (size - 1, size)


@pytest.mark.parametrize(
    ("W", "w"),
    [
        (ring(6, 0.8), first(6)),
        (0.7 * np.eye(3), np.array([0.2, 0.5, 0.3])),
        (np.diag([0.1, 0.5, 0.8, 0.93]), np.full(4, 0.1)),
    ],
    ids=["ring", "units alike", "leaky units"],
)
def test_simulation_agrees_with_the_exact_function(W: Any, w: Any, rng: np.random.Generator) -> None:
    """A ring, equal units and leaky units in a plain module: each lag within five standard errors of R2."""
    exact = linear_memory_function(W, w, 40)
    input_T = rng.uniform(0, 1, 20_000)
    found = memory_function(input_T, driven(relu_rnn(W, w), input_T), 40, washout=200)
    spread = 2 * np.sqrt(exact.r2) * (1 - exact.r2) / np.sqrt(found.samples)
    assert (np.abs(found.r2 - exact.r2) < 5 * spread + 2e-3).all()
    assert found.total() == pytest.approx(exact.total(), abs=0.1)
    assert found.features == exact.features


@pytest.mark.parametrize(("size", "steps", "max_lag"), [(100, 2000, 200)])
def test_independent_states_have_total_zero(size: int, steps: int, max_lag: int, rng: np.random.Generator) -> None:
    input_T, state_TN = rng.normal(size=steps + max_lag), rng.normal(size=(steps + max_lag, size))
    found = memory_function(input_T, state_TN, max_lag)
    naive = 1 - (1 - found.r2) * (steps - size - 1) / (steps - 1)
    assert naive.sum() == pytest.approx((max_lag + 1) * size / (steps - 1), rel=0.1)  # 10.055
    assert found.total() == pytest.approx(0, abs=0.5)
    assert (found.r2 < 0).any()  # not clipped


def test_the_null_interval_covers_95_percent_of_independent_lags() -> None:
    inside = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = memory_function(rng.uniform(size=400), rng.normal(size=(400, 12)), 50)
        inside.append((found.null_low <= found.r2) & (found.r2 <= found.null_high))
    assert np.mean(inside) == pytest.approx(0.95, abs=5 * np.sqrt(0.95 * 0.05 / (30 * 51)))
    assert (found.null_low < 0).all()
    assert (found.null_high > 0).all()


def test_the_null_interval_equals_the_quantiles_of_simulated_r2(rng: np.random.Generator) -> None:
    """Least squares on 4000 independent targets."""
    state_TN, target_TK = rng.normal(size=(60, 7)), rng.normal(size=(60, 4000))
    design = np.column_stack([np.ones(60), state_TN])
    residual = target_TK - design @ np.linalg.lstsq(design, target_TK, rcond=None)[0]
    r2 = 1 - np.square(residual).sum(0) / np.square(target_TK - target_TK.mean(0)).sum(0)
    expected = np.quantile(1 - (1 - r2) * 59 / 52, [0.025, 0.975])
    found = memory_function(rng.normal(size=60), state_TN, 0)
    assert (found.null_low[0], found.null_high[0]) == pytest.approx(tuple(expected), abs=0.02)


def test_adjusted_r2_equals_least_squares(rng: np.random.Generator) -> None:
    input_T = rng.normal(size=80)
    state_TN = rng.normal(size=(80, 3)) + 0.5 * np.roll(input_T, 2)[:, None]
    found = memory_function(input_T, state_TN, 4)
    for k in range(5):
        design = np.column_stack([np.ones(76), state_TN[4:]])
        target = input_T[4 - k : 80 - k]
        left = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
        assert found.r2[k] == pytest.approx(1 - left @ left / 72 / target.var(ddof=1), abs=1e-12)


def test_directions_a_billion_times_smaller_are_kept(rng: np.random.Generator) -> None:
    """Four delays, in coordinates for which the normal equations are singular in double precision."""
    input_T = rng.normal(size=3000)
    delays = np.stack([np.roll(input_T, k) for k in range(4)], 1)
    mixed = np.cumsum(delays * 10.0 ** -np.arange(0, 12, 3), 1) * [1.0, 1e-8, 1e8, 1.0]
    found = memory_function(input_T, mixed, 8)
    assert found.features == 4
    assert found.r2[:4] == pytest.approx(np.ones(4), abs=1e-6)
    assert np.abs(found.r2[4:]).max() < 0.02


def test_linearly_dependent_components_count_once(rng: np.random.Generator) -> None:
    input_T = rng.normal(size=500)
    state_TN = np.stack([input_T, np.roll(input_T, 1)], 1)
    twice = np.column_stack([state_TN, state_TN.sum(1), 3 - state_TN[:, 0], np.full(500, 0.1)])
    plain, found = memory_function(input_T, state_TN, 5), memory_function(input_T, twice, 5)
    assert found.features == 2
    assert found.r2 == pytest.approx(plain.r2, abs=1e-12)


def test_a_constant_state_remembers_nothing(rng: np.random.Generator) -> None:
    found = memory_function(rng.normal(size=50), np.full((50, 3), 0.3), 4)
    assert found.r2.tolist() == [0.0] * 5
    assert (found.features, found.half) == (0, -1)


def test_steps_of_the_washout_have_no_effect(rng: np.random.Generator) -> None:
    input_T, state_TN = rng.normal(size=300), rng.normal(size=(300, 4))
    spoiled = state_TN.copy()
    spoiled[:50] = 1e6
    whole, cut = memory_function(input_T, spoiled, 6, washout=50), memory_function(input_T[50:], state_TN[50:], 6)
    assert np.array_equal(whole.r2, cut.r2)


def test_tensors_are_accepted() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module, input_T = nn.LSTM(1, 24, batch_first=True), torch.rand(4000) * 2 - 1
    with torch.no_grad():
        states = module(input_T[None, :, None])[0][0]
    found = memory_function(input_T, states, 60)
    assert found.r2[0] > 0.99
    assert found.r2[0] >= found.r2[5] >= found.r2[20]
    assert abs(found.r2[40:].mean()) < 0.005


@pytest.mark.parametrize(
    ("inputs", "states", "arguments", "message"),
    [
        (np.arange(9.0), np.zeros((8, 2)), (2,), "9 inputs and 8 states"),
        (np.zeros((9, 2)), np.zeros((9, 2)), (2,), r"inputs must have 1 axes, got shape \(9, 2\)"),
        (np.arange(9.0), np.zeros(9), (2,), "states must have 2 axes"),
        (np.arange(9.0), np.full((9, 2), np.inf), (2,), "states must be finite; 18 values are not"),
        (np.arange(9.0), np.zeros((9, 2)), (9,), "9 steps leave no samples"),
        (np.arange(9.0), np.zeros((9, 2)), (2, 7), "9 steps leave no samples"),
        (np.arange(9.0), np.zeros((9, 6)), (2,), "7 samples are too few to fit 6"),
        (np.ones(9), np.zeros((9, 2)), (2,), "constant at 1"),
        (np.arange(9.0), np.zeros((9, 2)), (-1,), "0 or more"),
    ],
)
def test_unusable_signals_are_errors(inputs: Any, states: Any, arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        memory_function(inputs, states, *arguments)


def network_of(cell: Any, inputs: int = 2, hidden: int = 8, **fields: Any) -> Network:
    architecture = Architecture(cells.build(cell), inputs, hidden, 1, **fields)
    return draw(architecture, [inits.build("torch")] * 2, [4, 5], 5)


def statistic(rows: Any, name: str) -> Any:
    return [row.value for row in rows if row.statistic == name]


@pytest.mark.parametrize("decay", [0.9])
def test_the_measure_of_a_leaky_integrator_decays_with_the_square_of_its_rate(decay: float) -> None:
    """MC_k = (1 - a^2) a^2k: ratio 0.81 for a = 0.9."""
    network = network_of({"name": "leaky_integrator", "decay": decay}, hidden=1)
    measure = MemoryFunctionMeasure(length=20_000, max_lag=12)
    rows = measure.rows(network, tasks.build("adding"), [0, 1], lambda: network)
    expected = (1 - decay**2) * decay ** (2 * np.arange(13))
    assert statistic(rows[0], "r2") == pytest.approx(expected, abs=0.02)


def test_the_rows_of_the_measure() -> None:
    network = network_of("shift_register")
    measure = MemoryFunctionMeasure(length=500, max_lag=10, washout=5)
    rows = measure.rows(network, tasks.build("adding"), [0, 1], lambda: network)[0]
    curves = {row.statistic for row in rows if row.lag >= 0}
    assert curves == {"r2", "null_low", "null_high"}
    alone = {row.statistic: row.value for row in rows if row.lag < 0}
    assert alone.keys() == {"total", "total_from_1", "half", "features"}
    assert (alone["half"], alone["features"]) == (
        3.0,
        4.0,
    )  # four of eight units, as only one of two channels is driven
    assert alone["total"] - alone["total_from_1"] == pytest.approx(1.0)


def test_rows_of_a_replica_do_not_depend_on_the_others() -> None:
    network, task = network_of("gru"), tasks.build("adding")
    measure = MemoryFunctionMeasure(length=300, max_lag=5)
    packed = measure.rows(network, task, [4, 5], lambda: network)
    assert [measure.rows(network.replica(r), task, [4 + r], lambda: network)[0] for r in range(2)] == packed


@pytest.mark.parametrize(("cell", "depth", "full"), [("lstm", 2, 32)])
def test_the_full_state_has_every_layer_and_part(cell: str, depth: int, full: int) -> None:
    network, task = network_of(cell, depth=depth), tasks.build("adding")
    for features, count in (("h", 8), ("full", full)):
        measure = MemoryFunctionMeasure.model_validate({"length": 300, "max_lag": 5, "features": features})
        rows = measure.rows(network, task, [0, 1], lambda: network)[0]
        assert statistic(rows, "features") == [count]


def test_networks_that_diverge_or_have_no_full_state_have_no_rows() -> None:
    network, task = network_of({"name": "elman", "nonlinearity": "relu"}), tasks.build("adding")
    exploding = Network(network.architecture, {name: 50 * value.abs() for name, value in network.parameters.items()})
    assert MemoryFunctionMeasure().rows(exploding, task, [0, 1], lambda: network) == [[], []]
    both_ways = network_of("gru", bidirectional=True)
    assert MemoryFunctionMeasure(features="full").rows(both_ways, task, [0, 1], lambda: network) == [[], []]
    assert MemoryFunctionMeasure(length=300).rows(both_ways, task, [0, 1], lambda: network)[0]


def test_the_channel_must_be_one_of_the_task(
    global_generators_untouched: Callable[[], Any],
) -> None:
    task, network = tasks.build("adding"), network_of("gru")
    with pytest.raises(ValueError, match="channel is 3, but adding has only inputs 0 to 1"):
        MemoryFunctionMeasure(channel=3).check(task)
    with global_generators_untouched():
        zeroth, first = (MemoryFunctionMeasure(length=200, max_lag=3, channel=c) for c in (0, 1))
        assert zeroth.rows(network, task, [0, 1], lambda: network) != first.rows(network, task, [0, 1], lambda: network)
