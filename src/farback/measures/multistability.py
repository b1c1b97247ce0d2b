"""Multistability: how many attracting states a network has while nothing but the task's filler is shown.

Many starts are run on one and the same filler. Those that an attracting state holds end at the same place; with random
filler this is a trajectory, the same for all starts that it attracts.

Shapes: N starts, T steps, S numbers of the full state, C ends that are apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from farback.measures.base import Count, Floats, Measure, MeasureRow, summary_rows
from farback.measures.support.numbers import whole
from farback.measures.support.own_mode import own_mode
from farback.measures.support.system import System, measured
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Task

APART = 1e-2  # ends further apart than this, relative to the range of the starts, are two
PUSH = 1e-3  # size of the change that an attracting state must undo, relative to the same range
UNDONE = 0.5  # share of the change that may be left
PART = 100  # steps of one call
WIDER = 0.5  # of the range of visited states is added at both ends of the range of random starts
LEAST = 16  # starts
SEEN = 0.05  # a basin of the share `missed` is not met with this probability
MONOSTABLE, MULTISTABLE, NOT_SETTLED = "monostable", "multistable", "not settled"


@dataclass(frozen=True)
class Multistability:
    """The attracting states of one network.

    Attributes:
        count: how many were found.
        basin: the share of the starts that each holds, the largest first, (C,).
        unsettled: the share of starts that end where a small change stays or grows: on a line of resting states, on a
            cycle of free phase, or in chaos.
        missed: an attracting state that holds at least this share of starts is found with a probability of 95 %.
    """

    count: int
    basin: Floats
    unsettled: float
    missed: float

    @property
    def kind(self) -> str:
        """`multistable`, `monostable` or `not settled` (see `kind_of`)."""
        return kind_of(self.count, self.unsettled, self.missed)


def kind_of(count: float, unsettled: float, missed: float) -> str:
    """What a count says of a network.

    `multistable`: two attracting states or more. `monostable`: one, and at most a share `missed` of the starts have not
    settled. Else `not settled`: the starts that have not may hold other states, or come to this one later.
    """
    if count >= 2:
        return MULTISTABLE
    return MONOSTABLE if count == 1 and unsettled <= missed else NOT_SETTLED


@own_mode()
def multistability(system: Any, task: Task, *, starts: int = 256, steps: int = 1000, seed: int = 0) -> Multistability:
    """Count the attracting states under the filler of a task, by simulation.

    Half of the starts are states that test sequences of the task visit, half are uniform in a box around them. All run
    on the same filler, which is what the task shows between cue and answer. A state attracts if it undoes half of a
    small random change within as many steps. Ends whose distance halves in this time are on the way to one state.

    Args:
        system: see `farback.measures.support.system`; it must be able to resume from a state.
        task: a task that can have a lag of `steps`, with one question for all lags.
        starts: N.
        steps: how long each start runs. Where differences fade more slowly, starts are unsettled.
        seed: the seed of starts, filler and changes.

    Raises:
        ValueError: a system that cannot resume, a task that asks another question at each lag, or too few starts.

    Source: the count by simulation is own. That only multistable networks carry over to longer horizons is claimed in
        2605.12206, of which the title and claim were read.
    """
    starts, steps = whole("starts", starts), whole("steps", steps)
    if starts < LEAST or steps < 1:
        raise ValueError(f"multistability needs at least {LEAST} starts and one step, got {starts} and {steps}")
    if not (task.mixes and task.has_lags):
        raise ValueError(f"{task.name} has no filler of any length: it asks another question at each lag")
    rng = stream(seed, "measure", "multistability")
    wrapped, x_BTI = measured(system, task.sample(rng, (starts + 1) // 2).input_BTI)
    if reason := wrapped.unresumable(x_BTI[:2]):
        raise ValueError(reason)
    with torch.no_grad(), np.errstate(invalid="ignore"):
        state_NS = _starts(wrapped, x_BTI, starts, rng)
        size = float((state_NS.amax(0) - state_NS.amin(0)).square().mean().sqrt()) or 1.0
        filler_TI = _filler(task, 2 * steps, rng).to(x_BTI.dtype)
        end_NS = _run(wrapped, filler_TI[:steps], state_NS)
        label_N = _apart(end_NS, APART * size)
        missed = 1 - SEEN ** (1 / starts)
        if label_N.max() < 0:  # no end is finite
            return Multistability(0, np.empty(0), 1.0, missed)
        first_C = [int(np.argmax(label_N == label)) for label in range(int(label_N.max()) + 1)]
        end_CS = end_NS[first_C]
        change_CS = torch.from_numpy(rng.standard_normal(tuple(end_CS.shape))).to(end_CS.dtype)
        push_CS = PUSH * size * change_CS / change_CS.norm(dim=1, keepdim=True).clamp(min=1e-300)
        later_CS, pushed_CS = _run(wrapped, filler_TI[steps:], torch.cat([end_CS, end_CS + push_CS])).chunk(2)
        left_C = (pushed_CS - later_CS).norm(dim=1) / (PUSH * size)
        nearing_CC = torch.cdist(later_CS, later_CS) < UNDONE * torch.cdist(end_CS, end_CS)
    attracts_C = ((left_C < UNDONE) & torch.isfinite(left_C)).numpy()
    share_C = np.bincount(label_N[label_N >= 0], minlength=len(first_C)) / starts
    nearing_CC = nearing_CC.numpy() & attracts_C & attracts_C[:, None]
    state_C = scipy.sparse.csgraph.connected_components(nearing_CC, directed=False)[1]
    share_K: Floats = np.bincount(state_C[attracts_C], share_C[attracts_C]).astype(float)
    basin = np.sort(share_K[share_K > 0])[::-1]
    return Multistability(len(basin), basin, float(1 - basin.sum()), missed)


def _starts(system: System, x_BTI: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """States that sequences visit at random steps, and random ones in a box around them."""
    at_B, state, kept = rng.integers(x_BTI.shape[1], size=len(x_BTI)), None, None
    for step in range(x_BTI.shape[1]):
        state = system.carry(x_BTI[:, step : step + 1], state)[1]
        here = torch.from_numpy(at_B == step)[:, None]
        kept = state if kept is None else torch.where(here, state, kept)
    assert kept is not None
    low, high = kept.amin(0), kept.amax(0)
    low, high = torch.where(high > low, low, low - 1), torch.where(high > low, high, high + 1)
    share = torch.from_numpy(rng.uniform(-WIDER, 1 + WIDER, size=(count - len(kept), kept.shape[1]))).to(kept.dtype)
    return torch.cat([kept, low + share * (high - low)])


def _filler(task: Task, steps: int, rng: np.random.Generator) -> Tensor:
    """What the task shows between cue and answer, (T, I)."""
    batch = task.at(steps + 1).sample_exact(rng, 1)
    end = int((batch.lag_BT[0] == steps + 1).nonzero()[-1])
    return batch.input_BTI[0, end - steps : end]


def _run(system: System, x_TI: Tensor, state_NS: Tensor) -> Tensor:
    """The states after these inputs."""
    for part in torch.split(x_TI, PART):
        state_NS = system.carry(part.expand(len(state_NS), -1, -1).contiguous(), state_NS)[1]
    return state_NS


def _apart(end_NS: Tensor, least: float) -> NDArray[np.int64]:
    """Which end each start has come to: a number for all ends nearer to its first than `least`; -1 if not finite."""
    label_N = np.full(len(end_NS), -1)
    finite_N = torch.isfinite(end_NS).all(1).numpy()
    found: list[Tensor] = []
    for n in np.flatnonzero(finite_N):
        near = [c for c, first in enumerate(found) if float((end_NS[n] - first).norm()) < least]
        label_N[n] = near[0] if near else len(found)
        if not near:
            found.append(end_NS[n])
    return label_N


class MultistabilityMeasure(Measure):
    """How many attracting states a network has under the filler of the trial's task, by simulation from many starts.

    A network whose state has no fixed size (attention over all steps) or that reads both ways has no rows.

    Source: see `farback.measures.multistability`.
    """

    version: ClassVar[int] = 2

    starts: Annotated[int, Field(ge=LEAST, le=100_000)] = 128
    steps: Count = 500

    def network_rows(self, network: Network, task: Task, seed: int) -> list[MeasureRow]:
        """The rows are count, unsettled and missed."""
        try:
            found = multistability(network, task, starts=self.starts, steps=self.steps, seed=seed)
        except ValueError:
            return []
        return summary_rows(count=found.count, unsettled=found.unsettled, missed=found.missed)

    def check(self, task: Task) -> None:
        """The task must have a filler of any length."""
        if not (task.mixes and task.has_lags):
            raise ValueError(f"{task.name} has no filler of any length: it asks another question at each lag")
