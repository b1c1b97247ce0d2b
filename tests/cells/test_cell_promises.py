"""Properties of cells besides their equations: how they draw parameters, stability, finite numbers at the extremes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from farback import cells, inits
from farback.cells.base import log_sigmoid
from farback.cells.exprnn import ExpRNN
from farback.cells.support.skew import skew_symmetric
from farback.networks.network import Architecture, Network, draw


def own(spec: str | dict[str, Any], hidden: int = 2000, lag: int = 20) -> dict[str, np.ndarray]:
    """The parameters that a cell draws."""
    return cells.build(spec).special(hidden, lag, np.random.default_rng(0))


def held(spec: str | dict[str, Any], hidden: int = 1, **values: Any) -> Network:
    """One replica of one input in double precision, all parameters zero but those given, as lists of numbers."""
    architecture = Architecture(cells.build(spec), 1, hidden, 0)
    parameters = {name: torch.zeros(1, *shape, dtype=torch.float64) for name, shape in architecture.shapes().items()}
    for name, numbers in values.items():
        parameters[name + "_l0"] = torch.tensor(numbers, dtype=torch.float64).reshape(parameters[name + "_l0"].shape)
    return Network(architecture, parameters)


# Draws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("inner", "outer"), [(0.0, 1.0), (0.9, 0.999)])
def test_the_eigenvalues_of_the_lru_are_uniform_over_a_ring(inner: float, outer: float) -> None:
    """|lambda|^2 uniform on [inner^2, outer^2], angles uniform on [0, angle]; gamma^2 = 1 - |lambda|^2."""
    p = own({"name": "lru", "inner": inner, "outer": outer, "angle": math.pi / 10})
    radius, angle = np.exp(-np.exp(p["nu"])), np.exp(p["theta"])
    assert stats.kstest(radius**2, stats.uniform(inner**2, outer**2 - inner**2).cdf).pvalue > 1e-3
    assert stats.kstest(angle, stats.uniform(0, math.pi / 10).cdf).pvalue > 1e-3
    assert np.exp(2 * p["gamma"]) == pytest.approx(1 - radius**2, rel=1e-9)


def test_the_state_of_the_lru_has_the_variance_of_white_noise_inputs() -> None:
    """Its variance is the sum of its squared impulse response: gamma^2 / (1 - |lambda|^2) = 1 for B = 1."""
    p = {name: list(value) for name, value in own({"name": "lru", "outer": 0.95}, hidden=50).items()}
    x = torch.zeros(1, 400, 1, 1, dtype=torch.float64)
    x[0, 0] = 1
    power = torch.zeros(50, dtype=torch.float64)
    for part, sign in (("weight_re", 1), ("weight_im", -1)):  # C = 1 shows Re h, C = -i shows Im h
        network = held("lru", 50, weight_ih=[1.0] * 50 + [0.0] * 100, **{part: (sign * np.eye(50)).tolist()}, **p)
        power += network.run(x)[0][0, :, 0].square().sum(0)
    assert power.numpy() == pytest.approx(np.ones(50), rel=1e-9)


def test_an_empty_ring_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"inner is 0\.9, and must be less than outer, 0\.9"):
        cells.build({"name": "lru", "inner": 0.9, "outer": 0.9})


@pytest.mark.parametrize("lag", [1, 20, 500])
def test_an_indrnn_grows_at_most_twofold_from_cue_to_answer(lag: int) -> None:
    u = own("indrnn", lag=lag)["u"]
    assert stats.kstest(u, stats.uniform(0, 2 ** (1 / (lag + 1))).cdf).pvalue > 1e-3
    assert (u ** (lag + 1)).max() <= 2


def test_an_antisymmetric_net_starts_with_a_variance_of_one_over_hidden() -> None:
    skew = own("antisymmetric", hidden=100)["skew"]
    assert skew.shape == (100 * 99 // 2,)
    assert stats.kstest(skew * 10, "norm").pvalue > 1e-3


@pytest.mark.parametrize("hidden", [1, 6, 7])
@pytest.mark.parametrize("rotation", ["cayley", "henaff"])
def test_an_exprnn_starts_as_rotations_of_pairs_of_units(rotation: str, hidden: int) -> None:
    """exp of [[0, s], [-s, 0]] is a rotation by s; the last unit of an odd number does not change."""
    cell = ExpRNN(rotation=rotation)
    skew = torch.from_numpy(own({"name": "exprnn", "rotation": rotation}, hidden)["skew"])[None]
    matrix = cell.matrix(skew_symmetric(skew, hidden))[0].numpy()
    expected = np.eye(hidden)
    for i in range(0, hidden - 1, 2):
        s = skew_symmetric(skew, hidden)[0, i, i + 1].item()
        assert 0 < abs(s) <= (math.pi if rotation == "henaff" else 1.0)
        assert s < 0 or rotation == "henaff"
        expected[i : i + 2, i : i + 2] = [[math.cos(s), math.sin(s)], [-math.sin(s), math.cos(s)]]
    assert matrix == pytest.approx(expected, abs=1e-12)


def test_bistable_units_start_with_recurrent_weights_of_one() -> None:
    assert {name: set(value) for name, value in own("brc").items()} == {"w_c": {1.0}, "w_a": {1.0}}


@pytest.mark.parametrize("spec", [{"name": "elman", "nonlinearity": "modrelu"}, {"name": "exprnn"}], ids=str)
def test_the_offsets_of_modrelu_start_small(spec: dict[str, str]) -> None:
    assert stats.kstest(own(spec, hidden=400)["offset"], stats.uniform(-0.01, 0.02).cdf).pvalue > 1e-3


# Stability -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_matrix_of_an_exprnn_is_orthogonal_for_all_parameters(dtype: torch.dtype) -> None:
    skew = torch.randn(3, 17 * 16 // 2, dtype=dtype, generator=torch.Generator().manual_seed(0)) * 2
    matrix = ExpRNN().matrix(skew_symmetric(skew, 17))
    assert matrix.dtype == dtype
    error = (matrix.double() @ matrix.double().mT - torch.eye(17, dtype=torch.float64)).abs().max().item()
    assert error < (5e-7 if dtype == torch.float32 else 1e-12)


def test_an_antisymmetric_matrix_has_eigenvalues_of_real_part_minus_gamma() -> None:
    cell = cells.build({"name": "antisymmetric", "gamma": 0.25})
    matrix = cell.matrix(skew_symmetric(torch.from_numpy(own("antisymmetric", 9)["skew"])[None], 9))[0]  # type: ignore[attr-defined]
    assert torch.linalg.eigvals(matrix).real.numpy() == pytest.approx(np.full(9, -0.25), abs=1e-12)


@pytest.mark.parametrize("name", ["brc", "nbrc"])
def test_a_bistable_unit_latches_where_a_is_2_and_forgets_where_a_is_0(name: str) -> None:
    """With c = 0 and no input, h <- tanh(a h): for a = 2 it stays at the root of h = tanh(2 h), 0.957504."""
    start = (torch.full((1, 1, 1), 0.3, dtype=torch.float64),)
    x = torch.zeros(1, 200, 1, 1, dtype=torch.float64)
    for bias, expected in ((40.0, 0.957504), (-40.0, 0.0)):
        network = held(name, bias_ih=[-40.0, bias, 0.0])  # gate order c, a, h
        assert network.run(x, (start,))[1][0][0].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("bias", [0.0, -1.0, -math.log(99)])
def test_in_a_mingru_the_gate_z_writes(bias: float) -> None:
    """All weights zero but W_ic = 1 and c > 0: g(0) = z, g(k) / g(0) = (1 - z)^k."""
    network = held("mingru", weight_ih=[0.0, 1.0], bias_ih=[bias, 1.0])
    x = torch.zeros(1, 30, 1, 1, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(network.run(x)[0][0, -1, 0, 0], x)
    z = 1 / (1 + math.exp(-bias))
    assert grad.flatten().flip(0).numpy() == pytest.approx(z * (1 - z) ** np.arange(30), rel=1e-12)


# Extremes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shut", [-20.0, -90.0, -500.0])
def test_a_minlstm_with_both_gates_closed_is_finite(shut: float) -> None:
    """f / (f + i) is 1/2 where both gates are equal, even if they are tiny."""
    network = held("minlstm", weight_ih=[0.0, 0.0, 1.0], bias_ih=[shut, shut, 0.5])
    for dtype in (torch.float32, torch.float64):
        outputs = network.to(dtype).run(torch.zeros(1, 3, 1, 1, dtype=dtype))[0].flatten()
        assert outputs.tolist() == pytest.approx([0.5, 0.75, 0.875])


@pytest.mark.parametrize("gate", [-300.0, -90.0, -80.0, 0.0, 90.0, 300.0])
def test_an_slstm_is_finite_for_all_input_gates(gate: float) -> None:
    """c / n is the mean of tanh(z) weighted by the gates: for f = 1 and equal gates, the mean of the inputs so far.

    Below exp(-81) nothing counts as written, and the output is 0.
    """
    network = held("slstm", weight_ih=[0.0, 0.0, 1.0, 0.0], bias_ih=[gate, 100.0, 0.0, 100.0])
    x = torch.atanh(torch.tensor([0.9, 0.1, -0.4])).view(1, 3, 1, 1)
    network = network.to(torch.float32)
    leaves = {name: value.requires_grad_() for name, value in network.parameters.items()}
    outputs = Network(network.architecture, leaves).run(x)[0].flatten()
    assert outputs.tolist() == pytest.approx([0.9, 0.5, 0.2] if gate > -81 else [0.0] * 3, abs=1e-6)
    grads = torch.autograd.grad(outputs.sum(), list(leaves.values()))
    assert all(torch.isfinite(value).all() for value in (outputs, *grads))


def test_log_sigmoid_equals_that_of_torch_in_value_and_slope() -> None:
    x = torch.tensor([-1e4, -100.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 100.0, 1e4], dtype=torch.float64).requires_grad_()

    def both(value: Tensor) -> tuple[Tensor, Tensor]:
        return value.detach(), torch.autograd.grad(value.sum(), x)[0]

    for ours, theirs in zip(both(log_sigmoid(x)), both(torch.nn.functional.logsigmoid(x)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=1e-300)


def test_a_split_of_a_minlstm_changes_no_bit() -> None:
    """A popular implementation's output changes by 0.34 when the state is carried; ours does not change."""
    network = draw(Architecture(cells.build("minlstm"), 3, 8, 0), [inits.build("torch")], [0], 5)
    x = torch.randn(1, 12, 4, 3, generator=torch.Generator().manual_seed(0))
    whole, _ = network.run(x)
    first, state = network.run(x[:, :5])
    assert torch.equal(torch.cat([first, network.run(x[:, 5:], state)[0]], 1), whole)
