"""Height on a task's ladder: how much partial memory would score the same loss as the network."""

from __future__ import annotations

from farback.measures.base import Count, Measure, MeasureRow, curve_rows, summary_rows
from farback.measures.retention import retention
from farback.networks.network import Network
from farback.tasks.base import Task
from farback.tasks.support.answers import height


class LadderMeasure(Measure):
    """The height of a network's test loss on its task's ladder of partial memory, at the lag it was trained at.

    The unit is the one that the ladder counts: days remembered for lightning's noisy_or, pixels for digits, inputs for
    kernel; for other tasks, rungs. Heights between two rungs are interpolated. For comparison there are also the losses
    of the best guess without memory and with full memory, and the height and loss of every rung.

    Source: the staircases of the project's science notes, CF18, CF20 and T15.
    """

    sequences: Count = 1000

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """Rows height, loss, chance_loss, best_loss; rung_height and rung_loss, with the rung in place of the lag."""
        chance, ladder = task.chance(), task.ladder()
        heights = [index if rung.amount is None else rung.amount for index, rung in enumerate(ladder)]
        loss = float(retention(network, task, [task.lag], self.sequences, seed).loss[0])
        summary = summary_rows(height=height(loss, ladder), loss=loss, chance_loss=chance.loss, best_loss=chance.best)
        rungs = {"rung_height": heights, "rung_loss": [rung.loss for rung in ladder]}
        return summary + curve_rows(range(len(ladder)), rungs)
