"""The task interface: sequences, the steps at which the network must answer, and the scores without memory.

The lag is always **k = T - s**, where s is the step of the cue and T the step of the readout; k = 0 is the same step.

Shapes: B sequences, T steps, I inputs, N asked steps (at which the network must answer), C bits of an answer.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from farback.records.component import Component, Family
from farback.tasks.support.answers import Answer, Chance, OneOf, Rung

Lags = NDArray[np.int64]
LONGEST_LAG = 10_000_000  # of tasks that can be drawn in parts
WHOLE_LAG = 100_000  # of tasks whose sequences are drawn whole


class Batch(NamedTuple):
    """Sequences, answers, and the steps at which the network must answer.

    `lag_BT` is -1 where nothing is asked, else the lag that the answer needs. So one tensor both masks the asked steps
    and selects them by lag, and a batch can mix sequences of different lags.
    """

    input_BTI: Tensor  # float32
    target_BT: Tensor  # int64 for classes, else float32; (B, T, C) for bits; 0 where nothing is asked
    lag_BT: Tensor  # int64

    def in_parts(self, steps: int) -> Iterator[Batch]:
        """The same sequences as successive parts of at most `steps` steps."""
        for parts in zip(*(torch.split(part, steps, dim=1) for part in self), strict=True):
            yield Batch(*parts)


class Task(Component):
    """The base class of tasks.

    A task has one `lag`; `at(lag)` is the same task with another lag. `sample` draws sequences of exactly this lag, or
    of the lags in `lag_B`, none larger than `lag`; it pads all to the length that `lag` needs. Some tasks ask a
    different question at each lag (n-back: "which symbol was k steps ago?"). They do not mix lags, because a network
    trained at one lag cannot be tested at another.
    """

    lag: Annotated[int, Field(ge=0, le=LONGEST_LAG)] = 10

    least_lag: ClassVar[int] = 0
    draws_in_parts: ClassVar[bool] = False  # whether `sample_in_parts` needs the same memory at every lag
    lag_of_data: ClassVar[bool] = False  # whether the task's data give its lag, so that a config may leave it out

    @model_validator(mode="after")
    def _lag_is_possible(self) -> Self:
        if self.lag < self.least:
            needs = f"{self.name} with these settings needs a lag of {self.least} or more"
            raise ValueError(f"lag is {self.lag}, and {needs}")
        if self.lag > WHOLE_LAG and not self.draws_in_parts:
            raise ValueError(f"lag is {self.lag}, and {self.name} draws whole sequences: at most {WHOLE_LAG}")
        return self

    @property
    def least(self) -> int:
        """The smallest possible lag with these settings."""
        return self.least_lag

    @property
    def mixes(self) -> bool:
        """Whether sequences of different lags ask the same question, so that one network can be tested at all lags."""
        return True

    @property
    def has_lags(self) -> bool:
        """Whether it is known which lag each answer needs; else `lag_BT` has one value, and there is no horizon."""
        return True

    @property
    def varying(self) -> bool:
        """Whether sequences may differ in their number of answers although a few draws do not show it."""
        return False

    @property
    @abstractmethod
    def inputs(self) -> int:
        """The number of inputs that the network sees at each step, I."""

    @property
    @abstractmethod
    def answer(self) -> Answer:
        """The kind of answer."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw `size` sequences.

        Args:
            rng: the only source of randomness.
            size: the number of sequences, B.
            lag_B: the lag of each sequence, at most `lag`; without it every sequence has `lag`.

        Raises:
            ValueError: `lag_B` does not have `size` lags, or has one that this task cannot have.
        """

    def sample_exact(self, rng: np.random.Generator, size: int) -> Batch:
        """Draw sequences of the task's lag in each of which an answer needs exactly this lag.

        They have the distribution of `sample`, given that `lag_BT` is `lag` at some step. A task whose answers can need
        other lags overrides this method, because such sequences may be rare.
        """
        return self.sample(rng, size)

    def sample_in_parts(
        self, rng: np.random.Generator, size: int, steps: int, lag_B: Lags | None = None
    ) -> Iterator[Batch]:
        """Draw sequences as `sample_exact` does, or as `sample` if lags are given, in parts of at most `steps` steps.

        A task with `draws_in_parts` overrides this method and never holds a whole sequence.
        """
        whole = self.sample_exact(rng, size) if lag_B is None else self.sample(rng, size, lag_B)
        yield from whole.in_parts(steps)

    def chance(self) -> Chance:
        """Scores of the best guess without memory, over the asked steps with `lag_BT` > 0 (or all, if none is).

        By default the scores of a guess among equally likely classes. Tasks with other answers override this method.
        """
        if not isinstance(self.answer, OneOf):
            raise NotImplementedError(f"{type(self).__name__} must define chance(): only class answers have a default")
        return Chance(1 / self.answer.classes, math.log(self.answer.classes))

    @abstractmethod
    def ladder(self) -> list[Rung]:
        """Scores of models with partial memory, from one that remembers nothing to one that remembers everything."""

    def at(self, lag: int) -> Self:
        """The same task with another lag. Raises pydantic.ValidationError, a ValueError: the lag is impossible."""
        return type(self).model_validate({**dict(self), "lag": lag})

    def held_out(self, purpose: Literal["validation", "test"]) -> Self:
        """The same task on data that are never trained on: the task itself, unless its data are finite."""
        return self

    def about(self) -> str:
        """What the data are, in sentences for pages; empty for a task that draws every sequence anew."""
        return ""

    def one_lag(self, size: int, lag_B: Lags | None) -> int:
        """The lag of all sequences, for a task that does not mix lags.

        Raises:
            ValueError: `lag_B` is invalid (see `lags`), or a sequence has another lag.
        """
        if self.lags(size, lag_B).min(initial=self.lag) < self.lag:
            raise ValueError(
                f"{self.name} asks a different question at each lag, so lags cannot be mixed: all must be {self.lag}"
            )
        return self.lag

    def lags(self, size: int, lag_B: Lags | None) -> Lags:
        """The lag of each of `size` sequences, after checking `lag_B`.

        Raises:
            ValueError: `lag_B` does not have `size` lags, or has one that this task cannot have.
        """
        if lag_B is None:
            return np.full(size, self.lag, dtype=np.int64)
        if lag_B.shape != (size,) or lag_B.min(initial=self.lag) < self.least or lag_B.max(initial=0) > self.lag:
            raise ValueError(f"lag_B must hold {size} lags between {self.least} and {self.lag}, got {lag_B}")
        return lag_B.astype(np.int64)


def one_hot(symbol_BT: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """Symbols as one-hot rows, (B, T, width); a negative symbol is a row of zeros."""
    input_BTI = np.zeros((*symbol_BT.shape, width), dtype=np.float32)
    flat = symbol_BT.ravel()
    shown = np.flatnonzero(flat >= 0)
    input_BTI.reshape(-1)[shown * width + flat[shown]] = 1.0
    return input_BTI


def batch(input_BTI: NDArray[np.float32], target_BT: NDArray[Any], lag_BT: Lags) -> Batch:
    """A batch with these arrays as tensors."""
    return Batch(torch.from_numpy(input_BTI), torch.from_numpy(target_BT), torch.from_numpy(lag_BT))


def batch_at(input_BTI: NDArray[np.float32], step_BN: Lags, answer_BN: NDArray[Any], lag_BN: Lags) -> Batch:
    """A batch that asks for answers at the steps `step_BN` of each sequence, and nothing elsewhere.

    Answers are integers for classes, and (B, N, C) for bits. Steps and lags are broadcast to (B, N).
    """
    row_B1, shape_BT = np.arange(len(input_BTI))[:, None], input_BTI.shape[:2]
    kind = np.int64 if np.issubdtype(answer_BN.dtype, np.integer) else np.float32
    target_BT = np.zeros((*shape_BT, *answer_BN.shape[2:]), dtype=kind)
    lag_BT = np.full(shape_BT, -1, dtype=np.int64)
    target_BT[row_B1, step_BN] = answer_BN
    lag_BT[row_B1, step_BN] = lag_BN
    return batch(input_BTI, target_BT, lag_BT)


def batch_once(input_BTI: NDArray[np.float32], step_B: Lags, answer_B: NDArray[Any], lag_B: Lags) -> Batch:
    """A batch that asks for one answer in each sequence, at step `step_B`."""
    return batch_at(input_BTI, step_B[:, None], answer_B[:, None], lag_B[:, None])


def part_once(input_BTI: NDArray[np.float32], first: int, step_B: Lags, answer_B: NDArray[Any], lag_B: Lags) -> Batch:
    """A part of sequences, from their step `first` on, as of `batch_once`: only some may be asked within the part."""
    lag_BT = np.full(input_BTI.shape[:2], -1, dtype=np.int64)
    target_BT = np.zeros(lag_BT.shape, dtype=np.int64 if np.issubdtype(answer_B.dtype, np.integer) else np.float32)
    row_N, at_N = within(step_B, first, input_BTI.shape[1])
    target_BT[row_N, at_N], lag_BT[row_N, at_N] = answer_B[row_N], lag_B[row_N]
    return batch(input_BTI, target_BT, lag_BT)


def within(step_B: Lags, first: int, steps: int) -> tuple[Lags, Lags]:
    """Which of the steps lie in a part of `steps` steps from step `first` on: the sequences, and the steps therein."""
    row_N = np.flatnonzero((step_B >= first) & (step_B < first + steps))
    return row_N, step_B[row_N] - first


def batch_from(input_BTI: NDArray[np.float32], lag: int, answer_BN: NDArray[Any]) -> Batch:
    """A batch that asks for an answer at every step from step `lag` on; each answer needs that lag."""
    return batch_at(input_BTI, np.arange(lag, input_BTI.shape[1])[None], answer_BN, np.array(lag))


FAMILY = Family("farback.tasks", Task, "task")
