"""Cells with known memory: the controls, cells with constant gates, and an identity recurrence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from farback import cells, inits
from farback.cells import Cell
from farback.networks.network import Architecture, Network, draw
from farback.trials.trial import Trial


def zeroed(cell: Cell, inputs: int = 1, hidden: int = 1, depth: int = 1, **values: Tensor) -> Network:
    """One replica, float64, all parameters zero except those given."""
    architecture = Architecture(cell, inputs, hidden, 0, depth)
    return Network(
        architecture, {n: values.get(n, torch.zeros(s)).double().unsqueeze(0) for n, s in architecture.shapes().items()}
    )


def influence(network: Network, steps: int) -> np.ndarray:
    """d h_T / d x_{T-k} for k = 0, 1, ...: one unit, one input, all inputs zero."""
    x = torch.zeros(1, steps, 1, 1, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(network.run(x)[0][0, -1, 0, 0], x)
    return grad[0, :, 0, 0].flip(0).numpy()


# Controls --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("inputs", "hidden"), [(1, 1), (1, 5), (3, 12), (4, 4)])
def test_a_shift_register_holds_exactly_the_last_inputs(inputs: int, hidden: int) -> None:
    """h_t = [x_t, x_{t-1}, ...]: slot k has the input of lag k, for k = 0 to H / I - 1, and nothing older."""
    network = zeroed(cells.build("shift_register"), inputs, hidden)
    x = torch.randn(1, 9, 2, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    state = network.run(x)[0]
    for t in range(9):
        for k in range(hidden // inputs):
            expected = x[:, t - k] if t >= k else torch.zeros_like(x[:, 0])
            assert torch.equal(state[:, t, :, k * inputs : (k + 1) * inputs], expected)


def test_a_shift_register_forgets_inputs_beyond_its_slots() -> None:
    network = zeroed(cells.build("shift_register"), 1, 4)
    x = torch.zeros(1, 9, 1, 1, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(network.run(x)[0][0, -1].sum(), x)
    assert grad.flatten().tolist() == [0.0] * 5 + [1.0] * 4


@pytest.mark.parametrize("hidden", [4, 5, 7])
def test_a_shift_register_needs_a_whole_number_of_slots(hidden: int) -> None:
    with pytest.raises(ValueError, match=r"multiple of 3: 3 or 6|multiple of 3: 6 or 9"):
        cells.build("shift_register").check(hidden, 3)
    with pytest.raises(ValueError, match=r"multiple of 3: 3$"):
        cells.build("shift_register").check(2, 3)
    with pytest.raises(ValueError, match="shift register"):
        Trial.model_validate({"task": "recall", "lag": 3, "cell": "shift_register", "hidden": 32})


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.99])
def test_a_leaky_integrator_forgets_as_a_power_of_its_decay(decay: float) -> None:
    """The influence of an input k steps ago is (1 - a) a^k."""
    network = zeroed(cells.build({"name": "leaky_integrator", "decay": decay}), weight_ih_l0=torch.ones(1, 1))
    assert influence(network, 40) == pytest.approx((1 - decay) * decay ** np.arange(40), abs=1e-14)


@pytest.mark.parametrize(("depth", "mean", "variance"), [(1, 9, 90), (2, 18, 180), (3, 27, 270)])
def test_depth_delays_a_leaky_integrator_and_changes_nothing_else(depth: int, mean: float, variance: float) -> None:
    """The response of a cascade of L is C(k+L-1, k) a^k (1-a)^L: mean lag L a/(1-a), variance L a/(1-a)^2."""
    ones = {f"weight_ih_l{layer}": torch.ones(1, 1) for layer in range(depth)}
    response = influence(zeroed(cells.build("leaky_integrator"), depth=depth, **ones), 800)
    lag = np.arange(800)
    assert response == pytest.approx([math.comb(k + depth - 1, k) * 0.9**k * 0.1**depth for k in range(800)], abs=1e-15)
    assert response.sum() == pytest.approx(1)
    assert (lag * response).sum() == pytest.approx(mean)
    assert (lag**2 * response).sum() - mean**2 == pytest.approx(variance)


def test_a_memoryless_output_is_independent_of_the_past() -> None:
    architecture = Architecture(cells.build("memoryless"), 3, 7, 0, depth=3)
    network = draw(architecture, [inits.build("torch")], [0], 5)
    x = torch.randn(1, 6, 2, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    output = network.run(x)[0]
    other = x.detach().clone()
    other[:, :-1] = 100.0
    assert torch.equal(network.run(other)[0][:, -1], output[:, -1])
    (grad,) = torch.autograd.grad(output[:, -1].sum(), x)
    assert not grad[:, :-1].any()
    assert grad[:, -1].any()


# Constant gates --------------------------------------------------------------------------------------------------

GATES = [(0.0, 0.5), (1.0, 0.731059), (math.log(99), 0.99)]


@pytest.mark.parametrize(("bias", "keep"), GATES)
def test_an_lstm_with_a_constant_forget_gate_decays_with_it(bias: float, keep: float) -> None:
    """All weights zero but W_ig = 1: g(0) = 0.25 by the half-open input and output gates, g(k) / g(0) = f^k."""
    weight, held = torch.zeros(4, 1), torch.zeros(4, dtype=torch.float64)
    weight[2], held[1] = 1.0, bias  # gate order i, f, g, o
    response = influence(zeroed(cells.build("lstm"), weight_ih_l0=weight, bias_ih_l0=held), 30)
    assert response[0] == pytest.approx(0.25, abs=1e-15)
    assert response / response[0] == pytest.approx((1 / (1 + math.exp(-bias))) ** np.arange(30), rel=1e-12)
    assert response[1] / response[0] == pytest.approx(keep, abs=1e-6)


@pytest.mark.parametrize(("bias", "keep"), GATES)
def test_in_a_gru_the_gate_z_keeps(bias: float, keep: float) -> None:
    """All weights zero but W_in = 1: g(0) = 1 - z, g(k) / g(0) = z^k."""
    weight, held = torch.zeros(3, 1), torch.zeros(3, dtype=torch.float64)
    weight[2], held[1] = 1.0, bias  # gate order r, z, n
    response = influence(zeroed(cells.build("gru"), weight_ih_l0=weight, bias_ih_l0=held), 30)
    assert response[0] == pytest.approx(1 - keep, abs=1e-6)
    assert response / response[0] == pytest.approx((1 / (1 + math.exp(-bias))) ** np.arange(30), rel=1e-12)


def test_the_named_gates_keep_and_write_the_state(every_cell: Cell) -> None:
    """With a large bias on `keep` and a large negative one on `write`, the state does not change."""
    if every_cell.keep is every_cell.write is None:
        return
    architecture = Architecture(every_cell, 2, 3, 0)
    network = draw(architecture, [inits.build("torch")], [0], 5, torch.float64)
    layer = architecture.layer(next(architecture.layers()), 5)
    held = {name: value.clone() for name, value in network.parameters.items()}
    for gate, bias in ((every_cell.keep, 40.0), (every_cell.write, -40.0)):
        if gate is not None:
            held["bias_ih_l0"][:, layer.rows(gate)] = bias
    start = every_cell.zero(torch.zeros(1, 1, 3, dtype=torch.float64))
    start = tuple(part + 0.5 for part in start)
    x = torch.randn(1, 50, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kept = Network(architecture, held).run(x, (start,))[1][0][-1]
    assert torch.allclose(kept, start[-1], atol=1e-12)
    assert not torch.allclose(network.run(x, (start,))[1][0][-1], start[-1], atol=1e-2)


@pytest.mark.parametrize("nonlinearity", ["relu", "identity"])
def test_an_identity_recurrence_carries_its_state_unchanged(nonlinearity: str) -> None:
    cell = cells.build({"name": "elman", "nonlinearity": nonlinearity})
    network = zeroed(cell, weight_ih_l0=torch.ones(1, 1), weight_hh_l0=torch.ones(1, 1))
    x = torch.zeros(1, 200, 1, 1, dtype=torch.float64)
    x[0, 3] = 0.7
    assert network.run(x)[0][0, -1].item() == pytest.approx(0.7, abs=1e-15)


def test_a_sequence_starts_from_the_learned_initial_state() -> None:
    """It is zero at first and the same for every sequence; a learned one changes the outputs."""
    architecture = Architecture(cells.build("gru"), 2, 4, 0, depth=2, learned_state=True)
    network = draw(architecture, [inits.build("torch")], [0], 5, torch.float64)
    plain = draw(Architecture(cells.build("gru"), 2, 4, 0, depth=2), [inits.build("torch")], [0], 5, torch.float64)
    x = torch.randn(1, 5, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert not network.parameters["initial.0_l1"].any()
    assert torch.equal(network.run(x)[0], plain.run(x)[0])
    start = torch.full((1, 4), 0.5, dtype=torch.float64)
    moved = Network(architecture, {**network.parameters, "initial.0_l0": start, "initial.0_l1": start})
    state = tuple((torch.full((1, 3, 4), 0.5, dtype=torch.float64),) for _ in range(2))
    assert torch.equal(moved.run(x)[0], plain.run(x, state)[0])
