"""Where the sequences of a task are asked, and at which lags before it a measure looks."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from farback.measures.base import Sampled
from farback.measures.retention import needs_memory
from farback.records.record import Several
from farback.tasks.base import Batch, Task


class AtLags(Sampled):
    """The base of measures that look at chosen lags before each sequence's last asked step.

    Without `lags`: 0, 1, 2, 4, ... to the first step, and the lag that the task is asked at. What lies before the first
    step of some sequence is left out.
    """

    lags: Several[Annotated[int, Field(ge=0, le=100_000)]] = ()

    def asked(self, task: Task, seed: int) -> tuple[Batch, Tensor, list[int]]:
        """Sequences, the last asked step of each, (B,), and the lags, increasing."""
        batch = self.sample(task, seed)
        last_B = last_asked(batch)
        kept_B = last_B >= 0
        batch, last_B = Batch(*(part[kept_B] for part in batch)), last_B[kept_B]
        top = int(last_B.min())
        own = task.lag if self.length is None else self.length
        wanted = set(self.lags) or {0, own, *(1 << power for power in range(top.bit_length()))}
        return batch, last_B, sorted(lag for lag in wanted if lag <= top)


def last_asked(batch: Batch) -> Tensor:
    """The last step of each sequence whose answer needs memory, (B,); -1 where there is none."""
    needed_BT = needs_memory(batch)
    return torch.where(needed_BT, torch.arange(needed_BT.shape[1]), -1).amax(1)


def steps(step: Any, sequences: int, length: int) -> Tensor:
    """The readout step of each sequence, (B,): one for all, one each, or by default the last.

    Raises:
        ValueError: a step outside the sequences, or not one for each.
    """
    if step is None:
        return torch.full((sequences,), length - 1)
    step_B = torch.as_tensor(step).expand(sequences) if torch.as_tensor(step).dim() == 0 else torch.as_tensor(step)
    step_B = torch.where(step_B < 0, step_B + length, step_B)
    if step_B.shape != (sequences,) or int(step_B.min()) < 0 or int(step_B.max()) >= length:
        raise ValueError(f"step must be one of {length} steps, or one for each of {sequences} sequences; got {step}")
    return step_B


def checked_lags(lags: Any, step_B: Tensor) -> list[int]:
    """Lags in increasing order; by default all that every sequence has before its readout step.

    Raises:
        ValueError: none, below 0, or before the first step of a sequence.
    """
    top = int(step_B.min())
    wanted = sorted({int(lag) for lag in (range(top + 1) if lags is None else lags)})
    if not wanted or wanted[0] < 0 or wanted[-1] > top:
        raise ValueError(f"lags must lie between 0 and {top}, the first readout step; got {wanted}")
    return wanted
