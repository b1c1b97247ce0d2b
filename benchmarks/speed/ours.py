"""farback's version of a training step: the updates of the training loop, on a batch drawn before."""

from __future__ import annotations

from benchmarks.speed.points import Point

from farback.kernels.precompile import precompile
from farback.system.arithmetic import arithmetic
from farback.training.batches import CohortBatch
from farback.training.replicas import Replicas, Window, initial_network

BLOCK = 16  # updates of one call at most, as in training, where so many batches are drawn at once


class _FixedBatch:
    """Returns the same batch each time, so that drawing data is not timed."""

    def __init__(self, questions: CohortBatch) -> None:
        self.questions, self.updates = questions, [*range(len(questions.x_RTBI))]
        self.repeated = {1: questions}

    def next(self, most: int = 1) -> CohortBatch:
        """The batch, as often as it is asked for."""
        if most not in self.repeated:
            self.repeated[most] = self.questions.rows(self.updates * most)
        return self.repeated[most]

    def put_back(self, count: int) -> None:
        """Nothing: there is one batch."""


class Ours:
    """A cohort at a point of the grid.

    Attributes:
        block: the number of updates in a call of the training loop, known after the first step.
    """

    def __init__(self, point: Point) -> None:
        trials = point.trials
        precompile([trials[0].cell.kernel])
        self.network = initial_network(trials)  # before the first step
        self.replicas = Replicas(trials)
        self.questions = self.replicas.training.next()
        self.replicas.training = _FixedBatch(self.questions)  # type: ignore[assignment]
        self.count, self.block = 0, 1
        self.losses: list[list[float]] = []  # of updates that are done and not returned

    def step(self) -> list[float]:
        """One update of every replica; the losses before it. Updates are done as many at a time as in training."""
        if not self.losses:
            with arithmetic():
                done, _ = self.replicas.update(self.count + 1, BLOCK)
            self.block = done
            self.count += done
            self.losses = self.replicas.window.loss[-1].tolist()
            self.replicas.window = Window()
        return self.losses.pop(0)
