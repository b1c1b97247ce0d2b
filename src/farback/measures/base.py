"""A measure is something computed on a trained network that depends on lag."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from farback.networks.network import Network
from farback.records.component import Component, Family
from farback.records.record import Several, Since
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Task


class Row(NamedTuple):
    """One number: `lag` is -1 where the statistic belongs to no lag."""

    lag: int
    statistic: str
    value: float


Untrained = Callable[[], Network]
When = Literal["start", "end"] | Annotated[int, Field(ge=1, le=10_000_000)]


class Measure(Component):
    """The base of the measures, as they are named in a trial.

    `at` says when a measure is taken: at the `start` (as initialised), after so many updates, at the `end`. A network
    that leaves training early is measured at its end only, whatever updates would have come.
    """

    at: Annotated[Several[When], Since("0.2"), Field(min_length=1)] = ("end",)

    @abstractmethod
    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Measure every replica of a network.

        Args:
            network: R replicas.
            task: what they were trained on, at the lag they were trained at.
            seeds: the replicas' seeds, from which the measure names streams of its own.
            untrained: makes the same replicas as they were drawn, for measures that compare with them.
        """

    def taken(self, updates: int) -> bool:
        """Whether the measure is taken after so many updates, on the way."""
        return (updates or "start") in self.at

    def live(self, rows: Sequence[Row]) -> dict[str, float]:
        """What of one replica's rows is shown as a curve over the updates: by default what belongs to no lag."""
        return {row.statistic: row.value for row in rows if row.lag < 0}

    def check(self, task: Task) -> None:
        """Raise ValueError where the measure cannot be taken on that task."""


class Sampled(Measure):
    """The base of measures that are taken on fresh sequences of the trial's task.

    `length` is the lag of those sequences where it is not the trial's: a longer one shows more lags.
    """

    sequences: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    length: Annotated[int, Field(ge=0, le=100_000)] | None = None

    def sample(self, task: Task, seed: int) -> Batch:
        """Sequences of a stream of their own."""
        asked = task if self.length is None else task.at(self.length)
        return asked.sample(stream(seed, "test", self.name, asked.lag), self.sequences)

    def check(self, task: Task) -> None:
        """At that length the task must be possible, and look the same to the network."""
        if self.length is None:
            return
        other = task.at(self.length)
        if (other.inputs, other.answer) != (task.inputs, task.answer):
            raise ValueError(
                f"{task.name} has other inputs or answers at lag {self.length}, so length must be left out"
            )


FAMILY = Family("farback.measures", Measure, "measure")
