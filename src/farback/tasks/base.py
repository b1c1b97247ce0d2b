"""A task is a generator of sequences with asked steps, and its chance level.

Lag everywhere: **k = T - s**, where s is the step of the cue and T the step of the readout; k = 0 is the same step.

Shapes: B sequences, T steps, I inputs, N asked steps, C bits of an answer.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from farback.records.component import Component, Family
from farback.tasks.support.answers import Answer, Chance, Rung

Lags = NDArray[np.int64]


class Batch(NamedTuple):
    """Sequences, answers, and which steps are asked.

    `lag_BT` is -1 where nothing is asked, else the lag that the answer needs: one tensor is mask and slice key, and
    sequences with different lags share a batch.
    """

    input_BTI: Tensor  # float32
    target_BT: Tensor  # int64 for classes, float32 for real values and, (B, T, C), for bits; 0 where nothing is asked
    lag_BT: Tensor  # int64


class Task(Component):
    """The base of the tasks.

    A task has a `lag` of its own; `at(lag)` is the same task at another one. `sample` draws sequences of exactly that
    lag, or, given `lag_B`, a lag for each sequence, none larger than `lag`; all are padded to the length that `lag`
    needs. A task whose question differs from lag to lag (n-back: "which symbol was k steps ago?") does not mix lags: a
    network trained at one lag cannot be asked at another.
    """

    lag: Annotated[int, Field(ge=0, le=100_000)] = 10

    least_lag: ClassVar[int] = 0

    @model_validator(mode="after")
    def _lag_is_possible(self) -> Self:
        if self.lag < self.least:
            needs = f"{self.name} with these settings needs a lag of {self.least} or more"
            raise ValueError(f"lag is {self.lag}, and {needs}")
        return self

    @property
    def least(self) -> int:
        """The smallest lag at which the task makes sense."""
        return self.least_lag

    @property
    def mixes(self) -> bool:
        """Whether sequences of different lags ask one question, so that one network can be asked at all of them."""
        return True

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Numbers that the network sees at a step, I."""

    @property
    @abstractmethod
    def answer(self) -> Answer:
        """The kind of answer."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw `size` sequences.

        Args:
            rng: the only source of randomness.
            size: how many sequences, B.
            lag_B: the lag of each sequence, at most `lag`; without it every sequence has `lag`.
        """

    @abstractmethod
    def chance(self) -> Chance:
        """Scores of the best guess without memory, over the asked steps that need memory (`lag_BT` > 0 if any is)."""

    @abstractmethod
    def ladder(self) -> list[Rung]:
        """What partial memory scores, from nothing remembered to everything."""

    def at(self, lag: int) -> Self:
        """The same task at another lag."""
        return type(self).model_validate({**dict(self), "lag": lag})

    def held_out(self, purpose: Literal["validation", "test"]) -> Self:
        """The same task on data that training never meets. A task that draws endless fresh sequences is its own."""
        return self

    def one_lag(self, size: int, lag_B: Lags | None) -> int:
        """The lag of all sequences, for a task that does not mix lags.

        Raises:
            ValueError: as `lags`, or another lag among them.
        """
        if self.lags(size, lag_B).min(initial=self.lag) < self.lag:
            raise ValueError(
                f"{self.name} asks one question for each lag: lags other than {self.lag} cannot be mixed in"
            )
        return self.lag

    def lags(self, size: int, lag_B: Lags | None) -> Lags:
        """The lag of each of `size` sequences, checked.

        Raises:
            ValueError: `lag_B` has another length than `size`, or a lag outside what the task can ask.
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
    """A batch of tensors from arrays."""
    return Batch(torch.from_numpy(input_BTI), torch.from_numpy(target_BT), torch.from_numpy(lag_BT))


FAMILY = Family("farback.tasks", Task, "task")
