"""The interface of a measure: a quantity computed on a trained network, usually for each lag."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from farback.networks.network import Network
from farback.records.component import Component, Family
from farback.records.record import Several, Since
from farback.system.random_streams import stream
from farback.tasks.base import LONGEST_LAG, Batch, Task

Floats = NDArray[np.float64]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Lag = Annotated[int, Field(ge=0, le=LONGEST_LAG)]


class MeasureRow(NamedTuple):
    """One measured number; `lag` is -1 if the statistic is not measured at a lag."""

    lag: int
    statistic: str
    value: float


Row = MeasureRow  # the name in 0.1.0, which plug-ins import
Untrained = Callable[[], Network]
When = Literal["start", "end"] | Annotated[int, Field(ge=1, le=10_000_000)]


def curve_rows(lags: Iterable[int], curves: Mapping[str, Any]) -> list[MeasureRow]:
    """A row for each lag and statistic; each curve has one value per lag."""
    return [
        MeasureRow(int(lag), statistic, float(values[index]))
        for index, lag in enumerate(lags)
        for statistic, values in curves.items()
    ]


def summary_rows(**values: Any) -> list[MeasureRow]:
    """A row for each statistic that is not measured at a lag."""
    return [MeasureRow(-1, statistic, float(value)) for statistic, value in values.items()]


class Measure(Component):
    """The base class of the measures. A subclass defines `network_rows`, or `rows` if it needs the untrained network.

    `needs_cell` says whether it is about units or gates of a cell, which a whole network of the user's does not show.
    `at` lists when the measure is taken: at the `start` (as initialised), after a number of updates, or at the `end`.
    If training stops early, the measure is still taken at the end; listed updates that were not reached are skipped.
    """

    needs_cell: ClassVar[bool] = False

    at: Annotated[Several[When], Since("0.1.0"), Field(min_length=1)] = ("end",)

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[MeasureRow]]:
        """Measure every replica of a network; return one list of rows per replica.

        Args:
            task: the task that the replicas were trained on, with their training lag.
            seeds: the seed of each replica; the measure draws its random numbers from separate streams of these seeds.
            untrained: a function that returns the same replicas with their initial parameters.
        """
        return [self.network_rows(network.replica(index), task, seed) for index, seed in enumerate(seeds)]

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """Measure one replica, passed as a network with a single replica."""
        raise NotImplementedError(f"measure {self.name} must define network_rows or rows")

    def is_due(self, updates: int) -> bool:
        """Whether the measure is taken during training after this number of updates."""
        return (updates or "start") in self.at

    def live(self, rows: Sequence[MeasureRow]) -> dict[str, float]:
        """The values of one replica that are plotted over updates: by default the rows without a lag."""
        return {row.statistic: row.value for row in rows if row.lag < 0}

    def check(self, task: Task) -> None:
        """Raise ValueError if the measure does not apply to this task."""


class Sampled(Measure):
    """The base class of measures that run the network on sequences of the trial's task (of finite data: for training).

    `length` is the lag of these sequences, by default the trial's lag. A larger one lets the measure cover more lags.
    """

    sequences: Count = 64
    length: Lag | None = None

    def longer(self, task: Task) -> Task:
        """The task at the lag of the sequences."""
        return task if self.length is None else task.at(self.length)

    def sample(self, task: Task, seed: int) -> Batch:
        """Sequences from a random stream that only this measure uses."""
        longer = self.longer(task)
        return longer.sample(stream(seed, "test", self.name, longer.lag), self.sequences)

    def check(self, task: Task) -> None:
        """The task must be possible at lag `length`, with the same inputs and answers as at the trial's lag."""
        if self.length is None:
            return
        other = task.at(self.length)
        if (other.inputs, other.answer) != (task.inputs, task.answer):
            raise ValueError(f"length must be left out: {task.name} has other inputs or answers at lag {self.length}")


class SingleInput(Measure):
    """The base class of measures that drive one of the task's input channels and hold the others at zero."""

    max_lag: Lag = 100
    channel: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    def check(self, task: Task) -> None:
        """The task must have this channel."""
        if self.channel >= task.inputs:
            raise ValueError(f"channel is {self.channel}, but {task.name} has only inputs 0 to {task.inputs - 1}")


FAMILY = Family("farback.measures", Measure, "measure")
