"""Long sequences: drawn in parts, with symbols as codes of one byte, and answers only at the steps that are asked.

Shapes: R replicas, T steps, B sequences, I inputs, N scored steps of a batch, C bits of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farback.kernels.symbols import Symbols
from farback.networks.stretches import LONG
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Lags, Task

PART = 1024  # steps of a part
CODES = 256  # different inputs of a step that one byte tells apart
MOST_INPUTS = 52  # inputs of 0 or 1 whose number is exact in double precision


class Drawn(NamedTuple):
    """Sequences of one replica, in the order of time, then sequence."""

    input_TB: NDArray[Any]  # uint8 codes, or float32 numbers (T, B, I)
    step_N: Tensor  # t * B + b of each asked step, increasing
    target_N: Tensor  # (N, C) for bits
    lag_N: Tensor


class Coder:
    """Numbers the different rows of inputs that are 0 or 1, in the order in which they first occur."""

    def __init__(self, inputs: int) -> None:
        self.codes: dict[int, int] = {}
        self.inputs = inputs
        self.weight_I = 2.0 ** np.arange(min(inputs, MOST_INPUTS))

    def coded(self, input_TBI: NDArray[np.float32]) -> NDArray[np.uint8] | None:
        """The codes (T, B) of inputs; None if other numbers occur, or too many different rows."""
        if self.inputs > MOST_INPUTS or not ((input_TBI == 0) | (input_TBI == 1)).all():
            return None
        numbers, inverse = np.unique(input_TBI @ self.weight_I, return_inverse=True)
        codes = [self.codes.setdefault(int(number), len(self.codes)) for number in numbers]
        if len(self.codes) > CODES:
            return None
        return np.array(codes, dtype=np.uint8)[inverse].reshape(input_TBI.shape[:2])

    def rows(self) -> NDArray[np.float32]:
        """The rows that the codes stand for, (C, I)."""
        rows = [[number >> bit & 1 for bit in range(self.inputs)] for number in self.codes]
        return np.array(rows, dtype=np.float32).reshape(-1, self.inputs)


def parts_of(task: Task, rng: np.random.Generator, size: int, lag_B: Lags | None, exact: bool) -> Iterator[Batch]:
    """Sequences in parts of at most `PART` steps; with `exact`, as of `Task.sample_exact`."""
    if task.draws_in_parts:
        yield from task.sample_in_parts(rng, size, PART, lag_B)
        return
    whole = task.sample_exact(rng, size) if exact else task.sample(rng, size, lag_B)
    yield from whole.in_parts(PART)


@lru_cache(1000)
def steps_of_task(task: Task) -> int:
    """The number of steps T of a task's sequences. Cached, because a sequence must be drawn to count them."""
    return sum(part.lag_BT.shape[1] for part in parts_of(task, stream(0, "probe"), 1, None, False))


def is_long(task: Task) -> bool:
    """Whether the task's sequences are long."""
    return steps_of_task(task) > LONG


def drawn(
    task: Task, rng: np.random.Generator, size: int, coder: Coder, lag_B: Lags | None = None, exact: bool = False
) -> Drawn:
    """Sequences of a task, with codes if all of its inputs have codes."""
    # Parts are written into one array, and no tensor is kept of a part that asks nothing: small blocks of memory that
    # stay between large temporary ones keep the allocator from using the latter again
    input_TB: NDArray[Any] = np.empty((steps_of_task(task), size), np.uint8)
    steps, targets, lags, first = [], [], [], 0
    for part in parts_of(task, rng, size, lag_B, exact):
        input_TBI = part.input_BTI.numpy().swapaxes(0, 1)
        code_TB = coder.coded(input_TBI) if input_TB.ndim == 2 else None
        if input_TB.ndim == 2 and code_TB is None:
            before, rows = input_TB[:first], coder.rows()
            input_TB = np.empty((*input_TB.shape, task.inputs), np.float32)
            input_TB[:first] = rows[before] if first else 0
        input_TB[first : first + len(input_TBI)] = input_TBI if code_TB is None else code_TB
        if (part.lag_BT >= 0).any():
            t_N, b_N = (part.lag_BT.T >= 0).nonzero(as_tuple=True)
            steps.append((t_N + first) * size + b_N)
            targets.append(part.target_BT[b_N, t_N])
            lags.append(part.lag_BT[b_N, t_N])
        first += len(input_TBI)
    return Drawn(input_TB, torch.cat(steps), torch.cat(targets), torch.cat(lags))


def stacked_inputs(replicas: Sequence[Drawn], coder: Coder) -> Tensor | Symbols:
    """The inputs of all replicas, as codes if all have codes."""
    if all(one.input_TB.dtype == np.uint8 for one in replicas):
        codes = [torch.from_numpy(one.input_TB) for one in replicas]
        code_RTB = codes[0][None] if len(codes) == 1 else torch.stack(codes)
        return Symbols(code_RTB, torch.from_numpy(coder.rows()))
    rows = coder.rows()
    dense = [rows[one.input_TB] if one.input_TB.dtype == np.uint8 else one.input_TB for one in replicas]
    return torch.stack([torch.from_numpy(part) for part in dense])
