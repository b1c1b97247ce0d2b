"""How far up a task's ladder of partial memory a network stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from farback.measures.base import Measure, Row, Untrained
from farback.measures.retention import retention
from farback.networks.network import Network
from farback.tasks.base import Task
from farback.tasks.support.answers import height


class LadderMeasure(Measure):
    """The height of a network's test loss on its task's ladder, at the lag it was trained at.

    A height is in what the ladder counts: days remembered of lightning's noisy_or, pixels of digits, inputs of kernel;
    where it counts nothing, rungs. Between two rungs it is interpolated. The ends of the scale stand beside it, the
    losses of the best guess without memory and of the best with all of it, and so does the ladder itself, rung by rung,
    in closed form where the task has one.

    Source: the staircases of the project's science notes, CF18, CF20 and T15.
    """

    sequences: Annotated[int, Field(ge=1, le=1_000_000)] = 1000

    def rows(self, network: Network, task: Task, seeds: Sequence[int], untrained: Untrained) -> list[list[Row]]:
        """Rows height, loss, chance_loss and best_loss; rung_height and rung_loss with the rung in place of the lag."""
        chance, ladder = task.chance(), task.ladder()
        rungs = []
        for at, rung in enumerate(ladder):
            amount = float(at) if rung.amount is None else rung.amount
            rungs += [Row(at, "rung_height", amount), Row(at, "rung_loss", rung.loss)]
        found = []
        for index, seed in enumerate(seeds):
            loss = float(retention(network.replica(index), task, [task.lag], self.sequences, seed).loss[0])
            values = {
                "height": height(loss, ladder),
                "loss": loss,
                "chance_loss": chance.loss,
                "best_loss": chance.best,
            }
            found.append([*(Row(-1, statistic, value) for statistic, value in values.items()), *rungs])
        return found
