"""Lags of trials: chosen one after another in a sweep, or given by the data of a task."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from farback.records.record import Record
from farback.tasks.base import FAMILY, LONGEST_LAG
from farback.tasks.support.mixed_lags import Bounds

Lag = Annotated[int, Field(ge=0, le=LONGEST_LAG)]


class AdaptiveLag(Record):
    """The lags of a sweep's trials, chosen one after another: `{adaptive: [5, 320], precision: 0.3}`.

    For each network, the next lag is the one that tells most about its horizon for the time it costs. Every training
    has a seed of its own (docs/sweeps.md).

    Attributes:
        adaptive: the smallest and the largest lag to try.
        precision: the standard deviation of the horizon, in octaves (factors of two), at which a network is finished.
        limit: most trainings of a network; with `tune`, each setting gets about half of it before one is chosen.
    """

    adaptive: Bounds
    precision: Annotated[float, Field(ge=0.02, le=2)] = 0.3
    limit: Annotated[int, Field(ge=12, le=10_000)] = 60

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.adaptive) != 2 or self.adaptive[0] >= self.adaptive[1]:
            raise ValueError(f"adaptive takes two lags [smallest, largest], got {list(self.adaptive)}")
        return self


def lag_of_data(task: dict[str, Any]) -> int | None:
    """The lag of a task whose data give it; -1 if they cannot be read, which the task then reports; else None."""
    try:
        if not FAMILY.plugin(str(task.get("name"))).lag_of_data:
            return None
    except ValueError:
        return None
    try:
        return FAMILY.build({name: value for name, value in task.items() if name != "lag"}).lag
    except ValueError:
        return -1
