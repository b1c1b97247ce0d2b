"""How lags are chosen: those of training sequences within a trial, and those of the trials of a sweep."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from farback.records.record import Record, Several

Lag = Annotated[int, Field(ge=0, le=100_000)]

Bounds = Several[Annotated[int, Field(ge=1, le=100_000)]]


class AdaptiveLag(Record):
    """The lags of a sweep's trials, chosen one after another: `{adaptive: [5, 320], precision: 0.3}`.

    For each network, the next lag is the one that tells most about its horizon for the time it costs. Every training
    has a seed of its own (docs/sweeps.md).

    Attributes:
        adaptive: the smallest and the largest lag to try.
        precision: the standard deviation of the horizon, in octaves (factors of two), at which a network is finished.
        limit: most trainings of a network; with `tune`, each setting gets at most a quarter before one is chosen.
    """

    adaptive: Bounds
    precision: Annotated[float, Field(ge=0.02, le=2)] = 0.3
    limit: Annotated[int, Field(ge=12, le=10_000)] = 60

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.adaptive) != 2 or self.adaptive[0] >= self.adaptive[1]:
            raise ValueError(f"adaptive takes two lags [smallest, largest], got {list(self.adaptive)}")
        return self


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
        custom_error_message="must be fixed, or {uniform: [smallest, largest]}, or log_uniform or curriculum so",
    ),
]
