"""Jacobian norms of systems with known Jacobians: register, orthogonal, random gains, non-normal, default, latch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from known_systems import latch, orthogonal, rnn, seeded, shift_register
from torch import Tensor, nn

from farback import cells, inits, tasks
from farback.measures import jacobian_norms
from farback.measures.jacobian_norms import JacobianNormsMeasure
from farback.networks.network import Architecture, draw, from_torch

ONES, ZEROS = torch.ones, torch.zeros


@pytest.mark.parametrize("units", [4])
def test_a_register_has_norm_one_up_to_its_length(units: int) -> None:
    spectral = jacobian_norms(shift_register(units), ONES(units + 6, 1))
    frobenius = jacobian_norms(shift_register(units), ONES(units + 6, 1), kind="frobenius")
    assert spectral.lag.tolist() == list(range(units + 6))
    assert spectral.norm.tolist() == pytest.approx([1.0] * units + [0.0] * 6)
    assert spectral.status == ["measured"] * units + ["zero"] * 6
    assert frobenius.norm[:units] == pytest.approx(np.sqrt(np.arange(units, 0, -1)))


@pytest.mark.parametrize(("rho", "units"), [(0.9, 64), (1.1, 7), (0.5, 1)])
def test_a_scaled_orthogonal_network(rho: float, units: int) -> None:
    spectral, frobenius = (
        jacobian_norms(rnn(rho * orthogonal(units)), ZEROS(80, 1), kind=kind)  # type: ignore[arg-type]
        for kind in ("spectral", "frobenius")
    )
    np.testing.assert_allclose(spectral.norm, rho**spectral.lag, rtol=1e-11)
    np.testing.assert_allclose(frobenius.norm, math.sqrt(units) * rho**spectral.lag, rtol=1e-11)
    assert spectral.exploding is (rho > 1)
    if (rho, units) == (0.9, 64):
        assert (spectral.norm[20], frobenius.norm[20]) == pytest.approx((0.1215767, 0.9726132), abs=1e-7)
        assert spectral.tau == pytest.approx(9.491222, abs=1e-6)


def gains(x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """h' = x h: the input is the gain."""
    state = x.cumprod(1) if h is None else x.cumprod(1) * h.unsqueeze(1)
    return state, state


def test_logarithms_vanish_while_the_mean_of_norms_explodes() -> None:
    x = torch.from_numpy(np.random.default_rng(0).choice([2.0, 0.25], (4000, 13, 1)))
    found = jacobian_norms(gains, x)
    rate = (math.log(2) + math.log(0.25)) / 2
    assert rate == pytest.approx(-0.346574, abs=1e-6)
    error = math.log(8) / 2 / math.sqrt(4000 / 12) / 12  # standard error of the slope
    assert found.log_norm[12] / 12 == pytest.approx(rate, abs=4 * error)
    assert found.slope == pytest.approx(rate, abs=8 * error)
    assert not found.exploding
    each = x[:, 1:].flip(1).cumprod(1)[:, -1, 0]
    assert found.log_norm[12] == pytest.approx(float(each.log().mean()))
    assert float(each.mean()) == pytest.approx(1.125**12, rel=0.6)
    assert found.norm[12] < 0.03


@pytest.mark.parametrize("decay", [0.9])
def test_the_norm_of_a_non_normal_network_rises_first(decay: float) -> None:
    found = jacobian_norms(rnn([[decay, 1.0], [0.0, decay]]), ZEROS(100, 1))
    c = found.lag * decay ** (found.lag - 1.0)
    np.testing.assert_allclose(found.norm, (c + np.sqrt(c**2 + 4 * decay ** (2.0 * found.lag))) / 2, rtol=1e-11)
    if decay == 0.9:
        assert (found.norm.argmax(), found.norm.max()) == (9, pytest.approx(3.912567, abs=1e-6))
        assert found.half_life_steps == 44
        assert found.reach(0.5) == 43
        assert abs(found.half_life - found.tau * math.log(2)) > 20


@pytest.mark.parametrize(("hidden", "nets"), [(64, 16)])
def test_the_default_tanh_network_of_pytorch_loses_a_factor_of_three_in_the_square_per_step(
    hidden: int, nets: int
) -> None:
    """Exact on average in the limit of many units; at this size chance and biases account for about a tenth."""
    found = [jacobian_norms(seeded(nn.RNN, 1, hidden, seed=seed), ZEROS(25, 1), "frobenius") for seed in range(nets)]
    square = np.mean([each.norm**2 / hidden for each in found], 0)
    assert math.sqrt(square[10]) == pytest.approx(0.004115, rel=0.12)
    assert np.mean([each.tau for each in found]) == pytest.approx(1.820478, rel=0.06)


def test_a_tanh_network_at_rest_has_the_norms_of_the_powers_of_its_matrix() -> None:
    module = seeded(nn.RNN, 1, 64, bias=False)
    W = module.weight_hh_l0.detach().double()
    powers = [float(torch.linalg.matrix_power(W, k).norm()) for k in range(12)]
    np.testing.assert_allclose(jacobian_norms(module, ZEROS(12, 1), "frobenius").norm, powers, rtol=1e-9)


def test_differences_in_a_latch_decay_at_its_slope() -> None:
    module, held = latch(2.0)
    x = ZEROS(30, 1)
    x[0] = math.atanh(held)
    assert jacobian_norms(module, x).slope == pytest.approx(-1.793529, abs=1e-5)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_every_lag_equals_the_derivative_by_autograd(kind: Any) -> None:
    """Two layers, with h and c for an LSTM: the derivative from step T - k to T in one piece."""
    module, x = seeded(kind, 2, 3, 2).double(), torch.from_numpy(np.random.default_rng(3).standard_normal((1, 7, 2)))
    spectral, frobenius = jacobian_norms(module, x), jacobian_norms(from_torch(module), x, "frobenius")
    for lag in range(1, 7):
        state = module(x[:, : 7 - lag])[1]
        parts = state if isinstance(state, tuple) else (state,)

        def after(*parts: Tensor, lag: int = lag) -> Tensor:
            end = module(x[:, 7 - lag :], parts if len(parts) > 1 else parts[0])[1]
            return torch.stack(end if isinstance(end, tuple) else (end,)).flatten()

        whole = torch.autograd.functional.jacobian(after, tuple(part.detach() for part in parts))
        J = torch.cat([part.flatten(1) for part in whole], 1)
        assert J.shape == (6 * len(parts), 6 * len(parts))
        assert spectral.norm[lag] == pytest.approx(float(torch.linalg.matrix_norm(J, 2)), rel=1e-9)
        assert frobenius.norm[lag] == pytest.approx(float(torch.linalg.matrix_norm(J)), rel=1e-9)


def test_products_below_the_smallest_float_are_measured() -> None:
    found = jacobian_norms(rnn(0.01 * orthogonal(5)), ZEROS(400, 1))
    assert found.log_norm[-1] == pytest.approx(399 * math.log(0.01))
    assert set(found.status) == {"measured"}


def test_large_states_are_estimated_from_random_rows() -> None:
    """600 units: the Frobenius norm is within three stated errors; the spectral norm is an error."""
    module = rnn(0.9 * orthogonal(600) @ torch.diag(torch.linspace(0.5, 1.0, 600).double()), ONES(600, 1))
    found = jacobian_norms(module, ZEROS(2, 6, 1), "frobenius")
    product, exact = torch.eye(600, dtype=torch.float64), []
    for _ in range(6):
        exact.append(float(product.norm().log()))
        product = product @ module.weight_hh_l0.detach()
    assert found.error == pytest.approx(math.sqrt(1 / 256))
    np.testing.assert_allclose(found.log_norm, exact, atol=3 * found.error)
    with pytest.raises(ValueError, match=r"600 numbers.*at most 512: use kind='frobenius'"):
        jacobian_norms(module, ZEROS(6, 1))


def test_a_diverged_network_has_status_nonfinite() -> None:
    for kind in ("spectral", "frobenius"):
        found = jacobian_norms(rnn([[math.nan, 0.0], [0.0, 1.0]]), ONES(5, 1), kind)  # type: ignore[arg-type]
        assert found.status == ["measured"] + ["nonfinite"] * 4


def test_rows_are_both_norms_of_each_replica() -> None:
    task = tasks.build({"name": "recall", "lag": 6})
    architecture = Architecture(cells.build("lstm"), task.inputs, 5, 4, depth=2)
    network = draw(architecture, [inits.build("torch")] * 2, [0, 1], 6)
    measure = JacobianNormsMeasure()
    packed = measure.rows(network, task, [0, 1], lambda: network)
    assert packed[0] != packed[1]
    for r in (0, 1):
        assert measure.rows(network.replica(r), task, [r], lambda: network) == [packed[r]]
    expected = {(lag, f"{kind}_log10") for lag in range(7) for kind in ("spectral", "frobenius")}
    assert {(row.lag, row.statistic) for row in packed[0]} == expected
    values = {(row.lag, row.statistic): row.value for row in packed[0]}
    found = jacobian_norms(network.replica(0), measure.sample(task, 0).input_BTI)
    assert [values[lag, "spectral_log10"] for lag in range(7)] == pytest.approx(found.log_norm / math.log(10))
    assert values[0, "frobenius_log10"] == pytest.approx(math.log10(20) / 2)


@pytest.mark.parametrize(("lag", "options"), [(4, {"bidirectional": True}), (0, {})])
def test_networks_that_carry_no_state_have_no_rows(lag: int, options: dict[str, Any]) -> None:
    task = tasks.build({"name": "recall", "lag": lag})
    architecture = Architecture(cells.build("gru"), task.inputs, 5, 4, **options)
    network = draw(architecture, [inits.build("torch")] * 2, [0, 1], 6)
    assert JacobianNormsMeasure().rows(network, task, [0, 1], lambda: network) == [[], []]


@pytest.mark.parametrize("name", cells.names())
def test_every_cell_has_finite_jacobians(name: str) -> None:
    task = tasks.build({"name": "recall", "lag": 5})
    architecture = Architecture(cells.build(name), task.inputs, 9, 4)
    network = draw(architecture, [inits.build("torch")], [0], 6)
    rows = JacobianNormsMeasure(sequences=2).rows(network, task, [0], lambda: network)[0]
    full = {"attention": 0, "s4d": 6}  # no state of a fixed size; more than 512 numbers: no spectral norms
    assert len(rows) == full.get(name, 12)
    assert not any(math.isnan(row.value) for row in rows)


@pytest.mark.parametrize(
    ("system", "inputs", "kind", "message"),
    [
        (nn.GRU(1, 3), ONES(5, 1), "nuclear", "kind is 'nuclear'; choose from spectral, frobenius"),
        (nn.GRU(1, 3), ONES(1, 1), "spectral", "at least two steps"),
        (nn.GRU(1, 3, bidirectional=True), ONES(5, 1), "spectral", "bidirectional network reads"),
        (lambda x: x, ONES(5, 1), "spectral", "resume from any state"),
    ],
    ids=range(4),
)
def test_unusable_arguments_are_errors(system: Any, inputs: Tensor, kind: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jacobian_norms(system, inputs, kind)
