"""A measure is something computed on a trained network that depends on lag."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from farback.component import Component, Family
from farback.network import Network
from farback.tasks.base import Task


class Row(NamedTuple):
    """One number: `lag` is -1 where the statistic belongs to no lag."""

    lag: int
    statistic: str
    value: float


class Measure(Component):
    """The base of the measures, as they are named in a trial."""

    @abstractmethod
    def rows(self, network: Network, task: Task, seeds: Sequence[int]) -> list[list[Row]]:
        """Measure every replica of a network.

        Args:
            network: R replicas.
            task: what they were trained on, at the lag they were trained at.
            seeds: the replicas' seeds, from which the measure names streams of its own.
        """

    def check(self, task: Task) -> None:
        """Raise ValueError where the measure cannot be taken on that task."""


FAMILY = Family("farback.measures", Measure, "measure", apart=("system",))
