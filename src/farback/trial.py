"""A trial is one training of one network: a frozen record, and the unit of storage and resumption."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, PrivateAttr, Tag, model_validator

from farback import encoders, inits, measures
from farback.cells.base import Cell
from farback.component import Record, Several, digest, single
from farback.encoders.base import Encoder
from farback.events import SCORE_COLUMNS as SCORE_COLUMNS
from farback.events import Checkpoint as Checkpoint
from farback.events import Ended as Ended
from farback.events import Entry as Entry
from farback.events import Event as Event
from farback.events import Failed as Failed
from farback.events import Finished as Finished
from farback.events import Left as Left
from farback.events import Paused as Paused
from farback.events import Progress as Progress
from farback.events import Reused as Reused
from farback.events import Row as Row
from farback.events import Status as Status
from farback.events import Stopped as Stopped
from farback.events import TrialResult as TrialResult
from farback.events import Wish as Wish
from farback.events import scores as scores
from farback.inits.base import Init
from farback.matching import LARGEST_HIDDEN, Match, MatchError
from farback.measures.base import Measure
from farback.network import Architecture
from farback.optimizers import Adam, Optimizer
from farback.tasks.base import Task

Count = Annotated[int, Field(ge=1, le=10_000_000)]
Lag = Annotated[int, Field(ge=0, le=100_000)]
Bounds = Several[Annotated[int, Field(ge=1, le=100_000)]]

# What may differ between the replicas of one cohort. The optimizer's numbers may, its rule may not.
REPLICA_FIELDS = ("seed", "init", "clip")


class Mixed(Record):
    """The base of the distributions that a training sequence's lag is drawn from."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        pair = self._pair()
        if len(pair) != 2 or pair[0] > pair[1]:
            raise ValueError(f"needs two lags [smallest, largest], got {list(pair)}")
        return self

    def _pair(self) -> tuple[int, ...]:
        """The one field that each distribution has, named as it is."""
        (pair,) = dict(self).values()
        return tuple(pair)

    @property
    def bounds(self) -> tuple[int, int]:
        """Smallest and largest lag."""
        low, high = self._pair()
        return low, high


class Uniform(Mixed):
    """Every lag from the first to the second equally often: `{uniform: [1, 80]}`."""

    uniform: Bounds

    def __str__(self) -> str:
        return "uniform {}-{}".format(*self.uniform)


class LogUniform(Mixed):
    """The logarithm of the lag uniform between the two, so that short lags are met often: `{log_uniform: [1, 80]}`."""

    log_uniform: Bounds

    def __str__(self) -> str:
        return "log-uniform {}-{}".format(*self.log_uniform)


def _kind_of_lags(spec: Any) -> str | None:
    if isinstance(spec, str):
        return "fixed"
    keys = spec if isinstance(spec, dict) else type(spec).model_fields if isinstance(spec, Mixed) else ()
    return next((key for key in ("uniform", "log_uniform") if key in keys), None)


TrainLags = Annotated[
    Annotated[Literal["fixed"], Tag("fixed")]
    | Annotated[Uniform, Tag("uniform")]
    | Annotated[LogUniform, Tag("log_uniform")],
    Discriminator(
        _kind_of_lags,
        custom_error_type="train_lags",
        custom_error_message="should be fixed, {uniform: [smallest, largest]} or {log_uniform: [smallest, largest]}",
    ),
]


class Trial(Record):
    """One training of one network. Every field but `match` is part of its identity; device and cohort are not.

    `lag` is the training lag k = readout step - cue step; with mixed `train_lags` it is the largest of them. It may be
    given here or on the task, and ends up in both. `match` stands in place of `hidden`, which is chosen by it: trials
    that come to the same size are the same trial, however they came to it.
    """

    task: Task
    lag: Lag
    train_lags: TrainLags = "fixed"
    cell: Cell
    init: Init = inits.build("torch")
    encoder: Encoder = encoders.build("identity")
    hidden: Annotated[int, Field(ge=1, le=LARGEST_HIDDEN)] = 32
    match: Match | None = None
    depth: Annotated[int, Field(ge=1, le=64)] = 1
    bias: bool = True
    bidirectional: bool = False
    initial_state: Literal["zeros", "learned"] = "zeros"
    optimizer: Optimizer = Adam()
    clip: Annotated[float, Field(gt=0), AfterValidator(single)] | None = 1.0
    batch: Annotated[int, Field(ge=1, le=65_536)] = 32
    steps: Annotated[int, Field(ge=0, le=10_000_000)] = 1000
    evaluate_every: Count = 100
    stop: Literal["sustained", "never"] = "sustained"
    measures: Several[Measure] = (measures.build("retention"),)
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    _bracket: tuple[int, ...] = PrivateAttr(default=())

    @model_validator(mode="before")
    @classmethod
    def _one_lag(cls, values: Any) -> Any:
        """Let the lag be given once, on the trial, on the task, or as the upper bound of mixed lags."""
        if not isinstance(values, dict) or "task" not in values:
            return values
        task = values["task"]
        if isinstance(task, Task):
            task = task.spec() if "lag" in task.model_fields_set else {**task.spec(), "lag": None}
        elif isinstance(task, str):
            task = {"name": task}
        elif not isinstance(task, dict):
            return values
        mixed = values.get("train_lags")
        bounds = mixed.get("uniform", mixed.get("log_uniform")) if isinstance(mixed, dict) else None
        if isinstance(mixed, Mixed):
            bounds = mixed.bounds
        top = bounds[-1] if isinstance(bounds, list | tuple) and bounds else None
        given = [value for value in (values.get("lag"), task.get("lag")) if value is not None]
        if len(given) == 2 and given[0] != given[1] and not isinstance(values["task"], Task):
            raise ValueError(f"lag is {given[0]} and task.lag is {given[1]}: give one of them, or equal values")
        lag = given[0] if given else top
        if lag is None or not isinstance(lag, int):
            return values
        return {**values, "lag": lag, "task": {**task, "lag": lag}}

    @model_validator(mode="after")
    def _matched(self) -> Self:
        """Choose the hidden size, before anything looks at it."""
        if self.match is not None:
            hidden = self.match.hidden(self.architecture)
            if "hidden" in self.model_fields_set and self.hidden != hidden:
                comes = f"match ({self.match}) comes to {hidden}"
                raise MatchError(f"hidden is {self.hidden} and {comes}: give one of them")
            self.__dict__["hidden"] = hidden  # frozen for everyone else
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if isinstance(self.train_lags, Mixed):
            low, high = self.train_lags.bounds
            if not self.task.mixes:
                raise ValueError(f"{self.task.name} asks one question for each lag, so its train_lags must be fixed")
            if high != self.lag:
                raise ValueError(f"lag is {self.lag} but train_lags end at {high}: leave lag out, or make them equal")
            self.task.at(low)
        self.architecture.check(self.init)
        for measure in self.measures:
            measure.check(self.task)
        return self

    @property
    def architecture(self) -> Architecture:
        """The shape of the network."""
        return Architecture(
            cell=self.cell,
            inputs=self.task.inputs,
            hidden=self.hidden,
            outputs=self.task.answer.outputs,
            depth=self.depth,
            bias=self.bias,
            bidirectional=self.bidirectional,
            learned_state=self.initial_state == "learned",
            encoder=self.encoder,
            start=self.task.answer.start,
        )

    @property
    def bracket(self) -> tuple[int, ...]:
        """The lags that bisection picked this trial's from; none where it was given. No part of the identity."""
        return self._bracket

    def picked(self, lags: tuple[int, ...]) -> Trial:
        """The same trial, as one that bisection may pick among those of these lags."""
        copy = self.model_copy()
        copy._bracket = lags
        return copy

    def reseeded(self, seed: int) -> Trial:
        """The same trial from another seed."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return Trial.model_validate({**given, "seed": seed}).picked(self.bracket)

    def digested(self) -> dict[str, Any]:
        """As for any record, less how the hidden size was chosen."""
        return {name: value for name, value in super().digested().items() if name != "match"}

    @cached_property
    def key(self) -> str:
        """The identity of the trial: the hash of every field but `match`, with the component versions."""
        return self.digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trial) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def shape(self) -> str:
        """Trials of one shape may train together: the key without what may differ between replicas."""
        values = {name: value for name, value in self.digested().items() if name not in REPLICA_FIELDS}
        return digest({**values, "optimizer": self.optimizer.name})

    @cached_property
    def group(self) -> str:
        """Trials of one group are repeats: the key without the seed."""
        return digest({name: value for name, value in self.digested().items() if name != "seed"})

    @property
    def label(self) -> str:
        """A readable name of the network, the same for every seed and lag: "LSTM, chrono, 2 layers"."""
        parts = [self.cell.label()]
        if self.init.name != "torch":
            parts.append(self.init.label())
        if self.depth > 1:
            parts.append(f"{self.depth} layers")
        if self.bidirectional:
            parts.append("bidirectional")
        return ", ".join(parts)

    def parameters(self) -> dict[str, str | int | float | bool | None]:
        """The record flattened to dotted names and plain values, for tables and trackers."""
        flat: dict[str, str | int | float | bool | None] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name == "measures":
                flat[name] = ", ".join(measure.name for measure in value)
                flat |= _settings(value)
            elif name == "train_lags" or isinstance(value, Match):
                flat[name] = str(value)
            elif name == "match":
                continue  # not used
            elif isinstance(value, Record):
                for inner in type(value).model_fields:
                    if (name, inner) == ("task", "lag"):
                        continue  # the trial's own
                    item = getattr(value, inner)
                    flat[f"{name}.{inner}"] = item if isinstance(item, str | int | float | bool | None) else str(item)
            else:
                flat[name] = value
        return flat

    def columns(self) -> dict[str, Any]:
        """What the tidy frame says of the trial, in every one of its rows."""
        named = {
            "key": self.key,
            "label": self.label,
            "cell": self.cell.label(),
            "init": self.init.label(),
            "task": self.task.name,
            "trained_lag": self.lag,
        }
        rest = {name: value for name, value in self.parameters().items() if name != "lag"}
        picked = {"bracket": " ".join(map(str, self.bracket))} if self.bracket else {}
        return {**named, **rest, **self.architecture.counts, **picked}


def _settings(taken: Iterable[Measure]) -> dict[str, str | int | float | bool | None]:
    """The plain fields of measures that are not at their default: two trials may differ in how they are measured."""
    return {
        f"measures.{measure.name}.{name}": value
        for measure in taken
        for name, field in type(measure).model_fields.items()
        if isinstance(value := getattr(measure, name), str | int | float | bool) and value != field.get_default()
    }


@dataclass(frozen=True)
class Cohort:
    """Trials of one shape that train together, and where they go on from.

    Attributes:
        trials: at least one.
        start: a checkpoint for each trial, in their order and all of one step; none where they begin.
    """

    trials: tuple[Trial, ...]
    start: tuple[Checkpoint, ...] = ()

    def __post_init__(self) -> None:
        if len({trial.shape for trial in self.trials}) != 1:
            raise ValueError("a cohort holds trials of one shape: pack them with farback.trial.cohorts")
        if self.start and [one.key for one in self.start] != self.keys:
            raise ValueError(f"the checkpoints {[one.key for one in self.start]} are not those of {self.keys}")
        if len({one.step for one in self.start}) > 1:
            raise ValueError(f"the checkpoints of a cohort are of one step, got {[one.step for one in self.start]}")

    @classmethod
    def of(cls, *trials: Trial) -> Cohort:
        """Trials from their beginning."""
        return cls(trials)

    @property
    def keys(self) -> list[str]:
        """Of the trials."""
        return [trial.key for trial in self.trials]

    @property
    def step(self) -> int:
        """How many updates were done before."""
        return self.start[0].step if self.start else 0

    def only(self, keys: Collection[str]) -> list[Cohort]:
        """The cohort without the other trials; none where nothing is left."""
        trials = tuple(trial for trial in self.trials if trial.key in keys)
        start = tuple(one for one in self.start if one.key in keys)
        return [Cohort(trials, start)] if trials else []

    def halves(self) -> list[Cohort]:
        """Two cohorts in its place; itself where it has one trial."""
        middle = len(self.trials) // 2
        pairs = [(self.trials[:middle], self.start[:middle]), (self.trials[middle:], self.start[middle:])]
        return [Cohort(trials, start) for trials, start in pairs if trials]


def cohorts(trials: Iterable[Trial], width: int, start: Mapping[str, Checkpoint] | None = None) -> list[Cohort]:
    """Pack trials of one shape together, at most `width` to a cohort, in the order they came.

    Args:
        trials: what has to be trained.
        width: trials of a cohort, at most.
        start: checkpoints by key: trials go on together where these are of one step.
    """
    start = start or {}
    packs: dict[tuple[str, int], list[list[Trial]]] = {}
    for trial in trials:
        step = start[trial.key].step if trial.key in start else 0
        open_packs = packs.setdefault((trial.shape, step), [[]])
        if len(open_packs[-1]) == width:
            open_packs.append([])
        open_packs[-1].append(trial)
    return [
        Cohort(tuple(pack), tuple(start[trial.key] for trial in pack if trial.key in start))
        for open_packs in packs.values()
        for pack in open_packs
    ]
