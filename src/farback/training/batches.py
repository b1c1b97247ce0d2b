"""Training and validation data of a cohort (replicas that train together): each replica draws with its own seed.

Shapes: R replicas, T steps, B sequences, I inputs, N scored steps of a batch, O outputs, C bits of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from farback.kernels.symbols import Symbols, steps_of
from farback.networks import stretches
from farback.networks.network import Network
from farback.system.random_streams import stream
from farback.tasks.base import Batch, Lags, Task
from farback.tasks.support.answers import Answer
from farback.tasks.support.draws import batches_per_draw
from farback.tasks.support.mixed_lags import Mixed, drawn_lags
from farback.training.long_sequences import Coder, Drawn, drawn, is_long, parts_of, stacked_inputs, steps_of_task
from farback.trials.trial import Trial

VALIDATION = 256  # sequences: the standard error of accuracy is at most 0.03, and evaluation stays cheap
LONG_PROBES = 4  # long sequences that show whether all have the same number of answers
LONG_STEPS = 16_000_000  # steps of all sequences of a part of the validation data, one byte each if symbols,
LONG_VALIDATION = 64  # and at most so many sequences: those of a stretch of steps are in memory as numbers
DRAWN_NUMBERS = 50_000  # inputs of all replicas that are drawn ahead at most, unless a block has more
STACKED_NUMBERS = 1_000_000  # inputs of all replicas that are stacked at once, because stacking makes several copies

GeneratorState = dict[str, Any]  # of a numpy generator: plain numbers and strings


class CohortBatch(NamedTuple):
    """One batch of each of R replicas, and which steps are scored."""

    x_RTBI: Tensor | Symbols
    index_RN: Tensor  # positions of the scored steps among T*B
    target_RN: Tensor  # (R, N, C) for bits
    needed_RN: Tensor  # 1 if the answer needs memory, or if no answer of the batch does; else 0
    weight_RN: Tensor  # 1 / number of scored steps; 0 for steps that are not scored

    def rows(self, rows: slice | list[int]) -> CohortBatch:
        """The batches of some replicas."""
        return CohortBatch(self.x_RTBI[rows], *(part[rows] for part in self._tensors))

    def to(self, device: str) -> CohortBatch:
        """The same tensors on a device."""
        return CohortBatch(self.x_RTBI.to(device), *(part.to(device) for part in self._tensors))

    @property
    def _tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self[1:]


@dataclass(frozen=True)
class ScoredSteps:
    """Which steps of a task's sequences are scored, and how.

    `per_sequence` is the number of scored steps of each sequence; None if it varies. Then the network is read out at
    every step, and the steps that are not scored get weight 0.
    """

    answer: Answer
    per_sequence: int | None

    @classmethod
    def of(cls, trial: Trial) -> ScoredSteps:
        """The scored steps of a trial's task, from sequences drawn with a fixed seed: equal for trials of one shape."""
        rng = stream(0, "probe")
        if is_long(trial.task):
            count_B = torch.zeros(LONG_PROBES, dtype=torch.int64)
            for part in parts_of(trial.task, rng, LONG_PROBES, lags(trial, rng, LONG_PROBES), exact=False):
                count_B += (part.lag_BT >= 0).sum(1)
        else:
            count_B = (trial.task.sample(rng, 64, lags(trial, rng, 64)).lag_BT >= 0).sum(1)
        equal = not trial.task.varying and bool((count_B == count_B[0]).all()) and int(count_B[0]) > 0
        return cls(trial.task.answer, int(count_B[0]) if equal else None)

    def stacked(self, batches: Sequence[Batch], updates: int = 1) -> CohortBatch:
        """The batches of all replicas as tensors with a replica axis first, and time before sequences.

        With several `updates`, each batch holds the sequences of all of them, and the replica axis is that of U * R
        batches, those of one update after those of the one before.
        """
        x_RTBI, target_RTB, lag_RTB = (_in_order(parts, updates) for parts in zip(*batches, strict=True))
        R, T, B = lag_RTB.shape
        scored_RN = lag_RTB.view(R, T * B) >= 0
        if self.per_sequence is None:
            index_RN = torch.arange(T * B).expand(R, T * B)
        else:
            count, expected = int(scored_RN.sum()), R * B * self.per_sequence
            if count != expected:
                raise RuntimeError(f"a batch has {count} steps with an answer, but {expected} were expected")
            index_RN = scored_RN.nonzero()[:, 1].view(R, B * self.per_sequence)
        lag_RN = lag_RTB.view(R, T * B).gather(1, index_RN)
        target_RN = target_RTB.flatten(1, 2)[torch.arange(R).unsqueeze(1), index_RN]
        return self._weighted(x_RTBI, index_RN, target_RN, lag_RN)

    def stacked_long(self, replicas: Sequence[Drawn], coder: Coder) -> CohortBatch:
        """Long sequences of all replicas, as `stacked`."""
        index_RN, target_RN, lag_RN = (torch.stack(parts) for parts in zip(*(one[1:] for one in replicas), strict=True))
        return self._weighted(stacked_inputs(replicas, coder), index_RN, target_RN, lag_RN)

    def _weighted(self, x: Tensor | Symbols, index_RN: Tensor, target_RN: Tensor, lag_RN: Tensor) -> CohortBatch:
        weight_RN = (lag_RN >= 0).float()
        needed_RN = (lag_RN > 0).float()
        needed_RN = torch.where(needed_RN.sum(1, keepdim=True) > 0, needed_RN, weight_RN)
        return CohortBatch(x, index_RN, target_RN, needed_RN, weight_RN / weight_RN.sum(1, keepdim=True))

    def outputs(self, network: Network, batch: CohortBatch) -> Tensor:
        """The network's answers, (R, N, O)."""
        if not torch.is_grad_enabled() and stretches.fits(network, batch.x_RTBI.shape[1]):
            return network.readout(stretches.outputs(network, batch.x_RTBI, batch.index_RN))
        x_RTBI = steps_of(batch.x_RTBI, 0, batch.x_RTBI.shape[1])
        if self.per_sequence is not None:
            return network.readout(network.run(x_RTBI, index_RN=batch.index_RN)[0])
        return network.readout(network.run(x_RTBI)[0].flatten(1, 2))

    def loss(self, network: Network, batch: CohortBatch) -> Tensor:
        """Each replica's mean loss over its scored steps, (R,)."""
        loss_RN = self.answer.loss(self.outputs(network, batch), batch.target_RN)
        return (loss_RN * batch.weight_RN).sum(1)

    def scores(self, network: Network, data: CohortBatch | LongValidation) -> tuple[float, float]:
        """One replica's mean accuracy and loss over the scored steps whose answers need memory."""
        parts = []
        for batch in [data] if isinstance(data, CohortBatch) else data.batches():
            output_RNO, needed_RN = self.outputs(network, batch), batch.needed_RN > 0
            correct_RN = self.answer.correct(output_RNO, batch.target_RN).double()
            loss_RN = self.answer.loss(output_RNO, batch.target_RN).double()
            parts.append((correct_RN[needed_RN], loss_RN[needed_RN]))
        correct_N, loss_N = map(torch.cat, zip(*parts, strict=True))
        return float(correct_N.sum()) / len(correct_N), float(loss_N.sum()) / len(correct_N)


def _in_order(parts: Sequence[Tensor], updates: int) -> Tensor:
    """The sequences of each replica, (U * B, T, ...), as one tensor (U * R, T, B, ...)."""
    size, T, *rest = parts[0].shape
    made = parts[0].new_empty(updates, len(parts), T, size // updates, *rest)
    for r, part in enumerate(parts):
        made[:, r] = part.reshape(updates, size // updates, T, *rest).transpose(1, 2)
    return made.flatten(0, 1)


def lags(trial: Trial, rng: np.random.Generator, size: int, first: int | None = None) -> Lags | None:
    """The lag of each of `size` training sequences; None if all have the trial's lag.

    They are the sequences of successive updates from number `first` on; without it, those of the last update.
    """
    if not isinstance(trial.train_lags, Mixed):
        return None
    return drawn_lags(trial.train_lags, rng, size, batch=trial.batch, steps=trial.steps, first=first)


class BatchStream:
    """An endless stream of batches for R replicas, drawn in blocks of several batches.

    Small blocks are drawn several at a time. `before` is the number of batches that were used before the current draw.
    """

    def __init__(
        self, trials: Sequence[Trial], purpose: Literal["train", "validation"], scored: ScoredSteps, device: str
    ) -> None:
        self.trial, self.scored, self.device = trials[0], scored, device
        # A task with a finite data set has separate validation data
        self.task: Task = self.trial.task if purpose == "train" else self.trial.task.held_out("validation")
        self.rngs = [stream(trial.seed, purpose) for trial in trials]
        self.is_long = scored.per_sequence is not None and is_long(self.task)
        self.block = 1 if self.is_long else batches_per_draw(self.task, self.trial.batch)
        numbers = steps_of_task(self.task) * self.task.inputs * self.block * self.trial.batch * len(trials)
        self.blocks = 1 if self.is_long else max(1, min(16, DRAWN_NUMBERS // numbers))
        self.coder = Coder(self.task.inputs)
        self.queued: list[CohortBatch] = []  # each holds the batches of some updates, one after the other
        self.at = 0  # updates of the first of them whose batches have been used
        self.places = [self._generator_states()]  # before each block of the current draw, and after the last
        self.before = self.used = 0

    @property
    def states(self) -> list[GeneratorState]:
        """The states of the random generators before the current block."""
        return self.places[self.used // self.block]

    @property
    def taken(self) -> int:
        """The number of batches of the current block that have been used."""
        return self.used % self.block

    @property
    def drawn(self) -> int:
        """The number of batches of the current draw."""
        return (len(self.places) - 1) * self.block

    def next(self, most: int = 1) -> CohortBatch:
        """The next batch of every replica, or batches of up to `most` updates, one after the other."""
        R = len(self.rngs)
        if self.queued and self.at * R == len(self.queued[0].x_RTBI):
            self.at = 0
            del self.queued[0]
        if not self.queued:
            self._draw_blocks()
        first = self.queued[0]
        count = min(most, len(first.x_RTBI) // R - self.at)
        self.at += count
        self.used += count
        return first.rows(slice((self.at - count) * R, self.at * R))

    def put_back(self, count: int) -> None:
        """Return the last `count` batches of the last call of `next`, which were not used."""
        self.at -= count
        self.used -= count

    def validation(self) -> CohortBatch | LongValidation:
        """A batch of VALIDATION sequences for every replica; with one training lag, only answers at this lag count."""
        if self.is_long:
            return LongValidation(self, self._generator_states())
        sampled = [self._sample(rng, VALIDATION, None) for rng in self.rngs]
        return self.scored.stacked(sampled).to(self.device)

    def resume(self, states: Sequence[GeneratorState], taken: int, count: int) -> None:
        """Continue from the point at which another stream of the same trials had used `count` batches.

        `taken` of these were of the block before which its generators had these `states`.
        """
        for rng, state in zip(self.rngs, states, strict=True):
            rng.bit_generator.state = state
        self.before, self.used = count - taken, 0
        self.at, self.queued = 0, []
        self._draw_blocks()
        while self.used < taken:
            self.next(taken - self.used)

    def keep(self, rows: list[int]) -> None:
        """Continue with these replicas only."""
        R = len(self.rngs)
        self.rngs = [self.rngs[r] for r in rows]
        self.places = [[states[r] for r in rows] for states in self.places]
        self.queued = [
            batch.rows([update + r for update in range(0, len(batch.x_RTBI), R) for r in rows]) for batch in self.queued
        ]

    def _draw_blocks(self) -> None:
        """Draw the next blocks and stack many of their batches at once, which costs little more than stacking one."""
        self.before, self.used, self.places = self.before + self.used, 0, [self._generator_states()]
        R, size = len(self.rngs), self.trial.batch
        if self.is_long:
            self.queued = [self.long_batch(size)]
            self.places.append(self._generator_states())
            return
        left = -(-(self.trial.steps - self.before) // self.block)
        drawn: list[list[Batch]] = []  # blocks of replicas
        for block in range(max(1, min(self.blocks, left))):
            first = self.before + block * self.block + 1
            drawn.append([self._sample(rng, self.block * size, first) for rng in self.rngs])
            self.places.append(self._generator_states())
        each = drawn[0]
        if len(drawn) > 1:
            each = [Batch(*map(torch.cat, zip(*blocks, strict=True))) for blocks in zip(*drawn, strict=True)]
        numbers = each[0].input_BTI.numel() // self.drawn * R
        step = max(1, STACKED_NUMBERS // numbers)
        for start in range(0, self.drawn, step):
            count = min(step, self.drawn - start)
            part = [Batch(*(values[start * size : (start + count) * size] for values in one)) for one in each]
            self.queued.append(self.scored.stacked(part, count).to(self.device))

    def long_batch(self, size: int, exact: bool = False) -> CohortBatch:
        """A batch of long sequences; with `exact`, as for validation."""
        own = not isinstance(self.trial.train_lags, Mixed)
        first = None if exact else self.before + 1
        each = []
        for rng in self.rngs:
            lag_B = lags(self.trial, rng, size, first)
            one = drawn(self.task, rng, size, self.coder, lag_B, exact=exact and own)
            if exact and own:
                lag_N = torch.where(one.lag_N == self.task.lag, one.lag_N, one.lag_N.clamp(max=0))
                one = one._replace(lag_N=lag_N)
            each.append(one)
        return self.scored.stacked_long(each, self.coder).to(self.device)

    def _generator_states(self) -> list[GeneratorState]:
        return [dict(rng.bit_generator.state) for rng in self.rngs]

    def _sample(self, rng: np.random.Generator, size: int, first: int | None) -> Batch:
        """Sequences of updates from number `first` on; None for validation."""
        if first is not None or isinstance(self.trial.train_lags, Mixed):
            return self.task.sample(rng, size, lags(self.trial, rng, size, first))
        batch = self.task.sample_exact(rng, size)
        own_BT = batch.lag_BT == self.task.lag
        return batch._replace(lag_BT=torch.where(own_BT, batch.lag_BT, batch.lag_BT.clamp(max=0)))


class LongValidation:
    """Long validation sequences, drawn again at each use, some at a time.

    `states` are those of the stream's generators before the first sequence.
    """

    def __init__(self, stream: BatchStream, states: list[GeneratorState]) -> None:
        self.stream, self.states = stream, states

    def batches(self) -> Iterator[CohortBatch]:
        """The sequences, in parts."""
        for rng, state in zip(self.stream.rngs, self.states, strict=True):
            rng.bit_generator.state = state
        size = max(1, min(LONG_VALIDATION, LONG_STEPS // steps_of_task(self.stream.task)))
        for start in range(0, VALIDATION, size):
            yield self.stream.long_batch(min(size, VALIDATION - start), exact=True)
