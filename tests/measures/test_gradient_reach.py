"""Gradient reach of systems with known gradients: orthogonal, leaky, gated, non-normal, default and latch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from known_systems import cascade, constant_gate, latch, orthogonal, rnn, seeded, shift_register
from torch import Tensor, nn

from farback import cells, inits, tasks
from farback.measures import gradient_reach
from farback.measures.gradient_reach import GradientReachMeasure
from farback.networks.network import Architecture, Network, draw
from farback.system.random_streams import stream

ONES, ZEROS, TORCH = torch.ones, torch.zeros, inits.build("torch")
KNOWN = {0.9: (9.491222, 6.578813, 7, 65), 0.95: (19.495726, 13.513407, 14, 134), 0.99: (99.499162, 68.967564, 69, 687)}


@pytest.mark.parametrize(("rho", "units"), [(0.9, 64), (0.95, 8), (0.99, 8), (0.97, 1)])
def test_a_scaled_orthogonal_network_decays_by_rho_per_step(rho: float, units: int) -> None:
    """At any width, over the steps of its whole reach."""
    rate = -math.log(rho)
    reach = math.floor(math.log(1e3) / rate)
    found = gradient_reach(rnn(rho * orthogonal(units)), ZEROS(reach + 10, 1))
    np.testing.assert_allclose(found.ratio, rho**found.lag, rtol=1e-10)
    assert found.tau == pytest.approx(1 / rate, rel=1e-10)
    assert found.half_life == pytest.approx(math.log(2) / rate, rel=1e-10)
    assert found.half_life_steps == math.ceil(math.log(2) / rate)
    assert found.reach(1e-3) == reach
    assert (found.law, found.error, found.precision) == ("exponential", 0.0, "float64")
    if rho in KNOWN:
        numbers = (found.tau, found.half_life, found.half_life_steps, found.reach())
        assert numbers == pytest.approx(KNOWN[rho], abs=1e-6)


@pytest.mark.parametrize("rho", [1.0, 1.02])
def test_without_decay_the_reach_is_infinite_and_with_growth_it_explodes(rho: float) -> None:
    found = gradient_reach(rnn(rho * orthogonal(16)), ZEROS(100, 1))
    assert found.reach() == math.inf
    assert found.half_life == math.inf
    assert found.law == "none"
    assert found.exploding is (rho > 1)
    assert found.tau == math.inf if rho == 1 else math.isnan(found.tau)
    assert found.slope == pytest.approx(math.log(rho), abs=1e-12)


@pytest.mark.parametrize("units", [3])
def test_a_register_has_a_gradient_up_to_its_length_and_exactly_zero_beyond(units: int) -> None:
    found = gradient_reach(shift_register(units), ONES(30, 1))
    assert found.ratio == pytest.approx([1.0] * units + [0.0] * (30 - units))
    assert found.reach() == units - 1
    assert found.half_life == units
    assert found.status == ["measured"] * units + ["zero"] * (30 - units)
    assert math.isnan(found.tau)


@pytest.mark.parametrize(("decay", "depth"), [(0.75, 1), (0.9, 3)])
def test_depth_adds_delay_and_keeps_the_rate_of_the_tail(decay: float, depth: int) -> None:
    found = gradient_reach(cascade(decay, depth), ONES(1000, 1))
    exact = [math.comb(k + depth - 1, k) * decay**k * (1 - decay) ** depth for k in range(1000)]
    np.testing.assert_allclose(found.norm, exact, rtol=1e-11)
    mean = float((found.lag * found.norm).sum())
    assert found.norm.sum() == pytest.approx(1.0)
    assert mean == pytest.approx(depth * decay / (1 - decay))
    assert float(((found.lag - mean) ** 2 * found.norm).sum()) == pytest.approx(depth * decay / (1 - decay) ** 2)
    assert (
        found.lag[found.norm.argmax()] in (math.floor((depth - 1) * decay / (1 - decay)) - np.arange(2)) or depth == 1
    )
    late = gradient_reach(cascade(decay, depth), ONES(1000, 1), window=(900, None))
    assert late.slope == pytest.approx(math.log(decay), abs=1.1 * (depth - 1) / 900 + 1e-12)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_a_constant_gate_keeps_the_same_share_at_every_step(kind: Any, bias: float) -> None:
    keep = 1 / (1 + math.exp(-bias))
    found = gradient_reach(constant_gate(kind, keep), ZEROS(60, 1))
    np.testing.assert_allclose(found.ratio, keep**found.lag, rtol=1e-10)
    assert found.norm[0] == pytest.approx(0.25 if kind is nn.LSTM else 1 - keep)
    assert found.tau == pytest.approx(-1 / math.log(keep))
    numbers = {0.0: (1.442695, 1.0), 1.0: (3.192219, 2.212678)}
    if bias in numbers:
        assert (found.tau, found.half_life) == pytest.approx(numbers[bias], abs=1e-6)


def uniform_gates(units: int) -> nn.RNN:
    """Units whose decay rates are spread evenly over (0, 1), with the same input."""
    return rnn(torch.diag((torch.arange(units) + 0.5) / units), ONES(units, 1))


def test_evenly_spread_gates_decay_by_a_power_law_without_time_constant() -> None:
    units = 200
    found = gradient_reach(uniform_gates(units), ZEROS(120, 1), loss=lambda output, state: output[:, -1].mean(-1))
    assert found.ratio[[1, 9, 99]] == pytest.approx([0.5, 0.1, 0.01], rel=2e-2)
    assert found.law == "power"
    assert math.isnan(found.tau)
    whole = gradient_reach(uniform_gates(units), ZEROS(120, 1))
    assert whole.ratio == pytest.approx(1 / np.sqrt(2 * whole.lag + 1), rel=5e-2)
    assert whole.law == "power"


def test_reach_and_half_life_come_after_a_hump() -> None:
    module = rnn([[0.9, 1.0], [0.0, 0.9]], torch.eye(2))
    found = gradient_reach(module, ZEROS(400, 2))
    c = found.lag * 0.9 ** (found.lag - 1.0)
    frobenius = np.sqrt(2 * 0.81**found.lag + c**2)
    np.testing.assert_allclose(found.norm, frobenius, rtol=1e-10)
    first = int(np.flatnonzero(frobenius / frobenius[0] <= 0.5)[0])
    assert found.half_life_steps == first
    assert found.reach(0.5) == first - 1
    assert found.half_life > 4 * -math.log(2) / math.log(0.9)
    assert found.reach() == np.flatnonzero(frobenius / frobenius[0] >= 1e-3)[-1]


@pytest.mark.parametrize(("nonlinearity", "rate", "tolerance"), [("tanh", 3, 0.08), ("relu", 6, 0.15)])
@pytest.mark.parametrize("hidden", [64])
def test_the_default_of_pytorch_has_a_short_reach_and_relu_a_shorter_one(
    nonlinearity: str, rate: float, tolerance: float, hidden: int
) -> None:
    """The mean square falls by 3 (tanh at zero) or 6 (relu, with half of its units on) per step."""
    tau = [
        gradient_reach(seeded(nn.RNN, 1, hidden, nonlinearity=nonlinearity, seed=seed), ZEROS(25, 1)).tau
        for seed in range(5)
    ]
    assert np.mean(tau) == pytest.approx(2 / math.log(rate), rel=tolerance)


@pytest.mark.parametrize("weight", [2.0])
def test_a_latch_keeps_its_value_and_loses_its_gradient(weight: float) -> None:
    module, held = latch(weight)
    x = ZEROS(40, 1)
    x[0] = math.atanh(held)
    slope = weight * (1 - held**2)
    found = gradient_reach(module, x)
    assert module(x.double().unsqueeze(0))[0][0, -1].item() == pytest.approx(held)
    assert found.tau == pytest.approx(-1 / math.log(slope), rel=1e-6)
    assert found.half_life == pytest.approx(-math.log(2) / math.log(slope), rel=1e-6)
    if weight == 2.0:
        assert (held, slope) == pytest.approx((0.957504, 0.166372), abs=1e-6)
        assert (found.tau, found.half_life) == pytest.approx((0.557560, 0.386471), abs=1e-6)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_the_backward_half_of_the_last_output_depends_on_the_last_input_only(kind: Any) -> None:
    hidden = 4
    module = seeded(kind, 3, hidden, bidirectional=True)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 9, 3)))
    backward = gradient_reach(module, x, loss=lambda output, state: output[:, -1, hidden:].sum(-1))
    forward = gradient_reach(module, x, loss=lambda output, state: output[:, -1, :hidden].sum(-1))
    assert backward.status == ["measured"] + ["zero"] * 8
    assert (backward.reach(), backward.half_life) == (0, 1)
    assert forward.status == ["measured"] * 9
    output, last = module(x.float())
    h_n = last[0] if kind is nn.LSTM else last
    assert torch.equal(output[:, -1, :hidden], h_n[-2])
    assert torch.equal(output[:, 0, hidden:], h_n[-1])
    assert not torch.allclose(output[:, -1, hidden:], h_n[-1])


def test_a_leaky_cell_decays_at_its_rate() -> None:
    network = draw(Architecture(cells.build({"name": "leaky_integrator", "decay": 0.9}), 1, 3, 0), [TORCH], [0], 5)
    found = gradient_reach(network, ONES(40, 1))
    assert found.ratio == pytest.approx(0.9**found.lag)
    assert found.tau == pytest.approx(9.491222, abs=1e-6)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_the_gradient_equals_central_differences(kind: Any) -> None:
    module, x = seeded(kind, 2, 5, 2).double(), torch.from_numpy(np.random.default_rng(3).standard_normal((1, 6, 2)))
    found = gradient_reach(module, x)
    for lag in range(6):
        square = 0.0
        for i in range(2):
            step = torch.zeros_like(x)
            step[0, 5 - lag, i] = 1e-6
            with torch.no_grad():
                square += float(((module(x + step)[0] - module(x - step)[0])[0, -1] / 2e-6).square().sum())
        assert found.norm[lag] == pytest.approx(math.sqrt(square), rel=1e-6)


def test_projections_of_a_large_state_estimate_the_exact_gradient() -> None:
    """Over many seeds: no bias, and a spread within the stated error."""
    module, x = seeded(nn.GRU, 2, 40), torch.from_numpy(np.random.default_rng(3).standard_normal((4, 8, 2)))
    exact = gradient_reach(module, x)
    drawn = [gradient_reach(module, x, probes=10, seed=seed) for seed in range(40)]
    error = np.array([found.log_norm - exact.log_norm for found in drawn])
    assert exact.error == 0
    assert np.abs(error.mean(0)).max() < 0.08
    assert error.std() < drawn[0].error
    assert not np.array_equal(error[0], error[1])
    assert np.array_equal(drawn[0].log_norm, gradient_reach(module, x, probes=10).log_norm)


def test_a_float32_underflow_is_not_a_true_zero() -> None:
    """A closure in single precision underflows at 1e-38, a module in double precision at 1e-308."""
    module = rnn([[0.5]], [[1.0]]).float()
    narrow = gradient_reach(lambda x: module(x), ZEROS(300, 1))
    wide = gradient_reach(module, ZEROS(300, 1))
    assert narrow.precision == "float32"
    assert set(narrow.status) == {"measured", "underflow"}
    assert 70 < narrow.status.index("underflow") <= 127
    assert narrow.tau == pytest.approx(1 / math.log(2), rel=1e-5)
    assert set(wide.status) == {"measured"}
    deep = gradient_reach(module, ZEROS(1200, 1))
    assert deep.status[-1] == "underflow"
    assert deep.tau == pytest.approx(1 / math.log(2), rel=1e-9)


def test_an_overflow_is_nonfinite_and_exploding() -> None:
    found = gradient_reach(rnn([[3.0]], [[1.0]], "relu"), 1e-300 * ONES(700, 1, dtype=torch.float64))
    assert found.status[0] == "measured"
    assert found.status[-1] == "nonfinite"
    assert found.exploding
    assert found.slope == pytest.approx(math.log(3))


class OwnCell(nn.Module):
    """A user's module in single precision: h' = h + step (tanh(W x + U h) - h)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.w, self.u = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = x.new_zeros(len(x), self.u.in_features)
        states = []
        for t in range(x.shape[1]):
            h = h + 0.25 * (torch.tanh(self.w(x[:, t]) + self.u(h)) - h)
            states.append(h)
        return torch.stack(states, 1), torch.stack(states, 1)


def test_a_user_module_is_measured_and_left_unchanged() -> None:
    with torch.random.fork_rng():
        own = OwnCell(2, 6)
    with torch.no_grad():
        own.u.weight.zero_()
        own.w.bias.zero_()
    found = gradient_reach(own, ZEROS(3, 40, 2))
    assert found.tau == pytest.approx(-1 / math.log(0.75))
    assert found.precision == "float64"
    assert own.w.weight.dtype is torch.float32
    assert own.w.weight.grad is None


def test_a_system_that_ignores_its_inputs_has_gradient_zero() -> None:
    for system in (lambda x: torch.ones(*x.shape[:2], 2), lambda x: 0 * x):
        found = gradient_reach(system, ONES(5, 1))
        assert found.status == ["zero"] * 5
        assert found.law == "none"
        assert math.isnan(found.tau)
        assert math.isnan(found.reach())


def test_a_diverged_network_has_status_nonfinite() -> None:
    module = rnn([[math.nan]])
    found = gradient_reach(module, ONES(8, 1))
    assert found.status == ["nonfinite"] * 8
    assert np.isnan(found.log_norm).all()


def net(name: str, task: Any, replicas: int = 1, **options: Any) -> Network:
    architecture = Architecture(cells.build(name), task.inputs, 6, task.answer.outputs, **options)
    return draw(architecture, [TORCH] * replicas, list(range(replicas)), task.lag)


def test_with_a_task_the_loss_is_taken_at_the_last_asked_step_of_each_sequence() -> None:
    """With moving cues, lags count from each sequence's own readout step."""
    task = tasks.build({"name": "recall", "lag": 4, "length": 9})
    network = net("gru", task).to(torch.float64)
    found = gradient_reach(network, task=task, sequences=12, seed=7)
    batch = task.sample(stream(7, "test", "gradient_reach", 4), 12)
    logs: list[list[float]] = [[] for _ in range(9)]
    for b in range(12):
        last = int(batch.lag_BT[b].argmax())
        x = batch.input_BTI[b : b + 1].double().requires_grad_()
        h = network.run(x.transpose(0, 1).unsqueeze(0))[0][0, last]
        loss = nn.functional.cross_entropy(network.readout(h.unsqueeze(0))[0], batch.target_BT[b, last : last + 1])
        (grad,) = torch.autograd.grad(loss, x)
        for lag in range(last + 1):
            logs[lag].append(float(grad[0, last - lag].norm().log()))
    assert found.log_norm == pytest.approx([np.mean(part) for part in logs if part], rel=1e-9)
    assert len({len(part) for part in logs}) > 2


def test_rows_of_a_replica_do_not_depend_on_the_others() -> None:
    task = tasks.build({"name": "recall", "lag": 6})
    network = net("lstm", task, 3)
    for measure in (GradientReachMeasure(sequences=5), GradientReachMeasure(sequences=5, of="state")):
        packed = measure.rows(network, task, [4, 5, 6], lambda: network)
        assert packed[0] != packed[1]
        for r, seed in enumerate([4, 5, 6]):
            alone = measure.rows(network.replica(r), task, [seed], lambda: network)[0]
            assert [(row.lag, row.statistic, repr(row.value)) for row in alone] == [
                (row.lag, row.statistic, repr(row.value)) for row in packed[r]
            ]
        by_lag = {(row.lag, row.statistic) for row in packed[0] if row.lag >= 0}
        assert by_lag == {(lag, name) for lag in range(7) for name in ("log10", "log10_low", "log10_high")}
        assert {row.statistic for row in packed[0] if row.lag < 0} == set(measure.live(packed[0]))
        assert set(measure.live(packed[0])) == {"tau", "half_life", "reach", "slope", "exploding", "law"}


def test_the_measure_agrees_with_the_function() -> None:
    task = tasks.build({"name": "recall", "lag": 30})
    network = net("elman", task)
    rows = GradientReachMeasure().rows(network, task, [3], lambda: network)[0]
    found = gradient_reach(network, task=task, seed=3)
    values = {(row.lag, row.statistic): row.value for row in rows}
    assert [values[lag, "log10"] for lag in range(31)] == pytest.approx(found.log_norm / math.log(10))
    assert values[-1, "tau"] == found.tau
    assert values[-1, "reach"] == found.reach(1e-3)
    assert values[-1, "law"] == {"none": 0, "exponential": 1, "power": 2}[found.law]


def test_a_longer_sequence_shows_more_lags() -> None:
    task = tasks.build({"name": "recall", "lag": 3})
    network = net("gru", task, bidirectional=True)
    rows = GradientReachMeasure(sequences=4, length=25).rows(network, task, [0], lambda: network)[0]
    assert max(row.lag for row in rows) == 25
    with pytest.raises(ValueError, match="leaves no room"):
        GradientReachMeasure(length=25).check(tasks.build({"name": "recall", "lag": 3, "length": 9}))


def test_every_task_can_be_measured(every_task: Any) -> None:
    task = every_task.at(max(every_task.lag, 8))
    network = net("gru", task)
    rows = GradientReachMeasure(sequences=3).rows(network, task, [0], lambda: network)[0]
    assert any(row.statistic == "log10" and math.isfinite(row.value) for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either inputs .* or a task"),
        ({"inputs": ONES(4, 3), "task": tasks.build("recall")}, "either inputs .* or a task"),
        ({"inputs": ONES(4, 2)}, "takes 3 inputs per step, got 2"),
        ({"inputs": ONES(4, 3), "probes": 0}, "probes.* must be at least 1"),
        ({"inputs": ONES(4, 3), "loss": lambda output, state: output}, r"one per sequence; got shape \(1, 4, 5\)"),
        ({"inputs": ONES(4, 3), "window": (4, 2)}, "window must be"),
    ],
    ids=range(6),
)
def test_unusable_arguments_are_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gradient_reach(nn.GRU(3, 5), **arguments)


def test_a_task_needs_its_number_of_outputs() -> None:
    task = tasks.build("recall")
    with pytest.raises(ValueError, match="recall needs 4 outputs, the system has 5"):
        gradient_reach(nn.GRU(task.inputs, 5), task=task)


def test_global_generators_are_unchanged(global_generators_untouched: Any) -> None:
    module = seeded(nn.GRU, 2, 6)
    with global_generators_untouched():
        gradient_reach(module, ONES(6, 2), probes=3)
