"""Trained short, tested long, on oracles: a ring buffer remembers the same whatever it was trained at."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from farback import tasks
from farback.measures import length_matrix, retention


def buffer(task: Any, slots: int, least: int = 0) -> Any:
    """Answers recall from a buffer of so many slots, and only from a lag on."""

    def call(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        T = x_BTI.shape[1]
        cue_BK = x_BTI[:, 0, : task.symbols] * (least <= T - 1 < slots)
        output = 20 * cue_BK.unsqueeze(1).expand(-1, T, -1)
        return output, output

    return call


LAGS = [1, 2, 4, 8, 16, 32]


def test_a_ring_buffer_s_matrix_is_one_up_to_its_slots_and_chance_beyond_in_every_row() -> None:
    task = tasks.build({"name": "recall", "symbols": 5})
    systems = {4: buffer(task, 12), 16: buffer(task, 12), (1, 8): buffer(task, 12)}
    found = length_matrix(systems, task, LAGS, sequences=1500)
    assert found.trained == (4, 16, (1, 8))
    assert found.longest.tolist() == [4, 16, 8]
    assert found.lag.tolist() == LAGS
    assert found.accuracy_NL[:, :4].tolist() == [[1.0] * 4] * 3
    assert found.accuracy_NL[:, 4:] == pytest.approx(np.full((3, 2), 0.2), abs=0.05)
    assert found.skill_NL[:, 4:] == pytest.approx(np.zeros((3, 2)), abs=1e-6)
    assert found.remembered_NL.tolist() == [[True] * 4 + [False] * 2] * 3
    assert found.extrapolation.tolist() == [2.0, 0.5, 1.0]
    assert found.within.tolist() == [True, False, True]
    assert found.beyond == pytest.approx([(1 + 0.2 + 0.2) / 3, 0.2, 0.2], abs=0.05)


def test_failing_below_the_trained_length_is_no_extrapolation() -> None:
    """Right from lag 4 on, as training at one lag can leave a net."""
    task = tasks.build("recall")
    found = retention(buffer(task, 100, least=4), task, LAGS, sequences=200)
    assert found.extrapolation(8) == 0.0
    assert not found.within(8)
    assert found.beyond(8) == 1.0


def test_a_perfect_oracle_extrapolates_as_far_as_it_was_tested() -> None:
    task = tasks.build("recall")
    found = retention(buffer(task, 1000), task, LAGS, sequences=50)
    assert found.extrapolation(4) == 8.0
    assert found.horizon.right
    assert math.isnan(found.beyond(32))


def test_rows_are_tested_on_the_same_sequences() -> None:
    task = tasks.build("recall")
    found = length_matrix({1: lambda x: (torch.zeros(*x.shape[:2], 4),) * 2, 2: buffer(task, 1)}, task, [3], 100)
    assert found.accuracy_NL[0] == found.accuracy_NL[1]


@pytest.mark.parametrize("systems", [{}, {0: None}])
def test_networks_without_a_trained_length_are_refused(systems: Any) -> None:
    with pytest.raises(ValueError, match="by the lag they were trained at"):
        length_matrix(systems, tasks.build("recall"), LAGS)
