"""Height on a task's ladder: the amount of partial memory that would give the same loss as the network."""

from __future__ import annotations

from farback.measures.base import Count, Measure, MeasureRow, curve_rows, summary_rows
from farback.measures.retention import mean_scores
from farback.networks.network import Network
from farback.tasks.base import Task
from farback.tasks.support.answers import height


class LadderMeasure(Measure):
    """How much partial memory would give the network's test loss at its training lag: its height on the task's ladder.

    A task's ladder lists the loss of the best guess for growing amounts of memory, its rungs. Heights are in a unit of
    the task (lightning's noisy_or: days; digits: pixels; kernel: inputs; hold: bits), or in rungs. Heights between two
    rungs are interpolated. The test loss is the mean over all answers that need memory, whatever their lag, as on the
    ladder. The losses of the best guess without memory and with full memory, and all rungs, are recorded too.

    Source: derived for farback; checked in tests/tasks/test_task_closed_forms.py and tests/tasks/test_lightning.py.
    """

    sequences: Count = 1000

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are height, loss, chance_loss, best_loss; and rung_height, rung_loss with the rung as the lag."""
        chance, ladder = task.chance(), task.ladder()
        heights = [index if rung.amount is None else rung.amount for index, rung in enumerate(ladder)]
        loss = mean_scores(network, task, self.sequences, seed).loss
        summary = summary_rows(height=height(loss, ladder), loss=loss, chance_loss=chance.loss, best_loss=chance.best)
        rungs = {"rung_height": heights, "rung_loss": [rung.loss for rung in ladder]}
        return summary + curve_rows(range(len(ladder)), rungs)
