"""Causal reach of systems with known total effects: linear systems, parity, latches, bidirectional networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from linear_systems import relu_rnn, ring
from torch import Tensor, nn

from farback import cells, inits, tasks
from farback.measures import causal_reach
from farback.measures.causal_reach import CausalReachMeasure
from farback.networks.network import Architecture, Network, draw
from farback.stats import Horizon


def leaky(decay: float, depth: int = 1) -> nn.RNN:
    module = nn.RNN(1, 1, depth, "relu", bias=False, batch_first=True)
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.fill_(decay if "hh" in name else 1 - decay)
    return module


def within(found: Any, expected: Any, errors: float = 5.0) -> bool:
    """Whether each effect lies within this number of standard errors of the expected one."""
    return bool((np.abs(found.effect - expected) <= errors * found.effect_error + 1e-9).all())


@pytest.mark.parametrize("decay", [0.9])
def test_effects_in_a_leaky_integrator_decay_with_the_square_of_its_rate(
    decay: float, rng: np.random.Generator
) -> None:
    """S_T(k) = (1 - a^2) a^2k: 0.19 at lag 0 and ratio 0.81 for a = 0.9; the sum is 1."""
    found = causal_reach(leaky(decay), rng.random((4000, 80, 1)), range(20))
    expected = (1 - decay**2) * decay ** (2.0 * np.arange(20))
    assert within(found, expected)
    assert found.effect[:5] == pytest.approx(expected[:5], abs=0.03)
    last = math.floor(math.log(0.01 / (1 - decay**2)) / math.log(decay**2))  # 13 for 0.9
    assert found.horizon.low == pytest.approx(last, abs=1)


@pytest.mark.parametrize(("decay", "depth"), [(0.7, 2)])
def test_effects_in_a_cascade_are_its_squared_impulse_response(
    decay: float, depth: int, rng: np.random.Generator
) -> None:
    response = np.array([math.comb(k + depth - 1, k) * decay**k * (1 - decay) ** depth for k in range(60)])
    found = causal_reach(leaky(decay, depth), rng.random((2000, 60, 1)), draws=2)
    assert within(found, response**2 / np.sum(response**2))
    assert found.effect.sum() == pytest.approx(1, abs=0.1)


def test_the_variance_is_summed_over_outputs(rng: np.random.Generator) -> None:
    """A ring of gain r: |h_T|^2 changes by r^2k."""
    found = causal_reach(relu_rnn(ring(4, 0.8), np.array([1.0, 0, 0, 0])), rng.random((2000, 30, 1)), range(8))
    assert within(found, 0.36 * 0.64 ** np.arange(8.0))


@pytest.mark.parametrize("bits", [1, 3])
def test_parity_depends_fully_on_each_of_its_bits(bits: int, rng: np.random.Generator) -> None:
    """S_T = 1 for each bit, so the sum is their number because of interactions."""

    def parity(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        odd = x_BTI.cumsum(1) - torch.nn.functional.pad(x_BTI, (0, 0, bits, 0))[:, : x_BTI.shape[1]].cumsum(1)
        sign = 2 * (odd % 2) - 1
        return torch.cat([-4 * sign, 4 * sign], -1), odd

    found = causal_reach(parity, rng.integers(2, size=(2000, 10, 1)), classes=True)
    assert found.effect[:bits] == pytest.approx(np.ones(bits), abs=0.12)
    assert found.effect[bits:].tolist() == [0.0] * (10 - bits)
    assert found.kl[:bits] == pytest.approx(
        np.full(bits, 4 * math.tanh(4)), rel=0.1
    )  # (p - q) times 8 nats, and half of the answers flip
    assert found.kl[bits:] == pytest.approx(np.zeros(10 - bits), abs=1e-12)
    assert found.horizon == Horizon(bits - 1, bits)


def test_a_latch_depends_only_on_its_cue(rng: np.random.Generator) -> None:
    """h = tanh(2 h + x) keeps the sign of a strong first input; weak later inputs have little effect."""
    x_BTI = 0.02 * rng.standard_normal((1000, 30, 1))
    x_BTI[:, 0, 0] = 3 * rng.choice([-1.0, 1.0], size=1000)
    module = nn.RNN(1, 1, batch_first=True, bias=False)
    with torch.no_grad():
        module.weight_hh_l0.fill_(2.0)
        module.weight_ih_l0.fill_(1.0)
    found = causal_reach(module, x_BTI)
    assert found.effect[29] == pytest.approx(1, abs=0.15)
    assert (found.effect[:29] < 1e-3).all()
    assert found.horizon == Horizon(29, math.inf)


def test_the_backward_half_of_a_bidirectional_network_depends_on_the_last_input_only(rng: np.random.Generator) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.GRU(2, 5, bidirectional=True, batch_first=True, dtype=torch.float64)
    found = causal_reach(lambda x: module(x)[0][..., 5:], rng.random((200, 8, 2)))
    assert found.effect[0] == pytest.approx(1, abs=0.3)
    assert found.effect[1:].tolist() == [0.0] * 7
    assert causal_reach(module, rng.random((200, 8, 2))).effect[1] > 0


@pytest.mark.parametrize("constant", [0.0, 0.3, 1e8])
def test_a_constant_answer_depends_on_nothing(constant: float, rng: np.random.Generator) -> None:
    found = causal_reach(lambda x: 0 * x + constant, rng.random((50, 6, 1)))
    assert found.effect.tolist() == [0.0] * 6
    assert found.horizon.low <= 0


def test_the_standard_error_equals_the_spread_of_the_estimate() -> None:
    runs = [causal_reach(leaky(0.8), np.random.default_rng(s).random((200, 30, 1)), [2], seed=s) for s in range(40)]
    effects = np.array([run.effect[0] for run in runs])
    assert np.mean([run.effect_error[0] for run in runs]) == pytest.approx(effects.std(ddof=1), rel=0.35)
    assert effects.mean() == pytest.approx(0.36 * 0.64**2, abs=4 * effects.std() / 40**0.5)


def test_resuming_from_a_state_gives_the_same_effects(rng: np.random.Generator) -> None:
    """A module resumes from a state; the same module in a plain function is run whole for every lag."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.LSTM(2, 6, 2, dtype=torch.float64)
    x_BTI = rng.random((60, 15, 2))
    step = rng.integers(9, 15, size=60)
    split = causal_reach(module, x_BTI, step=step)
    whole = causal_reach(lambda x: module(x.transpose(0, 1))[0].transpose(0, 1), x_BTI, step=step)
    assert split.effect == pytest.approx(whole.effect, rel=1e-9)


def test_a_second_argument_that_is_not_a_state_is_not_used_as_one(rng: np.random.Generator) -> None:
    def scaled(x_BTI: Tensor, scale: Any = None) -> tuple[Tensor, Tensor]:
        total = x_BTI.cumsum(1)
        return total, total

    found = causal_reach(scaled, rng.random((1500, 5, 1)))
    assert found.effect == pytest.approx(np.full(5, 0.2), abs=0.04)


def test_the_loss_increase_of_a_delay_is_known(rng: np.random.Generator) -> None:
    """The answer is the input two steps ago; after replacing it a quarter is correct by chance."""
    symbol_BT = rng.integers(4, size=(1500, 6))

    def back(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        output = 5 * torch.nn.functional.pad(x_BTI, (0, 0, 2, 0))[:, : x_BTI.shape[1]]
        return output, output

    found = causal_reach(back, np.eye(4)[symbol_BT], classes=True, targets=symbol_BT[:, -3])
    assert found.loss_increase == pytest.approx([0, 0, 3.75, 0, 0, 0], abs=0.2)
    assert np.isnan(causal_reach(back, np.eye(4)[symbol_BT]).kl).all()
    squared = causal_reach(back, np.eye(4)[symbol_BT], targets=5 * np.eye(4)[symbol_BT[:, -3]])
    assert squared.loss_increase == pytest.approx([0, 0, 0.75 * 50, 0, 0, 0], abs=2)


def test_a_sampler_replaces_other_sequences(rng: np.random.Generator) -> None:
    """Replacements of variance 4 instead of 1 change a sum of ten inputs by 5 instead of 2."""
    x_BTI = rng.standard_normal((4000, 10, 1))
    system = leaky(0.0)
    wide = causal_reach(system, x_BTI, [0], sampler=lambda r, size, lag: 2 * r.standard_normal((size, 1)))
    assert wide.effect[0] > 1.2 * causal_reach(system, x_BTI, [0]).effect[0]
    linear = causal_reach(lambda x: x.cumsum(1), x_BTI, sampler=lambda r, size, lag: 2 * r.standard_normal((size, 1)))
    assert linear.effect == pytest.approx(np.full(10, 0.25), abs=0.05)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (np.zeros((1, 5, 1)), {}, "at least two sequences"),
        (np.zeros((5, 5, 1)), {"lags": [5]}, "between 0 and 4"),
        (np.zeros((5, 5, 1)), {"lags": []}, "between 0 and 4"),
        (np.zeros((5, 5, 1)), {"step": 2, "lags": [3]}, "between 0 and 2"),
        (np.zeros((5, 5, 1)), {"step": 5}, "one of 5 steps"),
        (np.zeros((5, 5, 1)), {"step": [1, 2]}, "one for each of 5"),
        (np.zeros((5, 5, 1)), {"sampler": lambda rng, size, lag: np.zeros(size)}, r"\(5, 1\), got \(5,\)"),
    ],
)
def test_unusable_arguments_are_errors(inputs: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        causal_reach(leaky(0.5), inputs, **options)


def ring_buffer(task: Any, slots: int) -> Network:
    """Solves recall: the answer is the cue in any of its slots."""
    architecture = Architecture(cells.build("shift_register"), task.inputs, slots * task.inputs, task.answer.outputs)
    weight = torch.zeros(1, task.symbols, slots, task.inputs)
    weight[0, :, :, : task.symbols] = 8 * torch.eye(task.symbols).unsqueeze(1)
    return Network(architecture, {"readout.weight": weight.flatten(2), "readout.bias": torch.zeros(1, task.symbols)})


@pytest.mark.parametrize(("lag", "slots", "length"), [(5, 6, None), (5, 5, None), (3, 9, 9)])
def test_on_recall_only_the_lag_of_the_cue_has_an_effect(lag: int, slots: int, length: int | None) -> None:
    """A buffer that is too short depends on nothing. With a fixed length the cue moves."""
    task = tasks.build({"name": "recall", "lag": lag, "length": length})
    network = ring_buffer(task, slots)
    (rows,) = CausalReachMeasure(sequences=400, lags=(0, 1, lag)).rows(network, task, [0], lambda: network)
    effect = {row.lag: row.value for row in rows if row.statistic == "effect"}
    expected = 1.0 if slots > lag else 0.0
    assert effect[lag] == pytest.approx(expected, abs=0.15)
    assert (effect[0], effect[1]) == (0.0, 0.0)
    assert [row.value for row in rows if row.statistic == "horizon"] == [lag * expected]


def test_with_the_cue_at_each_lag_the_effect_ends_where_the_buffer_ends() -> None:
    """A buffer of six slots holds lags 0 to 5: the answer depends on the cue there, and on nothing beyond."""
    task = tasks.build({"name": "recall", "lag": 20})
    network = ring_buffer(task, 6)
    measure = CausalReachMeasure(sequences=400, lags=(1, 3, 5, 6, 20), each_lag=True)
    (rows,) = measure.rows(network, task, [0], lambda: network)
    effect = {row.lag: row.value for row in rows if row.statistic == "effect"}
    assert effect == {lag: pytest.approx(float(lag < 6), abs=0.15) for lag in (1, 3, 5, 6, 20)}
    assert [row.value for row in rows if row.statistic == "horizon"] == [5.0]


def test_a_measure_at_each_lag_refuses_a_lag_that_the_task_cannot_have() -> None:
    task = tasks.build({"name": "copy", "lag": 20})
    CausalReachMeasure(lags=(15, 20), each_lag=True).check(task)
    with pytest.raises(ValueError, match="needs a lag of 11"):
        CausalReachMeasure(lags=(5, 20), each_lag=True).check(task)


def test_default_lags_are_powers_of_two_and_the_lag_of_the_task() -> None:
    for name, kl in (("nback", True), ("adding", False)):
        task = tasks.build({"name": name, "lag": 5})
        network = draw(
            Architecture(cells.build("gru"), task.inputs, 8, task.answer.outputs), [inits.build("torch")] * 2, [4, 5], 5
        )
        measure = CausalReachMeasure(sequences=50)
        packed = measure.rows(network, task, [4, 5], lambda: None)
        alone = [measure.rows(network.replica(r), task, [4 + r], lambda: None)[0] for r in range(2)]
        assert repr(alone) == repr(packed)
        lags = {row.lag for row in packed[0] if row.statistic == "effect"}
        assert lags == {0, 1, 2, 4, 5, 8} | ({16} if name == "nback" else set())
        assert all(math.isfinite(row.value) is kl for row in packed[0] if row.statistic == "kl")


def test_the_reach_of_a_network_whose_answers_are_not_numbers_is_unknown() -> None:
    task = tasks.build({"name": "recall", "lag": 5})
    network = draw(Architecture(cells.build("gru"), task.inputs, 4, 4), [inits.build("torch")], [0], 5)
    broken = Network(network.architecture, {name: value * math.nan for name, value in network.parameters.items()})
    found = causal_reach(broken, task.sample(np.random.default_rng(0), 20).input_BTI)
    assert str(found.horizon) == "unknown (no lag has a score)"
    (horizon,) = [row.value for row in CausalReachMeasure().network_rows(broken, task, 0) if row.statistic == "horizon"]
    assert math.isnan(horizon)
