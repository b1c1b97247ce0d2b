"""Forecast maps of the lightning task: observed, true, best possible and predicted."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from farback.measures.base import Lag, Measure, MeasureRow, curve_rows
from farback.measures.support.system import as_system
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Task
from farback.tasks.lightning import Lightning


class Maps(Measure):
    """The forecast of one lightning day, pixel by pixel, on a sequence that is the same for every network and seed.

    The rows have the pixel's number (row by row) in place of the lag: `observed`, the map that the answer depends on;
    `truth`, the lightning of that day; `bayes`, the best possible forecast, and `predicted`, the network's forecast.

    Source: Pickleprat 2024, which shows such maps.
    """

    lag: Lag | None = None
    sequence: Annotated[int, Field(ge=0, le=1000)] = 0

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """Rows observed, truth, bayes and predicted for each pixel."""
        assert isinstance(task, Lightning)  # ensured by `check`
        task = task if self.lag is None else task.at(self.lag)
        input_BTI, target_BTC, lag_BT = task.sample(stream(0, "maps", task.lag, self.sequence), 1)
        step = int((lag_BT[0] >= 0).nonzero()[-1])
        with torch.no_grad():
            output_BTO = as_system(network)(input_BTI)[0]
        maps = {
            "observed": input_BTI[0, step - task.lag, : task.grid**2],
            "truth": target_BTC[0, step],
            "bayes": task.forecast(input_BTI[0].numpy(), step),
            "predicted": torch.sigmoid(output_BTO[0, step].double()),
        }
        return curve_rows(range(task.grid**2), maps)

    def check(self, task: Task) -> None:
        """The task must be lightning, and the lag must be possible."""
        if not isinstance(task, Lightning):
            raise ValueError(f"the measure 'maps' needs the task 'lightning', and the task is {task.name!r}")
        if self.lag is not None and self.lag != task.lag:
            if not task.mixes:
                raise ValueError(f"maps: lightning with mode {task.mode} can only be tested at its own lag, {task.lag}")
            task.at(self.lag)
