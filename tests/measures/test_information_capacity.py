"""Information processing capacity with known values: linear systems have degree 1 only, polynomials their terms."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from linear_systems import driven, first, relu_rnn, shift

from farback import cells, inits, tasks
from farback.measures import information_capacity, memory_function
from farback.measures.information_capacity import InformationCapacityMeasure
from farback.networks.network import Architecture, draw

STEPS = 6000


def past(input_T: Any, lag: int) -> Any:
    return np.concatenate([np.zeros(lag), input_T[: len(input_T) - lag]])


def drive(distribution: str, rng: np.random.Generator) -> Any:
    return rng.uniform(-3, 3, STEPS) if distribution == "uniform" else 2 + 5 * rng.normal(size=STEPS)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_a_shift_register_has_its_length_in_degree_one(
    distribution: Literal["uniform", "normal"], rng: np.random.Generator
) -> None:
    input_T = drive(distribution, rng)
    state_TN = np.stack([past(input_T, k) for k in range(5)], 1)
    found = information_capacity(input_T, state_TN, 8, 3, distribution)
    assert found.capacity_DK[0] == pytest.approx([1.0] * 5 + [0.0] * 4, abs=1e-9)
    assert found.by_degree == pytest.approx([5, 0, 0], abs=0.05)
    assert found.total() == pytest.approx(5, abs=0.1)
    assert (found.features, found.terms) == (5, 219)


def test_the_cube_of_a_uniform_input_is_84_percent_linear_and_16_percent_cubic(rng: np.random.Generator) -> None:
    """u^3 = 3/5 P1 + 2/5 P3 on [-1, 1]: variances 9/75 and 4/175 of 1/7."""
    input_T = rng.uniform(-1, 1, 40_000)
    found = information_capacity(input_T, past(input_T, 2)[:, None] ** 3, 4, 4)
    assert found.by_degree == pytest.approx([0.84, 0, 0.16, 0], abs=0.01)
    assert found.capacity_DK[0, 2] == pytest.approx(0.84, abs=0.01)
    assert found.total() == pytest.approx(1, abs=0.005)


def test_the_cube_of_a_normal_input_is_nine_fifteenths_linear(rng: np.random.Generator) -> None:
    """x^3 = He3 + 3 He1: variances 6 and 9 of 15."""
    input_T = rng.normal(size=40_000)
    found = information_capacity(input_T, input_T[:, None] ** 3, 2, 3, "normal")
    assert found.by_degree == pytest.approx([0.6, 0, 0.4], abs=0.03)


def test_a_product_counts_once_in_degree_two_at_its_larger_lag(rng: np.random.Generator) -> None:
    input_T = drive("uniform", rng)
    state_TN = np.stack([past(input_T, 1) * past(input_T, 4), 3 * input_T**2 - 9], 1)
    found = information_capacity(input_T, state_TN, 6, 3)
    assert found.capacity_DK[1] == pytest.approx([1, 0, 0, 0, 1, 0, 0], abs=0.01)
    assert found.by_degree == pytest.approx([0, 2, 0], abs=0.03)


def test_capacities_of_tanh_units_sum_to_their_number(rng: np.random.Generator) -> None:
    """Dambre's theorem for networks with fading memory. A stronger input shifts capacity from linear to odd degrees."""
    W = rng.normal(size=(6, 6))
    W *= 0.3 / np.abs(np.linalg.eigvals(W)).max()
    w, input_T = rng.normal(size=6), rng.uniform(-1, 1, 10_000)
    linear = []
    for gain in (0.3, 2.0):
        h, states = np.zeros(6), []
        for u in input_T:
            h = np.tanh(W @ h + gain * w * u)
            states.append(h)
        found = information_capacity(input_T, np.stack(states), 6, 5, washout=50)
        assert 5.4 < found.total() < 6.1
        assert found.by_degree[[1, 3]] == pytest.approx([0, 0], abs=0.05)
        linear.append(found.by_degree[0])
    assert linear[0] > linear[1] + 0.5


def test_degree_one_is_the_memory_function(rng: np.random.Generator) -> None:
    input_T = rng.uniform(0, 1, STEPS)
    state_TN = driven(relu_rnn(0.8 * shift(4) + 0.1 * np.eye(4), first(4)), input_T)
    found = information_capacity(input_T, state_TN, 10, 1, false_positives=1.0)
    assert found.capacity_DK[0] == pytest.approx(memory_function(input_T, state_TN, 10).r2, abs=1e-9)


@pytest.mark.parametrize("false_positives", [1e-4, 1.0])
def test_independent_states_have_no_capacity(false_positives: float, rng: np.random.Generator) -> None:
    """Unadjusted R2 of 3275 terms would sum to 3275 * 20 / 1979 = 33."""
    found = information_capacity(
        rng.uniform(size=2000), rng.normal(size=(2000, 20)), 24, 3, false_positives=false_positives
    )
    assert found.terms == 3275
    assert found.total() == pytest.approx(0, abs=1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((3, 0), "max_degree must be 1 or more"), ((40, 6), "max_degree 6 and max_lag 40 give"), ((50, 1), "no samples")],
)
def test_impossible_options_are_errors(arguments: tuple[int, int], message: str, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=message):
        information_capacity(rng.uniform(size=50), rng.normal(size=(50, 2)), *arguments)


def test_the_rows_of_the_measure() -> None:
    network = draw(Architecture(cells.build("shift_register"), 2, 8, 1), [inits.build("torch")], [0], 5)
    measure = InformationCapacityMeasure(length=1000, max_lag=6, max_degree=2)
    (rows,) = measure.rows(network, tasks.build("adding"), [0], lambda: network)
    assert {(row.lag, row.statistic) for row in rows if row.lag >= 0} == {
        (lag, f"degree_{degree}") for lag in range(7) for degree in (1, 2)
    }
    alone = {row.statistic: row.value for row in rows if row.lag < 0}
    assert alone.keys() == {"degree_1_total", "degree_2_total", "total", "features"}
    assert alone["degree_1_total"] == pytest.approx(4, abs=0.05)
    assert alone["features"] == 4.0


def test_too_many_terms_are_an_error_before_training() -> None:
    with pytest.raises(ValueError, match="more than"):
        InformationCapacityMeasure(max_lag=400, max_degree=4).check(tasks.build("adding"))
