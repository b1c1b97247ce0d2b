"""The Fisher memory of networks: the total that theory gives (Ganguli, Huh and Sompolinsky 2008)."""

from __future__ import annotations

from typing import Any

import pytest

from farback import cells, inits, tasks
from farback.measures.fisher_memory import FisherMemoryMeasure
from farback.networks.network import Architecture, draw


def total(cell: Any, init: Any, hidden: int, seed: int = 0) -> float:
    task = tasks.build({"name": "delay", "lag": 5})
    network = draw(Architecture(cells.build(cell), task.inputs, hidden, 1), [inits.build(init)], [seed], 5)
    (rows,) = FisherMemoryMeasure(max_lag=2000).rows(network, task, [seed], lambda: network)
    return {row.statistic: row.value for row in rows if row.lag < 0}["total"]


@pytest.mark.parametrize("gain", [0.5, 0.95])
def test_a_normal_network_of_any_size_has_total_one(gain: float) -> None:
    linear = {"name": "elman", "nonlinearity": "identity"}
    for hidden in (4, 9):
        assert total(linear, {"name": "orthogonal", "gain": gain}, hidden) == pytest.approx(1.0, abs=1e-6)


def test_a_register_has_the_harmonic_number_and_no_network_more_than_its_units() -> None:
    assert total("shift_register", "torch", 8) == pytest.approx(sum(1 / k for k in range(1, 9)), abs=1e-9)
    for seed in range(2):
        linear = {"name": "elman", "nonlinearity": "identity"}
        assert total(linear, {"name": "scaled", "radius": 0.9}, 8, seed) <= 8
