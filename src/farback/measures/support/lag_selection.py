"""Readout steps and lags: defaults and checks for measures that examine single lags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

import torch
from torch import Tensor

from farback import stats
from farback.measures.base import Lag, MeasureRow, Sampled, summary_rows
from farback.measures.support.numbers import whole_numbers
from farback.records.record import Several, Since
from farback.stats.horizons import at_least
from farback.tasks.base import Batch, Task
from farback.tasks.support.scores import scored_steps


class AtLags(Sampled):
    """The base class of measures that examine single lags before the last scored step of each sequence.

    By default `lags` are 0, 1, 2, 4, ... and the task's lag. Lags that reach before a sequence's start are dropped.

    By default all lags are measured in the same sequences. In tasks with a cue at one lag, inputs at all smaller lags
    are then distractors. With `each_lag` every lag is measured in sequences whose cue is at that lag.
    """

    lags: Several[Lag] = ()
    each_lag: Annotated[bool, Since("0.1.0")] = False

    def alone(self, task: Task) -> list[Self]:
        """The measures that together are this one, each of which measures all of its lags in the same sequences."""
        if not self.each_lag:
            return [self]
        return [self.model_copy(update={"length": lag, "lags": (lag,), "each_lag": False}) for lag in self._lags(task)]

    def readouts(self, task: Task, seed: int) -> tuple[Batch, Tensor, list[int]]:
        """Sequences, the last scored step of each, (B,), and the lags to measure in them, in increasing order."""
        batch = self.sample(task, seed)
        last_B = last_scored_step(batch)
        kept_B = last_B >= 0
        batch, last_B = Batch(*(part[kept_B] for part in batch)), last_B[kept_B]
        return batch, last_B, self.lags_below(int(last_B.min()), self.longer(task).lag)

    def lags_below(self, top: int, task_lag: int) -> list[int]:
        """The lags to measure, of those up to `top`, in increasing order. Raises ValueError if there are none."""
        lags = set(self.lags) or {0, task_lag, *(1 << power for power in range(top.bit_length()))}
        if min(lags) > top:
            raise ValueError(f"lags must lie between 0 and {top}, the earliest readout step; got {sorted(lags)}")
        return sorted(lag for lag in lags if lag <= top)

    def horizon_row(self, rows: Sequence[MeasureRow], statistic: str, threshold: float) -> list[MeasureRow]:
        """The lower end of the horizon: the lag before the first failure if the cue was at each lag, else the
        largest lag at which the statistic passes.
        """
        lags, values = zip(*((row.lag, row.value) for row in rows if row.statistic == statistic), strict=True)
        passed = at_least(values, threshold)
        reading = stats.first_failure(lags, passed) if self.each_lag else stats.largest_success(lags, passed)
        return summary_rows(horizon=reading.horizon.remembered)

    def check(self, task: Task) -> None:
        """Every lag at which there are sequences must be possible, with the same inputs and answers."""
        super().check(task)
        for lag in self._lags(task) if self.each_lag else ():
            super(AtLags, self.model_copy(update={"length": lag})).check(task)

    def _lags(self, task: Task) -> list[int]:
        """The lags of `each_lag`."""
        largest = task.lag if self.length is None else self.length
        return sorted(set(self.lags) or {largest, *(1 << power for power in range(largest.bit_length()))})


def last_scored_step(batch: Batch) -> Tensor:
    """The last scored step of each sequence, (B,); -1 if it has none."""
    scored_BT = scored_steps(batch)
    return torch.where(scored_BT, torch.arange(scored_BT.shape[1]), -1).amax(1)


def readout_steps(step: Any, sequences: int, length: int) -> Tensor:
    """The readout step of each sequence, (B,), from one step for all or one for each; by default the last.

    Raises:
        ValueError: a step outside the sequences, or a wrong number of steps.
    """
    step_N = torch.tensor(whole_numbers("step", -1 if step is None else step))
    step_B = step_N[0] if len(step_N) == 1 else step_N
    step_B = step_B.expand(sequences) if step_B.dim() == 0 else step_B
    step_B = torch.where(step_B < 0, step_B + length, step_B)
    if step_B.shape != (sequences,) or int(step_B.min()) < 0 or int(step_B.max()) >= length:
        raise ValueError(f"step must be one of {length} steps, or one for each of {sequences} sequences; got {step}")
    return step_B


def sorted_lags(lags: Any, step_B: Tensor) -> list[int]:
    """The lags in increasing order, without duplicates; by default all lags that every sequence has.

    Raises:
        ValueError: no lags, a negative lag, or one that reaches before the first step of a sequence.
    """
    top = int(step_B.min())
    result = sorted(set(whole_numbers("lags", range(top + 1) if lags is None else lags)))
    if not result or result[0] < 0 or result[-1] > top:
        raise ValueError(f"lags must lie between 0 and {top}, the earliest readout step; got {result}")
    return result
