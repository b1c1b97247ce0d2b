"""Attracting states of systems in which they can be counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from farback import measures, tasks
from farback.measures import multistability
from farback.measures.known.systems import Latch, Register

BLANK = tasks.build({"name": "recall", "symbols": 2, "filler": "blank"})


def latches(count: int, loop: float, drive: float) -> nn.RNN:
    """Tanh units that do not see each other: two resting states each if the loop is above 1, else one."""
    module = nn.RNN(9, count, batch_first=True, bias=False)
    with torch.no_grad():
        module.weight_hh_l0.copy_(loop * torch.eye(count))
        module.weight_ih_l0.copy_(drive * torch.from_numpy(np.random.default_rng(0).normal(size=(count, 9))))
    return module


@pytest.mark.parametrize(("count", "loop", "states"), [(1, 2.2, 2), (3, 2.2, 8), (3, 0.9, 1)])
@pytest.mark.parametrize("drive", [0.01, 0.05])
def test_latches_have_two_states_each(count: int, loop: float, states: int, drive: float) -> None:
    """With filler, the states are trajectories, as many as without if the filler is too weak to switch a latch."""
    task = tasks.build({"name": "recall"})
    found = multistability(latches(count, loop, drive), task, starts=200, steps=200)
    assert (found.count, found.unsettled) == (states, 0.0)
    assert found.basin.sum() == pytest.approx(1.0)


def test_strong_filler_leaves_one_state() -> None:
    found = multistability(latches(2, 1.2, 5.0), tasks.build({"name": "recall"}), steps=200)
    assert found.count == 1


def test_a_latch_of_the_calibration_has_two_and_a_buffer_one() -> None:
    assert multistability(Latch(2.2).rnn, BLANK, steps=100).count == 2
    assert multistability(Register(2, 5).rnn, BLANK, steps=100).count == 1
    assert [multistability(system.rnn, BLANK, steps=100).kind for system in (Latch(2.2), Register(2, 5))] == [
        "multistable",
        "monostable",
    ]


def integrator(x_BTI: Tensor, state_B1: Tensor | None = None) -> Any:
    """Keeps every number: a line of resting states."""
    first_B1 = x_BTI.new_zeros(len(x_BTI), 1) if state_B1 is None else state_B1
    state_BT1 = first_B1[:, None] + (x_BTI[..., :1] - x_BTI[..., 1:2]).cumsum(1)
    return state_BT1, state_BT1


def test_a_line_of_resting_states_attracts_nothing() -> None:
    found = multistability(integrator, BLANK, steps=50)
    assert (found.count, found.unsettled, found.kind) == (0, 1.0, "not settled")


def test_a_state_that_grows_without_bound_attracts_nothing() -> None:
    def growing(x_BTI: Tensor, state_BS: Tensor | None = None) -> Any:
        state_BS = x_BTI.new_ones(len(x_BTI), 2) if state_BS is None else state_BS
        state_BTS = state_BS[:, None] * 10.0 ** torch.arange(1, x_BTI.shape[1] + 1, dtype=x_BTI.dtype)[None, :, None]
        return state_BTS, state_BTS

    found = multistability(growing, BLANK, starts=32, steps=500)
    assert (found.count, found.unsettled, found.kind) == (0, 1.0, "not settled")


def test_missed_is_the_share_of_a_basin_that_five_of_a_hundred_searches_miss() -> None:
    found = multistability(Latch(2.2).rnn, BLANK, starts=64, steps=50)
    rng = np.random.default_rng(0)
    missed = (rng.random((20_000, 64)) > found.missed).all(1).mean()
    assert missed == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize(
    ("system", "task", "words"),
    [(lambda x: x, "recall", "takes only inputs"), (Latch(2.2).rnn, "nback", "another question")],
)
def test_what_has_no_states_or_no_filler_is_refused(system: Any, task: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        multistability(system, tasks.build(task))


def test_a_measure_of_a_trial_has_the_count() -> None:
    from farback import cells, inits
    from farback.networks.network import Architecture, draw

    task = tasks.build({"name": "recall", "lag": 5})
    network = draw(Architecture(cells.build("gru"), 9, 6, 4), [inits.build("torch")], [0], 5)
    rows = measures.build({"name": "multistability", "steps": 100}).network_rows(network, task, 0)
    assert {row.statistic: row.value for row in rows}["count"] == 1.0  # PyTorch's start contracts


@pytest.mark.parametrize("keep", [0.9, 0.99, 0.995])
def test_a_memory_that_fades_slowly_has_one_state(keep: float) -> None:
    """Every difference of a leaky memory fades as keep^t, so there is one trajectory in the end."""

    def leaky(x_BTI: Tensor, state_BS: Tensor | None = None) -> Any:
        state_BS = x_BTI.new_zeros(len(x_BTI), 3) if state_BS is None else state_BS
        states = []
        for x_BI in x_BTI.unbind(1):
            state_BS = keep * state_BS + x_BI[:, :3]
            states.append(state_BS)
        return torch.stack(states, 1), torch.stack(states, 1)

    found = multistability(leaky, BLANK, starts=64, steps=300)
    assert (found.count, found.unsettled, found.kind) == (1, 0.0, "monostable")
