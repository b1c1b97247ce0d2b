"""How the lag of each training sequence is drawn: all equal, or from a range of lags."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from farback.records.record import Record, Several
from farback.tasks.base import LONGEST_LAG, Lags, Task

Bounds = Several[Annotated[int, Field(ge=1, le=LONGEST_LAG)]]


class Mixed(Record):
    """The base class of the distributions from which the lag of each training sequence is drawn."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        pair = self._pair()
        if len(pair) != 2 or pair[0] > pair[1]:
            raise ValueError(f"the range of lags must be [smallest, largest], got {list(pair)}")
        return self

    def _pair(self) -> tuple[int, ...]:
        (pair,) = dict(self).values()  # the only field of each subclass
        return tuple(pair)

    @property
    def bounds(self) -> tuple[int, int]:
        """Smallest and largest lag."""
        low, high = self._pair()
        return low, high

    def check(self, task: Task, name: str) -> None:
        """Raise ValueError unless the task can mix these lags; `name` is what the message calls them."""
        low, high = self.bounds
        if not task.mixes:
            raise ValueError(f"the targets of {task.name} depend on the training lag, so {name} must be fixed")
        if high != task.lag:
            raise ValueError(f"lag is {task.lag} but {name} end at {high}: leave lag out, or make them equal")
        task.at(low)


class Uniform(Mixed):
    """Every lag from the first to the second is equally likely: `{uniform: [1, 80]}`."""

    uniform: Bounds

    def __str__(self) -> str:
        return "uniform {}-{}".format(*self.uniform)


class LogUniform(Mixed):
    """The logarithm of the lag is uniform, so short lags are more frequent: `{log_uniform: [1, 80]}`."""

    log_uniform: Bounds

    def __str__(self) -> str:
        return "log-uniform {}-{}".format(*self.log_uniform)


class Curriculum(Mixed):
    """Short lags first: the lags of `uniform`, whose largest one grows during training: `{curriculum: [1, 80]}`.

    It grows geometrically from the first lag to the second over the first half of the `steps` updates, and then stays.
    Validation has all lags from the start. Networks trained so are never in one table with others.

    Source: Bengio et al. 2009; Zaremba and Sutskever 2014 (1410.4615), section 5, with the strategy "mix" up to a
    difficulty that grows.
    """

    curriculum: Bounds

    def __str__(self) -> str:
        return "curriculum {}-{}".format(*self.curriculum)

    def largest(self, count: int, steps: int) -> int:
        """The largest lag of the training sequences of update number `count`, from 1 to `steps`."""
        low, high = self.bounds
        grown = min(1.0, 2 * (count - 1) / steps)
        return min(high, int(low * (high / low) ** grown + 1e-9))  # so that rounding errors take off no whole lag


MIXED = ("uniform", "log_uniform", "curriculum")  # the keys that the distributions have in a config


def _kind_of_lags(spec: Any) -> str | None:
    if isinstance(spec, str):
        return "fixed"
    keys = spec if isinstance(spec, dict) else type(spec).model_fields if isinstance(spec, Mixed) else ()
    return next((key for key in MIXED if key in keys), None)


TrainLags = Annotated[
    Annotated[Literal["fixed"], Tag("fixed")]
    | Annotated[Uniform, Tag("uniform")]
    | Annotated[LogUniform, Tag("log_uniform")]
    | Annotated[Curriculum, Tag("curriculum")],
    Discriminator(
        _kind_of_lags,
        custom_error_type="train_lags",
        custom_error_message="must be fixed, {uniform: [smallest, largest]}, {log_uniform: [smallest, largest]} "
        "or {curriculum: [smallest, largest]}",
    ),
]


def drawn_lags(
    mixed: Mixed, rng: np.random.Generator, size: int, *, batch: int, steps: int, first: int | None = None
) -> Lags:
    """The lag of each of `size` training sequences.

    They are the sequences of successive updates from number `first` on, `batch` each, of a training of `steps` updates;
    without `first`, those of the last update.
    """
    low, high = mixed.bounds
    if isinstance(mixed, LogUniform):
        lag_B = np.exp(rng.uniform(np.log(low), np.log(high + 1), size))
        return np.clip(lag_B.astype(np.int64), low, high)
    if isinstance(mixed, Curriculum) and first is not None:
        updates = range(first, first + -(-size // batch))
        longest = [mixed.largest(count, max(1, steps)) for count in updates]
        return rng.integers(low, np.repeat(longest, batch)[:size] + 1)
    return rng.integers(low, high + 1, size)
