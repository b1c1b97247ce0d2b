"""Train short, test long, with buffers of known length in place of trained networks."""

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
    """Solves recall with a buffer of `slots` steps, but fails below lag `least`."""

    def call(x_BTI: Tensor) -> tuple[Tensor, Tensor]:
        T = x_BTI.shape[1]
        cue_BK = x_BTI[:, 0, : task.symbols] * (least <= T - 1 < slots)
        output = 20 * cue_BK.unsqueeze(1).expand(-1, T, -1)
        return output, output

    return call


LAGS = [1, 2, 4, 8, 16, 32]


def test_a_buffer_is_perfect_up_to_its_length_and_at_chance_beyond() -> None:
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


def test_a_failure_below_the_trained_lag_means_no_extrapolation() -> None:
    """Correct only from lag 4 on, as can happen after training at one lag."""
    task = tasks.build("recall")
    found = retention(buffer(task, 100, least=4), task, LAGS, sequences=200)
    assert found.extrapolation(8) == 0.0
    assert not found.within(8)
    assert found.beyond(8) == 1.0


def test_a_perfect_system_extrapolates_to_the_largest_tested_lag() -> None:
    task = tasks.build("recall")
    found = retention(buffer(task, 1000), task, LAGS, sequences=50)
    assert found.extrapolation(4) == 8.0
    assert found.horizon.right
    assert math.isnan(found.beyond(32))


def test_all_rows_use_the_same_sequences() -> None:
    task = tasks.build("recall")
    found = length_matrix({1: lambda x: (torch.zeros(*x.shape[:2], 4),) * 2, 2: buffer(task, 1)}, task, [3], 100)
    assert found.accuracy_NL[0] == found.accuracy_NL[1]


@pytest.mark.parametrize("systems", [{}, {0: None}])
def test_missing_or_zero_training_lags_are_errors(systems: Any) -> None:
    with pytest.raises(ValueError, match="by the lag they were trained at"):
        length_matrix(systems, tasks.build("recall"), LAGS)
