"""Runs of a system on the same sequences with another cue, and with blanks in place of what follows the cue.

Shapes: B sequences, T steps, I inputs, O outputs, S numbers of the state, K steps, N sequences of several runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from farback.measures.base import Floats
from farback.measures.support.numbers import real
from farback.measures.support.system import System
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Task
from farback.tasks.support.answers import OneOf

RUNS = ("own", "swapped", "blanked", "blanked_swapped")
NUMBERS = 8_000_000  # states of one forward pass
WIDEST = 128  # larger states are projected onto this many random directions, which keeps distances to a tenth
MOST_CUES = 64  # more distinct cues are numbers, not symbols


@dataclass(frozen=True)
class Cued:
    """Sequences of a task in which the answer at one step needs the cue `lag` steps before.

    Attributes:
        input_BTI: up to the last asked step.
        start_B: the step of the cue; the answer is asked `lag` steps later.
        target_B: the answers.
        cue_B: the number of the cue among the distinct cues; its value if cues are numbers.
        cues: how many distinct cues there are; 0 if cues are numbers.
        donor_B: for each sequence another one, whose cue replaces its own.
    """

    task: Task
    lag: int
    input_BTI: Tensor
    start_B: Tensor
    target_B: Tensor
    cue_B: NDArray[Any]
    cues: int
    donor_B: Tensor

    @property
    def differs_B(self) -> Tensor:
        """Whether the cue of the donor is another one."""
        own_B = torch.from_numpy(self.cue_B)
        return own_B != own_B[self.donor_B]

    @property
    def by_cue(self) -> bool:
        """Whether the answer follows from the cue alone, as in recall; not in match, whose question matters too."""
        target = self.target_B.numpy()
        if target.ndim > 1:
            return False
        if self.cues:
            return all(np.ptp(target[self.cue_B == cue]) == 0 for cue in range(self.cues))
        return bool(abs(np.corrcoef(self.cue_B, target)[0, 1]) > 0.999)

    def runs(self, blank: Any = None) -> Tensor:
        """The inputs of the four runs of `RUNS`, one after the other, (4B, T, I)."""
        row_B = torch.arange(len(self.input_BTI))
        blanked_BTI = self.input_BTI.clone()
        step_1T = torch.arange(self.input_BTI.shape[1])[None]
        between_BT = (step_1T > self.start_B[:, None]) & (step_1T < self.start_B[:, None] + self.lag)
        blanked_BTI[between_BT] = _blank(blank, self.input_BTI)
        cue_BI = self.input_BTI[row_B, self.start_B][self.donor_B]
        swapped = []
        for x_BTI in (self.input_BTI, blanked_BTI):
            other_BTI = x_BTI.clone()
            other_BTI[row_B, self.start_B] = cue_BI
            swapped.append(other_BTI)
        return torch.cat([self.input_BTI, swapped[0], blanked_BTI, swapped[1]])


def cued(task: Task, lag: int, sequences: int, seed: int) -> Cued:
    """Test sequences of a task at a lag.

    Raises:
        ValueError: a task whose answers have no known lag, an impossible lag, or a cue that is always the same.
    """
    if not task.has_lags:
        raise ValueError(f"a diagnosis needs the lag of each answer, which is not known for {task.name}")
    if lag < 1:
        raise ValueError(f"a diagnosis needs a lag of 1 or more, got {lag}: an answer at lag 0 needs no memory")
    own = task.at(lag).held_out("test")
    batch = own.sample_exact(stream(seed, "measure", "diagnosis", lag), sequences)
    asked_BT = batch.lag_BT == lag
    kept_B = asked_BT.any(1)
    if not bool(kept_B.any()):
        raise ValueError(f"no answer of {task.name} needs a lag of {lag}")
    batch, asked_BT = Batch(*(part[kept_B] for part in batch)), asked_BT[kept_B]
    end_B = torch.where(asked_BT, torch.arange(asked_BT.shape[1]), -1).amax(1)
    row_B, start_B = torch.arange(len(end_B)), end_B - lag
    input_BTI = batch.input_BTI[:, : int(end_B.max()) + 1].double()
    cue_B, cues = _cues(input_BTI[row_B, start_B].numpy(), task)
    donor_B = row_B.roll(-1)
    return Cued(own, lag, input_BTI, start_B, batch.target_BT[row_B, end_B], cue_B, cues, donor_B)


def _cues(cue_BI: Floats, task: Task) -> tuple[NDArray[Any], int]:
    """The number of each cue among the distinct ones and how many there are; else its value, and 0."""
    distinct, label_B = np.unique(cue_BI, axis=0, return_inverse=True)
    if len(distinct) == 1:
        raise ValueError(f"the input that an answer of {task.name} needs is the same in every sequence")
    if len(distinct) <= min(MOST_CUES, len(cue_BI) // 4):
        return label_B.reshape(-1), len(distinct)
    return cue_BI[:, int(cue_BI.std(0).argmax())], 0


def _blank(blank: Any, x_BTI: Tensor) -> Tensor:
    """The inputs of one blank step, (I,). Raises ValueError: another shape."""
    if blank is None:
        return x_BTI.new_zeros(x_BTI.shape[2])
    values = torch.from_numpy(real("blank", blank))
    if values.shape != x_BTI.shape[2:]:
        raise ValueError(f"blank must be the {x_BTI.shape[2]} inputs of one step, got shape {tuple(values.shape)}")
    return values


def answers(system: System, x_NTI: Tensor, step_N: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs (N, O) at one step of each sequence, and the states they are computed from, (N, H)."""
    parts = []
    for x, step in zip(*_split(system, (x_NTI, step_N)), strict=True):
        output_BTO, state_BTS = system(x)
        row = torch.arange(len(x))
        parts.append((output_BTO[row, step].double(), state_BTS[row, step].double()))
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def states(system: System, x_NTI: Tensor, start_N: Tensor, steps: Sequence[int], seed: int = 0) -> Tensor:
    """The states some steps after each sequence's start, (K, N, S), K as in `steps`: all state carried on, if known.

    Of a system that cannot resume, the states that its outputs are computed from.
    """
    if system.unresumable(x_NTI[:2]):
        parts = []
        for x, start in zip(*_split(system, (x_NTI, start_N)), strict=True):
            state_BTS = system(x)[1]
            row = torch.arange(len(x))
            parts.append(narrow(torch.stack([state_BTS[row, start + k] for k in steps]), seed))
        return torch.cat(parts, 1)
    parts = []
    for x, start in zip(*_split(system, (x_NTI, start_N)), strict=True):
        found: dict[int, Tensor] = {}
        state, done = None, 0
        time_KN = torch.stack([start + k for k in steps])
        for time in sorted(set(time_KN.flatten().tolist())):
            state, done = system.carry(x[:, done : time + 1], state)[1], time + 1
            own = narrow(state, seed)
            for index, here_N in enumerate(time_KN == time):
                if bool(here_N.any()):
                    found[index] = torch.where(here_N[:, None], own, found.get(index, own))
        parts.append(torch.stack([found[index] for index in range(len(steps))]))
    return torch.cat(parts, 1)


def narrow(state: Tensor, seed: int = 0) -> Tensor:
    """States of at most WIDEST numbers, in double precision."""
    state = state.double()
    width = state.shape[-1]
    if width <= WIDEST:
        return state
    directions = stream(seed, "measure", "diagnosis", "directions").normal(size=(width, WIDEST)) / WIDEST**0.5
    return state @ torch.from_numpy(directions)


def score(cued: Cued, output_BO: Tensor, target_B: Tensor | None = None) -> Floats:
    """What each answer adds to the score, (B,): their mean is 0 at chance, 1 if all are right, 0.5 if half-way.

    Classes count by accuracy, numbers and bits by loss, as in retention. An answer that is not finite counts 0.
    """
    target_B, answer, chance = cued.target_B if target_B is None else target_B, cued.task.answer, cued.task.chance()
    if output_BO.shape[1] != answer.outputs:
        raise ValueError(f"{cued.task.name} needs {answer.outputs} outputs, the system has {output_BO.shape[1]}")
    if isinstance(answer, OneOf):
        value_B = (answer.correct(output_BO, target_B).double() - chance.accuracy) / (1 - chance.accuracy)
    else:
        value_B = (chance.loss - answer.loss(output_BO, target_B).double()) / (chance.loss - chance.best)
        value_B = value_B.clamp(min=-4.0)  # so that a few very wrong answers do not hide all others
    return np.asarray(np.nan_to_num(value_B.numpy(), nan=0.0))


def _split(system: System, pair: tuple[Tensor, Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Inputs and steps, in parts whose states fit into memory."""
    x_NTI, step_N = pair
    width = max(x_NTI.shape[2], system(x_NTI[:1, :1])[1].shape[-1])
    size = max(1, NUMBERS // (x_NTI.shape[1] * width))
    return torch.split(x_NTI, size), torch.split(step_N, size)
