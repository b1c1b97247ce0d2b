"""Searches that train in a blink."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from farback.experiment import Experiment

SMALL = """\
name: small
question: Which learning rate?
base:
  task: {name: recall, symbols: 2, filler: blank}
  lag: 2
  batch: 4
  steps: 4
  evaluate_every: 2
  measures: [{name: retention, lags: [1, 2], sequences: 40}]
search:
  groups: {cell: [elman, memoryless]}
  space:
    optimizer.lr: {log: [1.0e-3, 1.0e-1]}
    hidden: {int: [2, 4]}
    clip: [1.0, null]
  objective: {skill: 2}
  trials: 4
  seeds: 2
  sampler: {name: random, seed: 3}
  batch: 2
  report: {seeds: 2}
"""

Small = Callable[..., Experiment]


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """The small search, with overrides, as a config of a project folder of its own."""

    def load(*overrides: str, text: str = SMALL) -> Experiment:
        folder = tmp_path / "configs"
        folder.mkdir(exist_ok=True)
        (folder / "small.yaml").write_text(text)
        return Experiment.load(folder / "small.yaml", overrides)

    return load
