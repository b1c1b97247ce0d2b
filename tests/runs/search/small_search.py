"""The search that the tests of this folder run."""

from collections.abc import Callable

from farback.experiment import Search

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
