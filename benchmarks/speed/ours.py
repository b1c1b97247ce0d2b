"""farback's version of one training step: the update of the training loop, on a batch drawn before."""

from __future__ import annotations

from benchmarks.speed.points import Point

from farback.kernels.precompile import precompile
from farback.system.arithmetic import arithmetic
from farback.training.batches import CohortBatch
from farback.training.replicas import Replicas, Window, initial_network


class _FixedBatch:
    """Returns the same batch each time, so that drawing data is not timed."""

    def __init__(self, questions: CohortBatch) -> None:
        self.questions = questions

    def next(self) -> CohortBatch:
        """The batch."""
        return self.questions


class Ours:
    """A cohort at a point of the grid."""

    def __init__(self, point: Point) -> None:
        trials = point.trials
        precompile([trials[0].cell.kernel])
        self.network = initial_network(trials)  # before the first step
        self.replicas = Replicas(trials)
        self.questions = self.replicas.training.next()
        self.replicas.training = _FixedBatch(self.questions)  # type: ignore[assignment]
        self.count = 0

    def step(self) -> list[float]:
        """One update of every replica; the losses before it."""
        self.count += 1
        with arithmetic():
            self.replicas.update(self.count)
        losses: list[float] = self.replicas.window.loss[-1].tolist()
        self.replicas.window = Window()
        return losses
