"""What a network forecasts: maps to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field

from farback.measures.base import Measure, Row, Untrained
from farback.measures.support.system import as_system
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Task
from farback.tasks.lightning import Lightning


class Maps(Measure):
    """One day's forecast of lightning, pixel by pixel, of the same sequence for every network and seed.

    Rows, with the pixel's number (row by row) in place of the lag: `observed`, the map that the answer depends on;
    `truth`, what was then struck; `bayes`, the probabilities of the best forecast; `predicted`, the network's.

    Source: the seed article, which shows maps.
    """

    lag: Annotated[int, Field(ge=0, le=100_000)] | None = None
    sequence: Annotated[int, Field(ge=0, le=1000)] = 0

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Four maps for each replica."""
        assert isinstance(task, Lightning)  # as checked
        asked = task if self.lag is None else task.at(self.lag)
        input_BTI, target_BTC, lag_BT = asked.sample(stream(0, "maps", asked.lag, self.sequence), 1)
        step = int((lag_BT[0] >= 0).nonzero()[-1])
        shared = {
            "observed": input_BTI[0, step - asked.lag, : asked.grid**2].tolist(),
            "truth": target_BTC[0, step].tolist(),
            "bayes": asked.forecast(input_BTI[0].numpy(), step).tolist(),
        }
        found = []
        for index in range(len(seeds)):
            with torch.no_grad():
                output_BTO = as_system(network.replica(index))(input_BTI)[0]
            maps = {**shared, "predicted": torch.sigmoid(output_BTO[0, step].double()).tolist()}
            found.append([Row(at, name, float(p)) for name, values in maps.items() for at, p in enumerate(values)])
        return found

    def check(self, task: Task) -> None:
        """Only lightning has maps; its lag must be possible."""
        if not isinstance(task, Lightning):
            raise ValueError(f"maps are of lightning's days, and the task is {task.name}")
        if self.lag is not None and self.lag != task.lag:
            if not task.mixes:
                raise ValueError(f"{task.name} with mode {task.mode} can only be asked at its own lag, {task.lag}")
            task.at(self.lag)
