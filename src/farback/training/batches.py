"""Training and validation data of a cohort: each replica draws from streams of its own seed.

Shapes: R replicas, T steps, B sequences, I inputs, N asked steps of a batch, O outputs, C bits of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Lags, Task
from farback.tasks.support.answers import Answer
from farback.trials.lags import LogUniform, Mixed
from farback.trials.trial import Trial

VALIDATION = 256  # sequences: a standard error of at most 0.03 in accuracy, and a small part of an interval's cost
LAID_NUMBERS = 1_000_000  # inputs of all replicas that are laid out at once, which takes several copies
BLOCK_NUMBERS = 1_000_000  # inputs that a replica draws at once: fewer calls, bounded memory

Place = dict[str, Any]  # where a generator is, as numpy tells it: plain numbers and texts


class Questions(NamedTuple):
    """Batches of R replicas, and where they ask."""

    x_RTBI: Tensor
    index_RN: Tensor  # into the T*B steps
    target_RN: Tensor  # (R, N, C) for bits
    needed_RN: Tensor  # 1 where the answer needs memory, or where none of the task's does; else 0
    weight_RN: Tensor  # 1 / number of asked steps, 0 for padding


@dataclass(frozen=True)
class Asked:
    """How a task asks, found out once from its shape, so that nothing depends on who shares a cohort.

    `each` is the number of asked steps in every sequence, or None when it differs from sequence to sequence: then
    every step is read out and unasked ones weigh nothing.
    """

    answer: Answer
    each: int | None

    @classmethod
    def of(cls, trial: Trial) -> Asked:
        """Look at a probe, drawn from a stream that belongs to no seed."""
        rng = stream(0, "probe")
        count_B = (trial.task.sample(rng, 64, lags(trial, rng, 64)).lag_BT >= 0).sum(1)
        same = bool((count_B == count_B[0]).all()) and int(count_B[0]) > 0
        return cls(trial.task.answer, int(count_B[0]) if same else None)

    def questions(self, batches: Sequence[Batch]) -> Questions:
        """Stack the replicas' batches, time first."""
        x_RTBI = torch.stack([batch.input_BTI for batch in batches]).transpose(1, 2).contiguous()
        lag_RTB = torch.stack([batch.lag_BT for batch in batches]).transpose(1, 2)
        target_RTB = torch.stack([batch.target_BT for batch in batches]).transpose(1, 2)
        R, T, B = lag_RTB.shape
        asked_RN = lag_RTB.reshape(R, T * B) >= 0
        if self.each is None:
            index_RN = torch.arange(T * B).expand(R, T * B)
        else:
            if int(asked_RN.sum()) != R * B * self.each:
                raise RuntimeError(
                    f"the task asked {int(asked_RN.sum())} steps where {R * B * self.each} were expected"
                )
            index_RN = asked_RN.nonzero()[:, 1].view(R, B * self.each)
        lag_RN = lag_RTB.reshape(R, T * B).gather(1, index_RN)
        target_RN = torch.stack([t[index] for t, index in zip(target_RTB.flatten(1, 2), index_RN, strict=True)])
        weight_RN = (lag_RN >= 0).float()
        needed_RN = (lag_RN > 0).float()
        needed_RN = torch.where(needed_RN.sum(1, keepdim=True) > 0, needed_RN, weight_RN)
        return Questions(x_RTBI, index_RN, target_RN, needed_RN, weight_RN / weight_RN.sum(1, keepdim=True))

    def outputs(self, network: Network, questions: Questions) -> Tensor:
        """The network's answers, (R, N, O)."""
        if self.each is not None:
            return network.readout(network.run(questions.x_RTBI, index_RN=questions.index_RN)[0])
        return network.readout(network.run(questions.x_RTBI)[0].flatten(1, 2))

    def loss(self, network: Network, questions: Questions) -> Tensor:
        """Each replica's mean loss over its asked steps, (R,)."""
        loss_RN = self.answer.loss(self.outputs(network, questions), questions.target_RN)
        return (loss_RN * questions.weight_RN).sum(1)

    def scores(self, network: Network, questions: Questions) -> tuple[float, float]:
        """One replica's mean accuracy and loss over the asked steps that need memory."""
        output_RNO = self.outputs(network, questions)
        count = float(questions.needed_RN.double().sum())
        correct_RN = self.answer.correct(output_RNO, questions.target_RN).double()
        loss_RN = self.answer.loss(output_RNO, questions.target_RN).double()
        needed_RN = questions.needed_RN > 0
        return float(correct_RN[needed_RN].sum()) / count, float(loss_RN[needed_RN].sum()) / count


def lags(trial: Trial, rng: np.random.Generator, size: int) -> Lags | None:
    """The lag of each of `size` training sequences; None where all have the trial's."""
    if not isinstance(trial.train_lags, Mixed):
        return None
    low, high = trial.train_lags.bounds
    if isinstance(trial.train_lags, LogUniform):
        drawn = np.exp(rng.uniform(np.log(low), np.log(high + 1), size))
        return np.clip(drawn.astype(np.int64), low, high)
    return rng.integers(low, high + 1, size)


class Data:
    """An endless stream of fresh batches for R replicas, drawn a block at a time."""

    def __init__(
        self, trials: Sequence[Trial], purpose: Literal["train", "validation"], asked: Asked, device: str
    ) -> None:
        self.trial, self.purpose = trials[0], purpose
        self.rngs = [stream(trial.seed, purpose) for trial in trials]
        self.asked, self.device = asked, device
        probe = self.task.sample(stream(0, "probe"), 1).input_BTI
        self.block = max(1, min(16, BLOCK_NUMBERS // max(1, probe.numel() * self.trial.batch)))
        self.waiting: list[Questions] = []
        self.places = self._places()  # before the block that batches are taken from
        self.taken = 0  # batches of that block

    @property
    def task(self) -> Task:
        """The task, the same for every replica; validation has data of its own where these are not endless."""
        return self.trial.task if self.purpose == "train" else self.trial.task.held_out("validation")

    def next(self) -> Questions:
        """The next batch of every replica."""
        if not self.waiting:
            self._fill()
        self.taken += 1
        return self.waiting.pop(0)

    def fixed(self) -> Questions:
        """One set of sequences for evaluation."""
        return self._on_device(self.asked.questions([self._draw(rng, VALIDATION) for rng in self.rngs]))

    def go_on(self, places: Sequence[Place], taken: int) -> None:
        """Go to where another stream of the same trials was: what `places` and `taken` were there."""
        for rng, place in zip(self.rngs, places, strict=True):
            rng.bit_generator.state = place
        self._fill()
        self.taken = taken
        del self.waiting[:taken]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these replicas only."""
        self.rngs = [self.rngs[r] for r in rows]
        self.places = [self.places[r] for r in rows]
        self.waiting = [Questions(*(part[list(rows)] for part in questions)) for questions in self.waiting]

    def _fill(self) -> None:
        """Draw the next block, and lay out many of its batches at once: that costs little more than for one."""
        self.places, self.taken = self._places(), 0
        R = len(self.rngs)
        drawn = [self._draw(rng, self.block * self.trial.batch) for rng in self.rngs]
        numbers = drawn[0].input_BTI.numel() // self.block * R  # of one batch of every replica
        split = [zip(*(torch.split(part, self.trial.batch) for part in batch), strict=True) for batch in drawn]
        batches = [Batch(*parts) for replicas in zip(*split, strict=True) for parts in replicas]
        some = R * max(1, LAID_NUMBERS // numbers)
        for start in range(0, len(batches), some):
            whole = self._on_device(
                self.asked.questions(batches[start : start + some])
            )  # the replicas of each batch are next to each other
            each = zip(*(torch.split(part, R) for part in whole), strict=True)
            self.waiting += [Questions(*parts) for parts in each]

    def _places(self) -> list[Place]:
        return [dict(rng.bit_generator.state) for rng in self.rngs]

    def _draw(self, rng: np.random.Generator, size: int) -> Batch:
        return self.task.sample(rng, size, lags(self.trial, rng, size))

    def _on_device(self, questions: Questions) -> Questions:
        return Questions(*(part.to(self.device) for part in questions))
