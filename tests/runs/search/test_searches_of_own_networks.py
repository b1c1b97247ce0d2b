"""Searches of what a project brings along: a module, a whole network, and a cell in `parts/`."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_search import SMALL, Small

from farback.experiment import Experiment
from farback.runs.search import search
from farback.stores.memory import Memory

MINE = """
import torch
from torch import nn


class Gated(nn.Module):
    def __init__(self, inputs, hidden, keep=0.5):
        super().__init__()
        self.inward, self.keep = nn.Linear(inputs, hidden), keep

    def forward(self, x, h=None):
        h = x.new_zeros(len(x), self.inward.out_features) if h is None else h
        return self.keep * h + torch.tanh(self.inward(x))


class Model(nn.Module):
    def __init__(self, inputs, outputs, units=3):
        super().__init__()
        self.rnn, self.readout = nn.RNN(inputs, units, batch_first=True), nn.Linear(units, outputs)

    def forward(self, x):
        return self.readout(self.rnn(x)[0])
"""
PART = """
import torch
from farback.cells.base import GatedCell, recurrent


class Slow(GatedCell):
    rate: float = 0.1

    def step(self, p, gates_RBG, state):
        return (state[0] + self.rate * (torch.tanh(gates_RBG + recurrent(state[0], p)) - state[0]),)
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARBACK_PROJECT", "")  # restored afterwards: loading a config sets it
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "parts" / "cells").mkdir(parents=True)
    (tmp_path / "parts" / "cells" / "slow.py").write_text(PART)


@pytest.mark.slow
def test_cells_of_a_project_are_searched_beside_each_other(small: Small) -> None:
    """In worker processes; the configs of the winners can be trained."""
    text = SMALL.replace("[elman, memoryless]", "[{name: module, class: 'mine:Gated'}, slow]")
    text = text.replace("clip: [1.0, null]", "cell.rate: {float: [0.1, 0.5], when: {cell.name: slow}}")
    text = text.replace("hidden: {int: [2, 4]}", "cell.with.keep: {float: [0.2, 0.9], when: {cell.name: module}}")
    found = search(small(text=text), workers=2, store=Memory())
    assert (found.trained, found.failed) == (2 * 4 * 2 + 2 * 2, 0)
    assert ["cell.rate" in winner.settings for winner in found.winners] == [False, True]
    assert all(("cell.with.keep" in winner.settings) != ("cell.rate" in winner.settings) for winner in found.winners)
    for path in found.configs:
        assert len(Experiment.load(path).trials()) > 0  # type: ignore[attr-defined]


@pytest.mark.slow
def test_an_argument_of_a_whole_network_is_searched(small: Small) -> None:
    text = SMALL.replace("  groups: {cell: [elman, memoryless]}\n", "")
    text = text.replace("  lag: 2\n", "  lag: 2\n  network: {name: module, class: 'mine:Model'}\n")
    text = text.replace("hidden: {int: [2, 4]}", "network.with.units: {int: [2, 5]}")
    found = search(small(text=text), workers=1, store=Memory())
    assert (found.trained, found.failed) == (4 * 2 + 2, 0)
    (trial, *_) = Experiment.load(found.configs[0]).trials()  # type: ignore[attr-defined]
    assert trial.network.options["units"] in range(2, 6)
