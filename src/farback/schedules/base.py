"""The interface of schedules, which change the learning rate during training, with warm-up.

The rate depends on nothing but the number of the update and the largest number of updates, `steps`, so a trial that is
resumed has the rates of one that never stopped. A trial that stops early does not reach the end of its schedule.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import Field

from farback.records.component import Component, Family

Final = Annotated[float, Field(ge=0, lt=1)]


class Schedule(Component):
    """The base class of schedules.

    Warm-up raises the rate in equal steps: update n of W has the rate `lr * n / (W + 1)`. Update W + 1 is the first
    with the whole rate `lr`.

    Attributes:
        warmup: number of updates of warm-up, W.
    """

    warmup: Annotated[int, Field(ge=0, le=10_000_000)] = 0

    @abstractmethod
    def decay(self, done: float) -> float:
        """The share of the rate to use after the share `done` of the updates after warm-up: from 0 to less than 1."""

    def factor(self, count: int, steps: int) -> float:
        """The learning rate of update number `count`, from 1 to `steps`, as a multiple of the optimizer's `lr`."""
        if count <= self.warmup:
            return count / (self.warmup + 1)
        return self.decay((count - 1 - self.warmup) / (steps - self.warmup))

    def check(self, steps: int) -> None:
        """Raise ValueError if training ends before the end of warm-up."""
        if steps and self.warmup >= steps:
            raise ValueError(f"schedule.warmup is {self.warmup} but steps is {steps}: warm-up must be shorter")


FAMILY = Family("farback.schedules", Schedule, "schedule")
