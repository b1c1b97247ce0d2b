"""Gate time constants: constant gates, a leaky integrator, two bias vectors, and which gate keeps."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from known_systems import constant_gate, seeded
from torch import Tensor, nn

from farback import cells, inits, tasks
from farback.cells.base import Cell, SteppedCell, linear, sigmoid
from farback.measures import gate_times
from farback.measures.gate_times import GateTimesMeasure
from farback.measures.support.jacobians import jacobian, state_trajectory
from farback.networks.network import Architecture, draw, from_torch

KNOWN = {0.0: (1.442695, 1.0, 2.0), 1.0: (3.192219, 2.212678, 3.718282), math.log(99): (99.499162, 68.967564, 100.0)}
X = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 8, 2)))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("bias", [*KNOWN, -1.3, 20.0])
def test_a_constant_gate_has_the_time_constants_of_its_bias(kind: Any, bias: float) -> None:
    """For any inputs; the chrono time is exactly 1 + e^b."""
    found = gate_times(constant_gate(kind, 1 / (1 + math.exp(-bias)), hidden=3), X[..., :1])
    assert found.tau == pytest.approx([1 / math.log1p(math.exp(-bias))] * 3, rel=1e-6)
    assert found.half_life == pytest.approx(math.log(2) * found.tau)
    assert found.chrono == pytest.approx([1 + math.exp(bias)] * 3, rel=1e-6)
    if bias in KNOWN:
        assert (found.tau[0], found.half_life[0], found.chrono[0]) == pytest.approx(KNOWN[bias], abs=1e-5)


def test_two_biases_filled_with_one_are_a_forget_bias_of_two() -> None:
    module = constant_gate(nn.LSTM, 0.5)
    with torch.no_grad():
        module.bias_ih_l0[1], module.bias_hh_l0[1] = 1.0, 1.0
    assert gate_times(module, X[..., :1]).chrono == pytest.approx([1 + math.exp(2)])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_gates_of_every_layer_follow_the_equations(kind: Any, bidirectional: bool) -> None:
    """ln of the sigmoid of the gate's rows, from the states of the module at every step."""
    H, depth = 4, 2
    module = seeded(kind, 2, H, depth, bidirectional=bidirectional).double()
    found = gate_times(module, X)
    directions = ["", "_reverse"] if bidirectional else [""]
    below, logs = X, []
    for layer in range(depth):
        suffixes = [f"_l{layer}{direction}" for direction in directions]
        single = kind(below.shape[-1], H, batch_first=True, bidirectional=bidirectional).double()
        single.load_state_dict(
            {name.replace(f"_l{layer}", "_l0"): v for name, v in module.state_dict().items() if f"_l{layer}" in name}
        )
        output = single(below)[0].detach()
        for index, suffix in enumerate(suffixes):
            h = output[..., index * H : (index + 1) * H]
            shift = torch.zeros_like(h)
            if index:
                shift[:, :-1] = h[:, 1:]
            else:
                shift[:, 1:] = h[:, :-1]
            w = {name: getattr(module, name + suffix)[H : 2 * H] for name in ("weight_ih", "weight_hh")}
            b = getattr(module, f"bias_ih{suffix}")[H : 2 * H] + getattr(module, f"bias_hh{suffix}")[H : 2 * H]
            gate = torch.sigmoid(below @ w["weight_ih"].T + shift @ w["weight_hh"].T + b)
            logs.append(gate.log().mean((0, 1)).detach())
        below = output
    np.testing.assert_allclose(found.log_keep, torch.cat(logs).numpy(), rtol=1e-9)
    assert found.layer.tolist() == [layer for layer in range(depth) for _ in range(H * len(directions))]
    np.testing.assert_allclose(gate_times(from_torch(module), X).tau, found.tau, rtol=1e-12)


def test_the_mean_is_geometric() -> None:
    """The gate depends on the input: it keeps 0.9 in half of the steps and 0.1 in the other half."""
    module = constant_gate(nn.LSTM, 0.5)
    with torch.no_grad():
        module.weight_ih_l0[1] = 1.0
    x = math.log(9) * torch.tensor([1.0, -1.0]).repeat(20).view(40, 1)
    assert gate_times(module, x).keep == pytest.approx([0.3], rel=1e-6)


def test_a_leaky_cell_has_the_time_constant_of_its_decay() -> None:
    cell = cells.build({"name": "leaky_integrator", "decay": 0.9})
    network = draw(Architecture(cell, 2, 4, 0), [inits.build("torch")], [0], 5)
    assert gate_times(network, X).tau == pytest.approx([9.491222] * 4, abs=1e-6)


class Writer(SteppedCell):
    """h' = (1 - z) h + z x with z = sigmoid(b): z writes, as in minGRU."""

    gates: ClassVar[tuple[str, ...]] = ("z", "c")
    write: ClassVar[str | None] = "z"

    def parameters(self, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        return {"weight_ih": (2 * hidden, inputs), "bias_ih": (2 * hidden,)}

    def project(self, p: Any, x_RTBI: Tensor) -> Tensor:
        return linear(x_RTBI, p["weight_ih"], p.get("bias_ih"))

    def step(self, p: Any, gates_RBG: Tensor, state: Any) -> Any:
        z, c = gates_RBG.chunk(2, -1)
        return (state[0] + sigmoid(z) * (c - state[0]),)


def test_a_write_gate_keeps_one_minus_its_value() -> None:
    network = draw(Architecture(Writer(), 1, 2, 0), [inits.build("torch")], [0], 5)
    network.parameters["weight_ih_l0"][:] = 0.0
    network.parameters["bias_ih_l0"][:] = math.log(1 / 9)  # writes 0.1
    assert gate_times(network, X[..., :1]).keep == pytest.approx([0.9, 0.9], rel=1e-6)


def test_gates_that_keep_everything_and_nothing() -> None:
    module = constant_gate(nn.GRU, 0.5, hidden=2)
    with torch.no_grad():
        module.bias_ih_l0[2:4] = torch.tensor([800.0, -1e9])
    found = gate_times(module, X[..., :1])
    assert found.tau[0] == math.inf
    assert found.tau[1] == pytest.approx(1e-9)
    assert found.chrono.tolist() == [math.inf, 1.0]


def test_rows_are_units_and_their_summary() -> None:
    task = tasks.build({"name": "recall", "lag": 6})
    architecture = Architecture(cells.build("lstm"), task.inputs, 5, 4, depth=2)
    network = draw(architecture, [inits.build({"name": "chrono", "longest": 50})] * 2, [0, 1], 6)
    measure = GateTimesMeasure()
    packed = measure.rows(network, task, [0, 1], lambda: network)
    for r in (0, 1):
        assert measure.rows(network.replica(r), task, [r], lambda: network) == [packed[r]]
    tau = [row.value for row in packed[0] if row.statistic == "tau"]
    assert [row.lag for row in packed[0]] == [*range(10), -1, -1, -1, -1]
    found = gate_times(network.replica(0), measure.sample(task, 0).input_BTI)
    assert tau == found.tau.tolist()
    assert measure.live(packed[0]) == {
        "median": pytest.approx(np.median(tau)),
        "geometric_mean": pytest.approx(math.exp(np.mean(np.log(tau)))),
        "largest": max(tau),
        "chrono_median": pytest.approx(np.median(found.chrono)),
    }


# LSTM is compared with torch above; in sLSTM the kept state is also rescaled.
GATED = [
    {"name": cell.model_fields["name"].default}
    for cell in cells.FAMILY.members()
    if (cell.keep or cell.write) and cell.known_as not in ("LSTM", "sLSTM")
]


# Without recurrent weights and with a saturated candidate, only the gate carries the state to the next step. The gate
# keeps the first part of the state, except z of LEM.
@pytest.mark.parametrize("spec", [*GATED, {"name": "lem", "dt": 0.4}], ids=str)
def test_a_keep_gate_equals_the_derivative_of_the_state_by_the_previous_state(spec: dict[str, Any]) -> None:
    name, cell = spec["name"], cells.build(spec)
    architecture, H = Architecture(cell, 1, 4, 0), 4
    network = draw(architecture, [inits.build("torch")], [0], 5).to(torch.float64)
    gate = cell.gates.index(cell.keep or cell.write or "")
    for parameter, value in network.parameters.items():
        if not parameter.startswith("weight_ih"):
            value.zero_()
        else:
            value[:, : gate * H], value[:, (gate + 1) * H :] = 0.0, 0.0
    network.parameters["bias_ih_l0"][:] = 40.0
    network.parameters["bias_ih_l0"][0, gate * H : (gate + 1) * H] = torch.linspace(-3, 3, H).double()
    x = X[:1, :2, :1]
    face, x_BTI, state_BTS = state_trajectory(network, x)
    J = jacobian(face, x_BTI[:, 1], state_BTS[:, 0])[0]
    second = x_BTI[:, 1:]
    part = J[-H:, -H:] if name == "lem" else J[:H, :H]
    np.testing.assert_allclose(gate_times(network, second).keep, part.diagonal().numpy(), rtol=1e-9)
    assert float(part.diagonal().std()) > 0.05


@pytest.mark.parametrize("name", ["lru", "leaky_integrator"])
def test_units_of_a_linear_cell_keep_the_modulus_of_their_eigenvalue(name: str) -> None:
    network = draw(Architecture(cells.build(name), 1, 4, 0), [inits.build("torch")], [0], 5).to(torch.float64)
    face, x_BTI, state_BTS = state_trajectory(network, X[:1, :2, :1])
    eigenvalues = torch.linalg.eigvals(jacobian(face, x_BTI[:, 1], state_BTS[:, 0])[0]).abs().sort().values.numpy()
    keep = np.sort(gate_times(network, X[..., :1]).keep)
    np.testing.assert_allclose(np.unique(eigenvalues.round(9)), np.unique(keep.round(9)))


@pytest.mark.parametrize("name", cells.names())
def test_exactly_the_cells_with_a_keep_gate_have_rows(name: str) -> None:
    task = tasks.build({"name": "recall", "lag": 6})
    cell = cells.build(name)
    network = draw(Architecture(cell, task.inputs, 9, 4), [inits.build("torch")], [0], 6)
    rows = GateTimesMeasure(sequences=2).rows(network, task, [0], lambda: network)[0]
    if cell.keep or cell.write:
        assert sum(row.statistic == "tau" and row.value > 0 for row in rows) == 9
    elif type(cell).log_keep is Cell.log_keep:
        assert rows == []
        with pytest.raises(ValueError, match="has no gate that keeps the state"):
            gate_times(network, torch.zeros(5, task.inputs))


@pytest.mark.parametrize(
    ("system", "message"),
    [
        (nn.RNN(2, 3), "RNN tanh has no gate"),
        (lambda x: x, "not from a function"),
        (nn.GRU(3, 3), "takes 3 inputs per step, got 2"),
        (draw(Architecture(cells.build("gru"), 2, 3, 0), [inits.build("torch")] * 2, [0, 1], 5), "2 replicas"),
    ],
    ids=range(4),
)
def test_systems_without_gates_are_errors(system: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gate_times(system, X)


def test_dropout_is_ignored() -> None:
    module = seeded(nn.LSTM, 2, 3, 2, dropout=0.9)
    assert np.array_equal(gate_times(module, X).tau, gate_times(module, X).tau)
    assert module.dropout == 0.9
