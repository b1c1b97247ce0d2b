"""Lyapunov exponents of systems with a closed form: orthogonal, random gains and matrices, Jordan block, latch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from known_systems import latch, orthogonal, rnn, seeded, shift_register
from scipy.special import digamma
from torch import Tensor, nn

from farback import cells, inits, tasks
from farback.measures import lyapunov
from farback.measures.lyapunov import LyapunovMeasure
from farback.networks.network import Architecture, draw

ONES, ZEROS = torch.ones, torch.zeros


@pytest.mark.parametrize(("rho", "units"), [(0.9, 64), (0.97, 10), (1.05, 3)])
def test_all_exponents_of_a_scaled_orthogonal_net_are_ln_rho(rho: float, units: int) -> None:
    found = lyapunov(rnn(rho * orthogonal(units)), ZEROS(50, 1))
    np.testing.assert_allclose(found.exponents, [math.log(rho)] * units, rtol=1e-11)
    assert found.tau_max == pytest.approx(-1 / math.log(rho)) if rho < 1 else math.isnan(found.tau_max)
    assert found.steps == 49


def factors(units: int) -> Any:
    """h' = A h; the inputs of each step are the matrix A."""

    def system(x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = x.new_zeros(len(x), units) if h is None else h
        states = []
        for A in x.unflatten(-1, (units, units)).unbind(1):
            h = (A @ h.unsqueeze(-1)).squeeze(-1)
            states.append(h)
        return torch.stack(states, 1), torch.stack(states, 1)

    return system


@pytest.mark.parametrize("units", [1, 4, 6])
def test_random_gaussian_matrices_have_the_spectrum_of_newman(units: int) -> None:
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((100, 200, units**2)) / math.sqrt(units))
    found = lyapunov(factors(units), x)
    rank = np.arange(1, units + 1)
    exact = (math.log(2 / units) + digamma((units - rank + 1) / 2)) / 2
    np.testing.assert_allclose(found.exponents, exact, atol=0.02)
    if units == 4:
        assert exact == pytest.approx([-0.1352, -0.3283, -0.6352, -1.3283], abs=1e-4)
    if units == 1:
        assert exact == pytest.approx([-0.6352], abs=1e-4)


def test_the_exponent_is_the_mean_of_logarithms() -> None:
    x = torch.from_numpy(np.random.default_rng(0).choice([2.0, 0.25], (50, 400, 1)))
    found = lyapunov(factors(1), x)
    assert found.largest == pytest.approx(-0.346574, abs=4 * math.log(8) / 2 / math.sqrt(50 * 399))
    assert found.largest == pytest.approx(float(x[:, 1:].log().mean()))
    assert found.each.shape == (50, 1)


def test_a_jordan_block_decays_at_its_eigenvalue() -> None:
    found = lyapunov(rnn([[0.9, 1.0], [0.0, 0.9]]), ZEROS(60, 1))
    assert found.exponents == pytest.approx([math.log(0.9)] * 2)


def test_the_exponent_of_a_latch_is_the_log_of_its_slope() -> None:
    module, held = latch(2.0)
    x = ZEROS(30, 1)
    x[0] = math.atanh(held)
    assert lyapunov(module, x).largest == pytest.approx(-1.793529, abs=1e-6)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_exponents_sum_to_the_mean_log_determinant_and_the_largest_is_the_growth_of_products(kind: Any) -> None:
    """The Jacobians come from autograd on the torch module."""
    module, x = seeded(kind, 2, 3).double(), torch.from_numpy(np.random.default_rng(3).standard_normal((1, 60, 2)))
    found = lyapunov(module, x)
    state, total, vector, growth = module(x[:, :1])[1], 0.0, None, 0.0
    for t in range(1, 60):
        parts = state if isinstance(state, tuple) else (state,)

        def after(*parts: Tensor, t: int = t) -> Tensor:
            end = module(x[:, t : t + 1], parts if len(parts) > 1 else parts[0])[1]
            return torch.stack(end if isinstance(end, tuple) else (end,)).flatten()

        whole = torch.autograd.functional.jacobian(after, tuple(part.detach() for part in parts))
        J = torch.cat([part.flatten(1) for part in whole], 1)
        total += float(torch.linalg.slogdet(J).logabsdet)
        vector = J @ (torch.ones(len(J), dtype=torch.float64) if vector is None else vector)
        growth += math.log(float(vector.norm()))
        vector = vector / vector.norm()
        state = module(x[:, t : t + 1], state)[1]
    assert found.exponents.sum() == pytest.approx(total / 59, rel=1e-6)
    assert found.largest == pytest.approx(growth / 59, abs=0.06)
    assert (np.diff(found.exponents) <= 0).all()


def test_count_selects_the_largest_exponents() -> None:
    module, x = seeded(nn.GRU, 2, 6), torch.from_numpy(np.random.default_rng(3).standard_normal((3, 200, 2)))
    whole, few = lyapunov(module, x), lyapunov(module, x, count=2)
    assert few.exponents == pytest.approx(whole.exponents[:2], abs=0.01)
    assert few.each.shape == (3, 2)


def test_burn_in_skips_the_first_steps() -> None:
    """A latch that starts away from its fixed point."""
    module, held = latch(1.5)
    x = ZEROS(400, 1)
    x[0] = 0.1
    rate = math.log(1.5 * (1 - held**2))
    assert abs(lyapunov(module, x).largest - rate) > 1e-3
    settled = lyapunov(module, x, burn_in=100)
    assert settled.largest == pytest.approx(rate, abs=1e-9)
    assert settled.steps == 299


def test_a_direction_that_is_lost_has_exponent_minus_infinity() -> None:
    found = lyapunov(shift_register(4), ONES(12, 1))
    assert found.exponents.tolist() == [-math.inf] * 4
    assert found.tau_max == 0
    assert lyapunov(rnn(orthogonal(3)), ZEROS(9, 1)).tau_max == math.inf
    assert math.isnan(lyapunov(rnn([[math.nan]]), ONES(5, 1)).largest)


def test_rows_are_the_ranked_exponents_of_each_replica() -> None:
    task = tasks.build({"name": "recall", "lag": 6})
    architecture = Architecture(cells.build("gru"), task.inputs, 5, 4, depth=2)
    network = draw(architecture, [inits.build("torch")] * 2, [0, 1], 6)
    measure = LyapunovMeasure(length=40, burn_in=5, count=8)
    packed = measure.rows(network, task, [0, 1], lambda: network)
    for r in (0, 1):
        assert measure.rows(network.replica(r), task, [r], lambda: network) == [packed[r]]
    exponents = [row.value for row in packed[0] if row.statistic == "exponent"]
    assert [row.lag for row in packed[0]] == [*range(8), -1, -1]
    assert measure.live(packed[0]) == {"largest": exponents[0], "tau_max": -1 / exponents[0]}
    found = lyapunov(network.replica(0), measure.sample(task, 0).input_BTI, burn_in=5, count=8)
    assert exponents == found.exponents.tolist()
    more = LyapunovMeasure(count=300).rows(network, task, [0, 1], lambda: network)[0]
    assert sum(row.statistic == "exponent" for row in more) == 10


@pytest.mark.parametrize(("lag", "options"), [(4, {"bidirectional": True}), (0, {})])
def test_networks_that_carry_no_state_have_no_rows(lag: int, options: dict[str, Any]) -> None:
    task = tasks.build({"name": "recall", "lag": lag})
    architecture = Architecture(cells.build("gru"), task.inputs, 5, 4, **options)
    network = draw(architecture, [inits.build("torch")], [0], 6)
    assert LyapunovMeasure().rows(network, task, [0], lambda: network) == [[]]


@pytest.mark.parametrize("scale", [1e-200, 1e155, 1e200])
def test_factors_whose_squares_leave_double_precision_have_exponents(scale: float) -> None:
    """Two units that do not affect each other: ln of the factor of each."""
    x = torch.tensor([[scale, 0, 0, scale / 2]], dtype=torch.float64).repeat(6, 1)
    start = torch.zeros(1, 6, 4, dtype=torch.float64) + x
    found = lyapunov(factors(2), start)
    np.testing.assert_allclose(found.exponents, [math.log(scale), math.log(scale / 2)], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 4}, "between 1 and 3, the size of the full state; got 4"),
        ({"count": 0}, "got 0"),
        ({"burn_in": 4}, "burn_in must be below 4, the number of Jacobians of 5 steps; got 4"),
        ({"burn_in": -1}, "got -1"),
    ],
    ids=range(4),
)
def test_impossible_options_are_errors(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lyapunov(nn.GRU(1, 3), ONES(5, 1), **options)


def test_a_burn_in_longer_than_the_sequences_is_an_error_before_training() -> None:
    with pytest.raises(ValueError, match="burn_in is 10, but sequences of 7 steps have 6 Jacobians"):
        LyapunovMeasure(burn_in=10).check(tasks.build({"name": "recall", "lag": 6}))
    LyapunovMeasure(burn_in=10, length=40).check(tasks.build({"name": "recall", "lag": 6}))
