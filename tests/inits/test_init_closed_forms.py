"""The distributions of the initialisations against closed forms and torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from farback import cells, inits
from farback.networks.network import Architecture, draw

Arrays = dict[str, np.ndarray]
GATES = {"elman": ("h",), "lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}  # torch's order
KEEP = {"lstm": "f", "gru": "z"}


def drawn(cell: str, init: str | dict[str, Any], hidden: int = 24, inputs: int = 5, **fields: Any) -> Arrays:
    """One layer's parameters in float64."""
    architecture = Architecture(cells.build(cell), inputs, hidden, 0, **fields)
    network = draw(architecture, [inits.build(init)], [0], 50, torch.float64)
    return {name: value[0].numpy() for name, value in network.parameters.items()}


def blocks(value: np.ndarray, cell: str) -> Arrays:
    return dict(zip(GATES[cell], np.split(value, len(GATES[cell])), strict=True))


# Recurrent matrices ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("hidden", [1, 3, 24])
@pytest.mark.parametrize("cell", GATES)
def test_orthogonal_blocks_are_orthogonal(cell: str, hidden: int, gain: float) -> None:
    """W'W = gain^2 I, gate by gate."""
    weight = drawn(cell, {"name": "orthogonal", "gain": gain}, hidden)["weight_hh_l0"]
    for block in blocks(weight, cell).values():
        assert block.T @ block == pytest.approx(gain**2 * np.eye(hidden), abs=1e-12)


def test_orthogonal_blocks_are_uniform_over_the_orthogonal_matrices() -> None:
    """Mezzadri 2007: the eigenvalue angles of a Haar matrix are uniform; those of a plain QR are not."""
    architecture = Architecture(cells.build("elman"), 2, 8, 0)
    init = inits.build("orthogonal")
    weight = draw(architecture, [init] * 400, range(400), 5, torch.float64).parameters["weight_hh_l0"].numpy()
    angle = np.angle(np.linalg.eigvals(weight))
    angle = np.abs(angle[(np.abs(angle) > 1e-9) & (np.abs(np.abs(angle) - np.pi) > 1e-9)])
    inner = angle[(angle > 0.5) & (angle < np.pi - 0.5)]  # eigenvalues repel the real axis
    assert stats.kstest(inner, stats.uniform(0.5, np.pi - 1.0).cdf).pvalue > 1e-4
    assert (np.linalg.det(weight) > 0).mean() == pytest.approx(0.5, abs=4 * 0.5 / 20)
    assert weight.mean() == pytest.approx(0, abs=4 * (1 / 8) ** 0.5 / math.sqrt(weight.size))
    assert np.diagonal(weight, axis1=1, axis2=2).mean() == pytest.approx(0, abs=4 * (1 / 8) ** 0.5 / math.sqrt(400 * 8))


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_identity_has_a_unit_matrix_and_small_input_weights(gain: float) -> None:
    """Le, Jaitly and Hinton 2015: identity, zero biases, input weights of standard deviation 0.001."""
    p = drawn("elman", {"name": "identity", "gain": gain}, hidden=100, inputs=40)
    assert np.array_equal(p["weight_hh_l0"], gain * np.eye(100))
    assert not p["bias_ih_l0"].any()
    assert not p["bias_hh_l0"].any()
    assert p["weight_ih_l0"].std() == pytest.approx(0.001, rel=0.05)
    assert stats.kstest(p["weight_ih_l0"].ravel() / 0.001, "norm").pvalue > 1e-3


@pytest.mark.parametrize("radius", [0.9, 1.0, 1.5])
@pytest.mark.parametrize("cell", GATES)
def test_scaled_blocks_have_the_spectral_radius_exactly(cell: str, radius: float) -> None:
    weight = drawn(cell, {"name": "scaled", "radius": radius})["weight_hh_l0"]
    for block in blocks(weight, cell).values():
        assert np.abs(np.linalg.eigvals(block)).max() == pytest.approx(radius, rel=1e-10)


def test_the_default_has_a_spectral_radius_near_one_over_root_three() -> None:
    """Circular law: sqrt(H) times the standard deviation 1 / sqrt(3 H). So no cell starts with a long memory."""
    radius = np.abs(np.linalg.eigvals(drawn("elman", "torch", hidden=400)["weight_hh_l0"])).max()
    assert radius == pytest.approx(1 / math.sqrt(3), rel=0.06)


# Uniform draws ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", GATES)
def test_the_default_is_uniform_on_one_over_root_hidden(cell: str) -> None:
    p = drawn(cell, "torch", hidden=64, inputs=30)
    bound = 64**-0.5
    for value in p.values():
        assert np.abs(value).max() <= bound
        assert stats.kstest(value.ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
    everything = np.concatenate([value.ravel() for value in p.values()])
    assert everything.mean() == pytest.approx(0, abs=4 * bound / math.sqrt(3 * everything.size))
    assert everything.var() == pytest.approx(bound**2 / 3, rel=0.05)


@pytest.mark.parametrize("cell", GATES)
def test_the_default_has_the_distribution_of_torch(cell: str) -> None:
    """The same distribution as the module's own `reset_parameters`, parameter by parameter."""
    architecture = Architecture(cells.build(cell), 30, 64, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = architecture.cell.to_torch(30, 64, 1, True, False)
    ours = drawn(cell, "torch", hidden=64, inputs=30)
    for name, value in module.named_parameters():
        assert stats.ks_2samp(value.detach().numpy().ravel(), ours[name].ravel()).pvalue > 1e-3


@pytest.mark.parametrize("cell", GATES)
def test_xavier_is_uniform_within_its_bound_gate_by_gate(cell: str) -> None:
    """sqrt(6 / (fan in + fan out)), where each gate is one matrix; biases zero."""
    p = drawn(cell, "xavier", hidden=64, inputs=30)
    for name, fan_in in (("weight_ih_l0", 30), ("weight_hh_l0", 64)):
        bound = math.sqrt(6 / (fan_in + 64))
        for block in blocks(p[name], cell).values():
            assert np.abs(block).max() <= bound
            assert stats.kstest(block.ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
            with torch.random.fork_rng():
                torch.manual_seed(0)
                theirs = torch.nn.init.xavier_uniform_(torch.empty(64, fan_in)).numpy()
            assert stats.ks_2samp(block.ravel(), theirs.ravel()).pvalue > 1e-3
    assert not p["bias_ih_l0"].any()
    assert not p["bias_hh_l0"].any()


# Gate biases -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1.0, 0.0, -2.5])
@pytest.mark.parametrize("cell", KEEP)
def test_forget_bias_sets_the_sum_of_both_biases_of_the_keep_gate_only(cell: str, value: float) -> None:
    """torch.nn has two biases per gate; setting both, a common mistake, would double the value."""
    ours, plain = drawn(cell, {"name": "forget_bias", "value": value}), drawn(cell, "torch")
    total = blocks(ours["bias_ih_l0"] + ours["bias_hh_l0"], cell)
    assert np.array_equal(total[KEEP[cell]], np.full(24, value))
    for name in ours:
        for gate, block in blocks(ours[name], cell).items():
            if gate != KEEP[cell] or name.startswith("weight"):
                assert np.array_equal(block, blocks(plain[name], cell)[gate])


def test_uniform_draws_all_but_the_given_biases_from_one_interval() -> None:
    p = drawn("lstm", {"name": "uniform", "bound": 0.2, "keep": 50, "write": -3}, hidden=64, inputs=30)
    total = blocks(p["bias_ih_l0"] + p["bias_hh_l0"], "lstm")
    assert (set(total["f"]), set(total["i"])) == ({50.0}, {-3.0})
    free = [p["weight_ih_l0"], p["weight_hh_l0"], *(blocks(p["bias_ih_l0"], "lstm")[gate] for gate in ("g", "o"))]
    for values in free:
        assert stats.kstest(values.ravel(), stats.uniform(-0.2, 0.4).cdf).pvalue > 1e-3
    plain = drawn("gru", {"name": "uniform"}, hidden=64, inputs=30)
    assert all(stats.kstest(value.ravel(), stats.uniform(-0.1, 0.2).cdf).pvalue > 1e-3 for value in plain.values())


@pytest.mark.parametrize("longest", [3, 50, 320])
@pytest.mark.parametrize("cell", KEEP)
def test_chrono_spreads_the_time_constants_up_to_the_longest(cell: str, longest: int) -> None:
    """Tallec and Ollivier 2018: keep biases ln U[1, T - 1], write biases their negative, all other biases zero."""
    p = drawn(cell, {"name": "chrono", "longest": longest}, hidden=400, inputs=2)
    total = blocks(p["bias_ih_l0"] + p["bias_hh_l0"], cell)
    keep = total.pop(KEEP[cell])
    assert keep.min() >= 0
    assert keep.max() <= math.log(longest - 1)
    assert stats.kstest(np.exp(keep), stats.uniform(1, longest - 2).cdf).pvalue > 1e-3
    if cell == "lstm":
        assert np.array_equal(total.pop("i"), -keep)
    assert not any(block.any() for block in total.values())


WRITE = {
    "mingru": ("z", "c"),
    "mgu": ("f", "n"),
    "lem": ("d", "e", "z", "y"),
}  # the first gate writes, and there is no keep gate


@pytest.mark.parametrize("cell", WRITE)
def test_a_tied_write_gate_gets_the_negative_bias(cell: str) -> None:
    """1 - sigmoid(-b) = sigmoid(b), so the negative bias keeps as much as the bias on a keep gate."""

    def total(init: dict[str, Any]) -> list[np.ndarray]:
        p = drawn(cell, init, hidden=400, inputs=2)
        bias = p["bias_ih_l0"] + p.get("bias_hh_l0", 0)
        return np.split(bias, len(WRITE[cell]))

    assert np.array_equal(total({"name": "forget_bias", "value": 1.5})[0], np.full(400, -1.5))
    first, *others = total({"name": "chrono", "longest": 200})
    assert first.max() <= 0
    assert stats.kstest(np.exp(-first), stats.uniform(1, 198).cdf).pvalue > 1e-3
    assert not any(other.any() for other in others)


@pytest.mark.parametrize(("cell", "blocks"), [("lem", 3), ("nbrc", 2)])
def test_only_the_gates_of_the_recurrent_matrix_are_drawn(cell: str, blocks: int) -> None:
    weight = drawn(cell, "orthogonal", hidden=6)["weight_hh_l0"]
    assert weight.shape == (blocks * 6, 6)
    for block in np.split(weight, blocks):
        assert block.T @ block == pytest.approx(np.eye(6), abs=1e-12)
    for block in np.split(drawn(cell, {"name": "scaled", "radius": 0.7}, hidden=6)["weight_hh_l0"], blocks):
        assert np.abs(np.linalg.eigvals(block)).max() == pytest.approx(0.7, rel=1e-10)


def test_chrono_does_not_change_the_weights() -> None:
    ours, plain = drawn("lstm", "chrono"), drawn("lstm", "torch")
    for name in ("weight_ih_l0", "weight_hh_l0"):
        assert np.array_equal(ours[name], plain[name])


@pytest.mark.parametrize(("bias", "constant"), [(0.0, 2.0), (1.0, 3.718282), (math.log(99), 100.0)])
def test_a_gate_with_bias_b_forgets_in_one_plus_e_to_the_b_steps(bias: float, constant: float) -> None:
    """Chrono's time constant 1 / (1 - f), f = sigmoid(b), is 1 + e^b; on an LSTM with a bias and no weights."""
    p = drawn("lstm", {"name": "forget_bias", "value": bias}, hidden=1, inputs=1)
    architecture = Architecture(cells.build("lstm"), 1, 1, 0)
    network = draw(architecture, [inits.build("torch")], [0], 5, torch.float64)
    held = {name: torch.zeros_like(value) for name, value in network.parameters.items()}
    held["bias_ih_l0"][0, 1] = float(p["bias_ih_l0"][1] + p["bias_hh_l0"][1])
    start = (torch.zeros(1, 1, 1, dtype=torch.float64), torch.ones(1, 1, 1, dtype=torch.float64))
    x = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    cell_after = type(network)(architecture, held).run(x, (start,))[1][0][1].item()
    assert 1 / (1 - cell_after) == pytest.approx(constant, rel=1e-6)
