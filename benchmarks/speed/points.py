"""The grid of training steps: cells, sizes, lengths, batches, cohorts; and the operations at each point."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from farback.trials.trial import Trial

CELLS = {"RNN": {"name": "elman", "nonlinearity": "tanh"}, "GRU": {"name": "gru"}, "LSTM": {"name": "lstm"}}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
HIDDEN, STEPS, BATCH, COHORT = (32, 64, 128), (20, 100, 500), (32, 128), (1, 8)


@dataclass(frozen=True)
class Point:
    """One point of the grid."""

    cell: str
    H: int  # hidden units
    T: int  # time steps
    B: int  # sequences in a batch
    R: int  # replicas in a cohort

    @property
    def trials(self) -> list[Trial]:
        """The cohort: recall of one cue at the end of noise, Adam, clipping at norm 1."""
        shared = {
            "task": {"name": "recall", "symbols": 4, "filler": "noise"},
            "lag": self.T - 1,
            "cell": CELLS[self.cell],
            "hidden": self.H,
            "batch": self.B,
            "optimizer": {"name": "adam", "lr": 1e-3},
            "clip": 1.0,
        }
        return [Trial.model_validate({**shared, "seed": seed}) for seed in range(self.R)]

    @property
    def flops(self) -> int:
        """Multiplications and additions of the step's products: forward once, backward twice as much."""
        trial = self.trials[0]
        gates = GATES[self.cell] * self.H
        recurrent = 2 * self.T * self.B * gates * (self.H + trial.task.inputs)
        readout = 2 * self.B * self.H * trial.task.answer.outputs
        return 3 * self.R * (recurrent + readout)


def grid(quick: bool = False) -> list[Point]:
    """Every point; with `quick` only the fastest corners of the grid."""
    axes = ((32, 128), (20, 100), (32,), COHORT) if quick else (HIDDEN, STEPS, BATCH, COHORT)
    return [Point(cell, *sizes) for cell, sizes in itertools.product(CELLS, itertools.product(*axes))]
