"""farback's side of one training step: the update of the only training loop, on data that was drawn before."""

from __future__ import annotations

from benchmarks.speed.points import Point

from farback.data import Questions
from farback.kernels.warming import PRODUCT, warm
from farback.network import Network
from farback.replicas import Replicas, Window, drawn
from farback.train import arithmetic


class _Same:
    """Data that is always the same batch: drawing is no part of the step."""

    def __init__(self, questions: Questions) -> None:
        self.questions = questions

    def next(self) -> Questions:
        """The batch."""
        return self.questions


class Ours:
    """A cohort at a point of the grid."""

    def __init__(self, point: Point) -> None:
        trials = point.trials
        warm({trials[0].cell.kernel or PRODUCT, PRODUCT})
        self.cohort = Replicas(trials)
        self.network: Network = drawn(trials)  # before the first step
        self.questions: Questions = self.cohort.training.next()
        self.cohort.training = _Same(self.questions)  # type: ignore[assignment]
        self.count = 0

    def step(self) -> list[float]:
        """One update of every replica; the losses before it."""
        self.count += 1
        with arithmetic():
            self.cohort.update(self.count)
        loss_R = self.cohort.window.loss[-1]
        self.cohort.window = Window()
        losses: list[float] = loss_R.tolist()
        return losses
