"""The search that the tests of this folder run."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from farback.experiment import Experiment, Search
from farback.runs.search import Found
from farback.runs.search.api import checked_search
from farback.stores.memory import Memory

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

Small = Callable[..., Search]


class Finished(NamedTuple):
    """A search that is done, its result, and the store of its networks."""

    experiment: Search
    found: Found
    store: Memory


def loaded(folder: Path, *overrides: str, text: str = SMALL) -> Search:
    """The small search as a config of a project in this folder."""
    config = folder / "configs" / "small.yaml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(text)
    return checked_search(Experiment.load(config, overrides))
