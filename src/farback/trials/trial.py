"""A trial is one training of one network: a frozen record, and the unit of storage and resumption."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from farback import encoders, inits, measures, optimizers
from farback.cells.base import Cell
from farback.encoders.base import Encoder
from farback.inits.base import Init
from farback.measures.base import Measure
from farback.networks.equal_size import LARGEST_HIDDEN, Match, MatchError
from farback.networks.network import Architecture
from farback.optimizers.base import Optimizer
from farback.records.record import Record, Several, digest, single
from farback.tasks.base import Task
from farback.trials.lags import Lag, Mixed, TrainLags

Count = Annotated[int, Field(ge=1, le=10_000_000)]

# What may differ between the replicas of one cohort. The optimizer's numbers may, its rule may not.
REPLICA_FIELDS = ("seed", "init", "clip")


class Trial(Record):
    """One training of one network. Every field but `match` is part of its identity; device and cohort are not.

    `lag` is the training lag k = readout step - cue step; with mixed `train_lags` it is the largest of them. It may be
    given here or on the task, and ends up in both. `match` stands in place of `hidden`, which is chosen by it: trials
    that come to the same size are the same trial, however they came to it.

    Attributes:
        task: what is asked of the network.
        lag: readout step minus cue step of the sequences it trains on; the largest of them where `train_lags` mixes.
        train_lags: how the lag of each training sequence is drawn.
        cell: the recurrence.
        init: how its parameters are drawn.
        encoder: what the cells see of a step.
        hidden: units of a layer, H.
        match: in place of `hidden`: a budget of `parameters`, `state` or `flops` a step, for which the largest size is
            taken.
        depth: layers of cells.
        bias: whether the cells have biases.
        bidirectional: whether every layer also reads from the end.
        initial_state: the state before the first step: zeros, or parameters that are learned.
        optimizer: how the parameters are changed.
        clip: the largest norm of the gradient of one network, to which a larger one is scaled; null does not clip.
        batch: sequences of an update.
        steps: updates at most.
        evaluate_every: updates between two looks at validation sequences.
        stop: sustained ends a training after three evaluations in a row that count as remembering; never takes all
            steps.
        measures: what is measured on the network.
        seed: from which weights, training, validation and test sequences are drawn, each from a stream of its own.
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
    optimizer: Optimizer = optimizers.build("adam")
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
