"""The exact memory function: closed forms of a shift register, a ring and diagonal matrices, with several constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from linear_systems import first, ring, rotated, shift
from scipy.linalg import solve_discrete_lyapunov

from farback import cells, inits, tasks
from farback.measures import fisher_memory, linear_memory_function
from farback.measures.linear_memory_function import LinearMemoryFunctionMeasure
from farback.networks.network import Architecture, Network, draw


@pytest.mark.parametrize("size", [1, 40])
def test_a_shift_register_remembers_its_length_and_nothing_older(size: int) -> None:
    found = linear_memory_function(shift(size), first(size), 60)
    assert found.r2 == pytest.approx((found.lag < size).astype(float), abs=1e-12)
    assert found.total() == pytest.approx(size, abs=1e-12)
    assert found.total(first_lag=1) == pytest.approx(size - 1, abs=1e-12)
    assert (found.half, found.features) == (size - 1, size)


@pytest.mark.parametrize(("size", "gain"), [(16, 0.9), (33, 0.8)])
def test_a_ring_loses_the_same_share_in_every_round(size: int, gain: float) -> None:
    found = linear_memory_function(ring(size, gain), first(size), 3000)
    round_trip = gain ** (2 * size)
    assert found.r2 == pytest.approx(round_trip ** (found.lag // size) * (1 - round_trip), abs=1e-12)
    assert found.total() == pytest.approx(size, abs=1e-9)
    assert found.total(1) == pytest.approx(size - 1 + round_trip, abs=1e-9)


def test_a_ring_has_the_published_numbers() -> None:
    found = linear_memory_function(ring(16, 0.9), first(16), 2000)
    assert found.r2[:16] == pytest.approx(np.full(16, 0.965663), abs=5e-7)
    assert found.r2[16:32] == pytest.approx(np.full(16, 0.033158), abs=5e-7)
    assert found.total(1) == pytest.approx(15.034337, abs=5e-7)


@pytest.mark.parametrize(("size", "rho"), [(1, 0.9), (50, 0.6)])
def test_units_with_equal_decay_count_as_one_unit(size: int, rho: float, rng: np.random.Generator) -> None:
    found = linear_memory_function(rho * np.eye(size), rng.normal(size=size), 400)
    assert found.r2 == pytest.approx((1 - rho**2) * rho ** (2 * found.lag), abs=1e-12)
    assert found.total() == pytest.approx(1, abs=1e-12)
    assert found.features == 1


@pytest.mark.parametrize("size", [13, 60])
def test_distinct_eigenvalues_give_the_full_capacity(size: int) -> None:
    """At size 60 the matrix C is too ill-conditioned to be inverted in double precision."""
    found = linear_memory_function(np.diag(np.linspace(-0.9, 0.9, size)), np.ones(size), 3000)
    assert found.total() == pytest.approx(size, abs=1e-9)
    assert (found.r2 <= 1 + 1e-12).all()


@pytest.mark.parametrize("size", [50])
def test_a_random_network_has_its_full_capacity(size: int, rng: np.random.Generator) -> None:
    W = rng.normal(size=(size, size))
    W *= 0.9 / np.abs(np.linalg.eigvals(W)).max()
    found = linear_memory_function(W, rng.normal(size=size), 5000)
    assert found.total() == pytest.approx(size, abs=1e-8)


@pytest.mark.parametrize("seed", range(2))
def test_small_systems_agree_with_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(5, 5))
    W *= 0.8 / np.abs(np.linalg.eigvals(W)).max()
    w = rng.normal(size=5)
    C = solve_discrete_lyapunov(W, np.outer(w, w))
    v = [np.linalg.matrix_power(W, k) @ w for k in range(30)]
    assert linear_memory_function(W, w, 29).r2 == pytest.approx([x @ np.linalg.solve(C, x) for x in v], abs=1e-9)


@pytest.mark.parametrize(("W", "w"), [(shift(12), first(12)), (ring(12, 0.9), first(12)), (0.9 * np.eye(4), first(4))])
def test_coordinates_and_scale_have_no_effect(W: Any, w: Any, rng: np.random.Generator) -> None:
    plain, turned = linear_memory_function(W, w, 50), linear_memory_function(*rotated(W, 1e-6 * w, rng), 50)
    assert turned.r2 == pytest.approx(plain.r2, abs=1e-9)
    assert turned.features == plain.features


def test_a_unit_without_input_does_not_count() -> None:
    found = linear_memory_function(np.diag([0.5, 2.0]), [1.0, 0.0], 10)
    assert found.features == 1
    assert found.r2[:3] == pytest.approx([0.75, 0.1875, 0.046875])
    assert linear_memory_function(np.eye(3), np.zeros(3), 4).r2.tolist() == [0.0] * 5


@pytest.mark.parametrize(
    ("W", "w", "message"),
    [
        (np.eye(3), np.ones(3), "has size 1; it must be below 1"),
        (ring(4, 1.25), first(4), "has size 1.25"),
        (np.ones((2, 3)), np.ones(2), r"\(2, 3\)"),
        ([[np.nan]], [1.0], "finite"),
        ([0.5], [1.0], "2 axes"),
    ],
)
def test_unstable_systems_and_bad_shapes_are_errors(W: Any, w: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        linear_memory_function(W, w, 10)


@pytest.mark.parametrize(("size", "rho", "noise"), [(8, 0.9, 1.0), (30, 0.5, 0.1)])
def test_normal_systems_have_total_fisher_information_one(
    size: int, rho: float, noise: float, rng: np.random.Generator
) -> None:
    """J(k) = rho^2k (1 - rho^2) / noise, for any number of units."""
    W, w = rotated(rho * np.roll(np.eye(size), 1, 0), first(size), rng)
    found = fisher_memory(W, w, 400, noise)
    lag = np.arange(401)
    assert found == pytest.approx(rho ** (2 * lag) * (1 - rho**2) / noise, abs=1e-9)
    assert found.sum() == pytest.approx(1 / noise)


@pytest.mark.parametrize(("size", "noise"), [(16, 1.0), (9, 0.25)])
def test_the_information_of_a_register_decreases_as_noise_accumulates(size: int, noise: float) -> None:
    """J(k) = 1 / (noise (k + 1)), which sums to the harmonic number over the noise."""
    found = fisher_memory(shift(size), first(size), 30, noise)
    expected = [1 / (noise * (k + 1)) if k < size else 0.0 for k in range(31)]
    assert found == pytest.approx(expected, abs=1e-12)


def test_fisher_memory_needs_noise_and_a_stable_system() -> None:
    with pytest.raises(ValueError, match=r"got 0\.5 and 0"):
        fisher_memory([[0.5]], [1.0], 3, noise=0)
    with pytest.raises(ValueError, match="got 1 and 1"):
        fisher_memory(np.eye(2), np.ones(2), 3)


def statistics(network: Network, task: Any, **fields: Any) -> dict[str, dict[int, float]]:
    (rows,) = LinearMemoryFunctionMeasure(**fields).rows(network, task, [0], lambda: network)
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        found.setdefault(row.statistic, {})[row.lag] = row.value
    return found


def test_a_register_on_a_task_holds_the_driven_channel() -> None:
    task = tasks.build("adding")
    network = draw(Architecture(cells.build("shift_register"), 2, 12, 1), [inits.build("torch")], [0], 5)
    found = statistics(network, task, max_lag=10)
    assert list(found["r2"].values()) == [1.0] * 6 + [0.0] * 5
    assert (found["total"][-1], found["features"][-1]) == (6.0, 6.0)


def linear(W: Any, w: Any, cell: Any = None) -> Network:
    """An elman network with one input; linear by default."""
    spec = {"name": "elman", "nonlinearity": "identity"} if cell is None else cell
    architecture = Architecture(cells.build(spec), 1, len(w), 0)
    network = draw(architecture, [inits.build("torch")], [3], 5, torch.float64)
    exact = {"weight_hh_l0": torch.from_numpy(W)[None], "weight_ih_l0": torch.from_numpy(w)[None, :, None]}
    return Network(architecture, {**network.parameters, **exact})


def test_a_linear_network_is_its_own_linearisation_for_any_biases(rng: np.random.Generator) -> None:
    W, w = ring(6, 0.9), rng.normal(size=6)
    found = statistics(linear(W, w), tasks.build("adding"), max_lag=30)
    assert list(found["r2"].values()) == pytest.approx(linear_memory_function(W, w, 30).r2, abs=1e-9)


def test_a_tanh_network_is_linearised_at_its_resting_state(rng: np.random.Generator) -> None:
    W, w = 0.5 * rng.normal(size=(4, 4)) / 2, rng.normal(size=4)
    network = linear(W, w, "elman")
    bias = (network.parameters["bias_ih_l0"] + network.parameters["bias_hh_l0"])[0].numpy()
    h = np.zeros(4)
    for _ in range(2000):
        h = np.tanh(W @ h + bias)
    slope = 1 - h**2
    found = statistics(network, tasks.build("adding"), max_lag=20)
    expected = linear_memory_function(slope[:, None] * W, slope * w, 20).r2
    assert list(found["r2"].values()) == pytest.approx(expected, abs=1e-8)


def without_biases(network: Network) -> Network:
    zero = {name: torch.zeros_like(value) for name, value in network.parameters.items() if name.startswith("bias")}
    return Network(network.architecture, {**network.parameters, **zero})


@pytest.mark.parametrize(
    "network",
    [
        linear(np.eye(3), first(3)),
        linear(ring(3, 1.5), first(3)),
        without_biases(linear(ring(3, 1.1), first(3), "elman")),
        without_biases(linear(ring(3, 0.9), first(3), {"name": "elman", "nonlinearity": "relu"})),
    ],
    ids=["integrates", "grows", "unstable at rest", "relu at its kink"],
)
def test_a_network_without_a_stable_linearisation_has_no_rows(network: Network) -> None:
    assert statistics(network, tasks.build("adding")) == {}


def test_a_bidirectional_network_has_no_rows() -> None:
    architecture = Architecture(cells.build("gru"), 2, 4, 1, bidirectional=True)
    assert statistics(draw(architecture, [inits.build("torch")], [0], 5), tasks.build("adding")) == {}


def test_the_channel_must_be_one_of_the_task() -> None:
    with pytest.raises(ValueError, match="channel is 2, but adding has only inputs 0 to 1"):
        LinearMemoryFunctionMeasure(channel=2).check(tasks.build("adding"))
