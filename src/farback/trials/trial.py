"""A trial is one training of one network: a frozen record, stored and resumed as a unit."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator
from typing_extensions import override

from farback import cells, encoders, inits, measures, optimizers, schedules
from farback.cells.base import Cell
from farback.encoders.base import Encoder
from farback.inits.base import Init
from farback.measures.base import Measure
from farback.networks.block import NO_BLOCK, Block, published
from farback.networks.equal_size import LARGEST_HIDDEN, MatchError, SizeMatch
from farback.networks.module_network import NOT_SHOWN, OF_CELLS, ModuleNetwork, NetworkError
from farback.networks.network import Architecture
from farback.optimizers.base import Optimizer
from farback.records.component import Component
from farback.records.record import Record, Several, Since, digest, single
from farback.schedules.base import Schedule
from farback.tasks.base import Task
from farback.tasks.support.mixed_lags import MIXED, Mixed, TrainLags
from farback.trials.lags import Lag, lag_of_data
from farback.trials.plain_values import PlainValue, changed_settings, flattened

Count = Annotated[int, Field(ge=1, le=10_000_000)]

# Fields that may differ between the trials of one cohort. All fields of the optimizer except its name may differ too.
REPLICA_FIELDS = ("seed", "init", "clip", "schedule")

PLACEHOLDER = cells.build("memoryless")  # the cell of a trial with a network, until the network takes its place
REPLACED = ("cell", "hidden")  # fields that a network sets, so that no table shows them


class Trial(Record):
    """One training of one network.

    Every field except `match` is part of the trial's identity. Device and cohort are not. `network` takes the place of
    `cell` and of the fields that describe what surrounds a cell.

    The lag is k = readout step - cue step. It may be set on the trial or on its task, and is copied to the other.
    `match` chooses `hidden`. A trial that sets the same hidden size directly is the same trial.

    Attributes:
        task: the task that the network is trained on.
        lag: readout step minus cue step in the training sequences; the largest such lag if `train_lags` mixes several.
        train_lags: how the lag of each training sequence is drawn: `{uniform: [1, 80]}`, `{log_uniform: [1, 80]}`, or
            `{curriculum: [1, 80]}` with short lags first; `fixed` is always `lag`.
        cell: the recurrent cell.
        network: a whole network of your own with its own readout, instead of `cell` and of what surrounds a cell:
            `{name: module, class: "mine:MyModel", with: {}}`.
        block: what stands around the cell in every layer; `none` is the cell alone, and null what the cell was
            published with.
        init: how the parameters of the cell are initialised.
        encoder: how the inputs of a step are encoded before the first layer.
        hidden: units of each layer, H.
        match: chooses the largest `hidden` within a budget of `parameters`, numbers of `state`, or `flops` per step.
        depth: number of recurrent layers.
        bias: whether the cells and their blocks have biases.
        bidirectional: whether every layer also reads the sequence backwards.
        initial_state: the state before the first step, either zeros or learned parameters.
        optimizer: the optimizer.
        schedule: how the learning rate changes in the course of the `steps` updates.
        dropout: probability to drop each output of each layer but the top one, in training.
        recurrent_dropout: probability to drop each recurrent weight (`weight_hh`), for one update at a time.
        truncate: steps of truncated back-propagation: no gradient passes from one stretch of so many steps to the
            next. The stretches end at the last step, so the first may be shorter. null does not truncate.
        clip: largest norm of a network's gradient; a longer gradient is scaled down to this norm, null does not clip.
        batch: sequences per update.
        steps: largest number of updates.
        evaluate_every: updates between two evaluations on validation sequences.
        stop: `sustained` ends the training after three successive evaluations that count as remembering; `never` always
            trains for all `steps`.
        measures: what is measured on the network.
        seed: seed of the separate random streams for weights, training, validation and test sequences.
    """

    task: Task
    lag: Lag
    train_lags: TrainLags = "fixed"
    cell: Cell
    network: Annotated[ModuleNetwork | None, Since("0.2")] = None
    init: Init = inits.build("torch")
    encoder: Encoder = encoders.build("identity")
    hidden: Annotated[int, Field(ge=1, le=LARGEST_HIDDEN)] = 32
    match: SizeMatch | None = None
    depth: Annotated[int, Field(ge=1, le=64)] = 1
    block: Annotated[Block | None, Since("0.2")] = None
    bias: bool = True
    bidirectional: bool = False
    initial_state: Literal["zeros", "learned"] = "zeros"
    optimizer: Optimizer = optimizers.build("adam")
    schedule: Annotated[Schedule, Since("0.2")] = schedules.build("constant")
    dropout: Annotated[float, Field(ge=0, lt=1), Since("0.2")] = 0.0
    recurrent_dropout: Annotated[float, Field(ge=0, lt=1), Since("0.2")] = 0.0
    truncate: Annotated[Annotated[int, Field(ge=1, le=1_000_000)] | None, Since("0.2")] = None
    clip: Annotated[float, Field(gt=0), AfterValidator(single)] | None = 1.0
    batch: Annotated[int, Field(ge=1, le=65_536)] = 32
    steps: Annotated[int, Field(ge=0, le=10_000_000)] = 1000
    evaluate_every: Count = 100
    stop: Literal["sustained", "never"] = "sustained"
    measures: Several[Measure] = (measures.build("retention"),)
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    _chosen: bool = PrivateAttr(default=False)
    _role: tuple[str, str] | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _one_lag(cls, values: Any) -> Any:
        """Copy a lag that is given once (on the trial, on the task, or as the upper bound of mixed lags) to both."""
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
        bounds = next((mixed[key] for key in MIXED if key in mixed), None) if isinstance(mixed, dict) else None
        if isinstance(mixed, Mixed):
            bounds = mixed.bounds
        top = bounds[-1] if isinstance(bounds, list | tuple) and bounds else None
        given = [value for value in (values.get("lag"), task.get("lag")) if value is not None]
        if len(given) == 2 and given[0] != given[1] and not isinstance(values["task"], Task):
            raise ValueError(f"lag is {given[0]} and task.lag is {given[1]}: keep one of them")
        lag = given[0] if given else top
        if lag is None:
            lag = lag_of_data(task)
        if lag is None or not isinstance(lag, int):
            return values
        return {**values, "lag": max(lag, 0), "task": {**task, "lag": lag}}

    @model_validator(mode="before")
    @classmethod
    def _cell_or_network(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("network") is None or values.get("cell") is not None:
            return values
        return {**values, "cell": PLACEHOLDER}

    @model_validator(mode="after")
    def _network_as_cell(self) -> Self:
        """Let a whole network be the cell, whose outputs are the answers, before other validators use it."""
        if self.network is None:
            return self
        if self.cell is not PLACEHOLDER:
            raise NetworkError("cell", "network takes the place of cell: keep one of them")
        changed = (name for name in OF_CELLS if getattr(self, name) != Trial.model_fields[name].get_default())
        if field := next((name for name in changed if name in self.model_fields_set), None):
            raise NetworkError(field, f"{field} is about a cell and its layers, {NOT_SHOWN}: leave it out")
        self.__pydantic_fields_set__.discard("cell")
        self.__dict__ |= {"cell": self.network, "hidden": self.task.answer.outputs}  # because the record is frozen
        return self

    @model_validator(mode="after")
    def _published_block_once(self) -> Self:
        """Replace a block by null if the cell was published with it, because it is the same trial."""
        if self.block is not None and self.block == published(self.cell):
            self.__dict__["block"] = None  # because the record is frozen
        return self

    @model_validator(mode="after")
    def _matched(self) -> Self:
        """Set the hidden size that `match` chooses, before other validators use it."""
        if self.match is not None:
            hidden = self.match.hidden(self.architecture)
            if "hidden" in self.model_fields_set and self.hidden != hidden:
                raise MatchError(f"hidden is {self.hidden} but match ({self.match}) chooses {hidden}: keep one of them")
            self.__dict__["hidden"] = hidden  # because the record is frozen
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if isinstance(self.train_lags, Mixed):
            self.train_lags.check(self.task, "train_lags")
        self.architecture.check(self.init)
        if self.truncate and not self.bidirectional and (reason := self.architecture.unresumable):
            raise ValueError(f"truncate is not possible: {reason}")
        self.schedule.check(self.steps)
        self._check_dropout()
        names = [measure.name for measure in self.measures]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the measure {twice} is listed twice, and its scores could not be told apart: keep one")
        for measure in self.measures:
            measure.check(self.task)
            if self.network is not None and measure.needs_cell:
                raise NetworkError("measures", f"{measure.name} is about units of a cell, {NOT_SHOWN}: leave it out")
        return self

    def _check_dropout(self) -> None:
        if self.dropout and self.depth == 1:
            raise ValueError("dropout acts between layers but depth is 1: set depth to 2 or more, or leave dropout out")
        if not self.recurrent_dropout:
            return
        trained = self.cell.parameters(1, self.hidden).keys() - set(self.cell.frozen)
        if "weight_hh" not in trained:
            message = f"recurrent_dropout acts on the weights weight_hh, but {self.cell.name} trains no such weights"
            raise ValueError(f"{message}: leave it out")

    @property
    def components(self) -> tuple[Component, ...]:
        """Its task, cell, init, encoder, optimizer, schedule and measures."""
        return (self.task, self.cell, self.init, self.encoder, self.optimizer, self.schedule, *self.measures)

    @property
    def architecture(self) -> Architecture:
        """The architecture of the network."""
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
            block=published(self.cell) if self.block is None else self.block,
            steps=self.lag + 1,
        )

    @property
    def chosen(self) -> bool:
        """Whether it stands for the trials of its network that are chosen during the run; else the config lists it."""
        return self._chosen

    def to_choose(self) -> Trial:
        """The same trial, as one that stands for those that are chosen during the run."""
        copy = self.model_copy()
        copy._chosen = True
        return copy

    @property
    def role(self) -> tuple[str, str] | None:
        """If it was chosen during a run, what it is for ("choice" or "judged") and its tuned setting; else None."""
        return self._role

    def playing(self, role: tuple[str, str]) -> Trial:
        """The same trial in a role, as it was chosen during a run."""
        copy = self.model_copy()
        copy._role = role
        return copy

    def changed(self, **fields: Any) -> Trial:
        """The same trial with other values of some fields, such as `seed` or `lag`."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        trial = Trial.model_validate({**given, **fields})
        return trial.to_choose() if self.chosen else trial

    @override
    def digested(self) -> dict[str, Any]:
        """The fields that identify the trial: all but `match`, because only the chosen hidden size counts, and either
        the cell or the network."""
        left_out = ("match", "network" if self.network is None else "cell")
        return {name: value for name, value in super().digested().items() if name not in left_out}

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
        """A hash of the fields that the trials of one cohort share. Trials with the same hash may train together."""
        return digest(self._shared())

    @cached_property
    def shape_at_any_lag(self) -> str:
        """A hash of the fields of `shape` but the lag."""
        values = self._shared()
        values["task"] = {name: value for name, value in values["task"].items() if name != "lag"}
        return digest({**values, "lag": None})

    def _shared(self) -> dict[str, Any]:
        values = {name: value for name, value in self.digested().items() if name not in REPLICA_FIELDS}
        return {**values, "optimizer": self.optimizer.name}

    @cached_property
    def group(self) -> str:
        """A hash of everything but the seed: trials with the same hash are repetitions with other seeds."""
        return digest({name: value for name, value in self.digested().items() if name != "seed"})

    @property
    def label(self) -> str:
        """A readable name of the network, which does not depend on seed and lag: "LSTM, chrono, 2 layers"."""
        parts = [self.cell.label()]
        if self.init.name != "torch":
            parts.append(self.init.label())
        if self.depth > 1:
            parts.append(f"{self.depth} layers")
        if self.bidirectional:
            parts.append("bidirectional")
        if self.block is not None:
            parts.append(f"block ({self.block})" if self.block != NO_BLOCK else "no block")
        return ", ".join(parts)

    def parameters(self) -> dict[str, PlainValue]:
        """The fields as dotted names and plain values, for tables and MLflow."""
        flat: dict[str, PlainValue] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name == "measures":
                flat[name] = ", ".join(measure.name for measure in value)
                flat |= changed_settings(value)
            elif name == "block":
                flat |= flattened(name, self.architecture.block)
            elif value is not None if name in ("match", "network") else self.network is None or name not in REPLACED:
                flat |= flattened(name, value)
        return flat

    def columns(self) -> dict[str, Any]:
        """The columns that describe the trial in the data frame of scores, equal in all rows of the trial."""
        own = {"key": self.key, "label": self.label, "cell": self.cell.label(), "init": self.init.label()}
        own["task"] = self.task.name
        rest = {name: value for name, value in self.parameters().items() if name != "lag"}
        return {**own, "trained_lag": self.lag, **rest, **self.architecture.counts}


def later_parameters() -> dict[str, PlainValue]:
    """The parameters that later releases added, with their defaults: earlier results lack them."""
    later = {n: f for n, f in Trial.model_fields.items() if any(isinstance(mark, Since) for mark in f.metadata)}
    later.pop("network")  # which only trials with a network have
    defaults = {name: NO_BLOCK if name == "block" else field.default for name, field in later.items()}
    return {key: value for name, default in defaults.items() for key, value in flattened(name, default).items()}
