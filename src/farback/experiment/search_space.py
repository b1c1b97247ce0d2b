"""A search space: each dimension is a dotted path with a range or choices, and possibly with conditions."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo

from farback.experiment.errors import record_problems
from farback.experiment.grids import PATH
from farback.experiment.problems import Mark, Problems, joined, shown, word
from farback.experiment.yaml_tree import KeyValue, Node
from farback.records.record import Record
from farback.records.user_error import choices
from farback.trials.trial import Trial

T = TypeVar("T")
MOST_LEVELS = 10_000  # choices of one dimension
MOST_STEPS = 1e12  # most values of one range; a float counts exactly up to this number
Plain = str | int | float | bool | None


def _rising(ends: list[float]) -> list[float]:
    if ends[0] >= ends[1]:
        raise ValueError(f"the first end must be smaller than the second, got {shown(ends)}; fix one value in base")
    return ends


def _positive(ends: list[float]) -> list[float]:
    if ends[0] <= 0:
        raise ValueError(f"a logarithmic range must begin above 0, got {shown(ends)}")
    return ends


def _reaches_end(step: float | None, info: ValidationInfo) -> float | None:
    low, high = info.data.get("ends", (0, 0))
    steps = (high - low) / step if step else 0
    if steps > MOST_STEPS:
        raise ValueError(f"the step {shown(step)} is too small for the range from {shown(low)} to {shown(high)}")
    if abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
        last = low + math.floor(steps) * (high - low) / steps
        raise ValueError(f"{shown(high)} is not reached from {shown(low)} by steps of {shown(step)}; end at {last:g}")
    return step


def _allows_log(log: bool, info: ValidationInfo) -> bool:
    if log and info.data.get("step"):
        raise ValueError("a logarithmic range cannot have a step: remove log or step")
    if log and "ends" in info.data:
        _positive(info.data["ends"])
    return log


Ends = Annotated[list[T], Field(min_length=2, max_length=2), AfterValidator(_rising)]
Step = Annotated[T, Field(gt=0)] | None
Log = Annotated[bool, AfterValidator(_allows_log)]


class Form(Record):
    """The base class of the forms in which a config can write a dimension."""

    when: dict[str, Any] | None = None


class Choices(Form):
    """A list of values."""

    choices: Annotated[list[Any], Field(min_length=1, max_length=MOST_LEVELS)]


class Integers(Form):
    """[smallest, largest], with `step` or with `log: true`"""

    ends: Ends[int] = Field(alias="int")
    step: Annotated[Step[int], AfterValidator(_reaches_end)] = None
    log: Log = False


class Numbers(Form):
    """[smallest, largest], with `step` or with `log: true`"""

    ends: Ends[float] = Field(alias="float")
    step: Annotated[Step[float], AfterValidator(_reaches_end)] = None
    log: Log = False


class Ratios(Form):
    """[smallest, largest], on a logarithmic scale"""

    ends: Annotated[Ends[float], AfterValidator(_positive)] = Field(alias="log")


FORMS: dict[str, type[Form]] = {"choices": Choices, "float": Numbers, "int": Integers, "log": Ratios}


@dataclass(frozen=True)
class SpaceCondition:
    """A condition of a dimension: the value at `path` must be one of `values`."""

    path: str
    key: Mark
    values: tuple[Node, ...]

    def holds(self, tree: Node) -> bool:
        """Whether a trial's tree meets the condition."""
        value = value_at(tree, self.path)
        return any(
            scalar(value) == scalar(node.plain) and isinstance(value, bool) == isinstance(node.plain, bool)
            for node in self.values
        )


@dataclass(frozen=True)
class Dimension:
    """A dotted path whose value is searched.

    Attributes:
        kind: "categorical" for choices, "float" or "int" for a range.
        levels: the choices, or the two ends of the range.
        step: distance between the values of a numeric dimension; None allows any value.
        log: whether values are spread evenly on a logarithmic scale.
        when: the dimension is searched only if all these conditions hold.
    """

    path: str
    key: Mark
    kind: Literal["categorical", "float", "int"]
    levels: tuple[Node, ...]
    step: float | None = None
    log: bool = False
    when: tuple[SpaceCondition, ...] = ()

    @property
    def low(self) -> float:
        """The smallest value of a numeric dimension."""
        return float(self.levels[0].plain)

    @property
    def high(self) -> float:
        """The largest value of a numeric dimension."""
        return float(self.levels[-1].plain)

    @property
    def count(self) -> int | None:
        """The number of values; None if there are infinitely many."""
        if self.kind == "categorical":
            return len(self.levels)
        return None if self.step is None or self.log else round((self.high - self.low) / self.step) + 1

    def scalars(self) -> list[Plain]:
        """The choices as Optuna and MLflow store them: the `scalar` of each."""
        return [scalar(node.plain) for node in self.levels]

    def node(self, value: Plain) -> Node:
        """The value as a config tree, given what `scalar` returned for it."""
        if self.kind == "categorical":
            return next(n for n in self.levels if scalar(n.plain) == value and type(scalar(n.plain)) is type(value))
        number = int(str(value)) if self.kind == "int" else float(str(value))
        return Node(self.key, number, self.levels[0].origin.removesuffix("[0]"))

    def plain(self) -> dict[str, Any]:
        """The dimension as plain values, to compare it with the dimension in an existing study."""
        when = {condition.path: [node.plain for node in condition.values] for condition in self.when}
        levels = [node.plain for node in self.levels]
        return {"kind": self.kind, "levels": levels, "step": self.step, "log": self.log, "when": when}


def scalar(value: Any) -> Plain:
    """A value as a word or number. A component without settings becomes its name, one with settings becomes JSON."""
    if isinstance(value, dict) and set(value) == {"name"}:
        return str(value["name"])
    return json.dumps(value) if isinstance(value, dict | list) else value


def value_at(tree: Node, path: str) -> Any:
    """The plain value at a dotted path of a trial's tree, else the default at that path, else None."""
    head, *rest = path.split(".")
    if head in tree.entries:
        return inner_value(tree, [head, *rest])
    value: Any = Trial.model_fields[head].default if head in Trial.model_fields else None
    for name in rest:
        value = getattr(value, name, None)
    return getattr(value, "name", value) if isinstance(value, Record) else value


def inner_value(node: Node | None, names: Sequence[str]) -> Any:
    """The plain value below a node, or None. A bare name counts as `{name: ...}`."""
    for name in names:
        if node is not None and name == "name" and isinstance(node.value, str):
            return node.value
        node = node.child(name) if node else None
    return node.plain if node else None


def space(entry: KeyValue, problems: Problems) -> list[Dimension]:
    """The dimensions of a space, each after the dimensions on which it depends. Adds problems to `problems`."""
    if not entry.node.entries:
        message = "must map paths to choices or ranges, such as optimizer.lr: {log: [1e-4, 1e-1]}"
        problems.add(entry.key, "search.space", f"{message}, got {shown(entry.node.plain)}")
        return []
    dimensions = []
    for path, own in entry.node.entries.items():
        where = joined("search.space", path)
        if not PATH.fullmatch(path):
            message = f"{shown(path)} is not a path: name a field (hidden) or a dotted path (optimizer.lr)"
            problems.add(own.key, where, message)
        elif dimension := _dimension(path, own, where, problems):
            dimensions.append(dimension)
    return _ordered(dimensions, problems)


def _dimension(path: str, entry: KeyValue, where: str, problems: Problems) -> Dimension | None:
    before = len(problems)
    node = entry.node
    if isinstance(node.value, tuple):
        node = Node(node.mark, {"choices": KeyValue(node.mark if node.mark.line else entry.key, node)})
    flag = node.child("log")
    is_flag = flag is not None and isinstance(flag.value, bool)  # then `log` belongs to a range of another form
    form = next((form for form in FORMS if form in node.entries and not (form == "log" and is_flag)), None)
    if form is None:
        message = "must be a list of choices, or have a key choices, float, int or log (as in {log: [1e-4, 1e-1]})"
        near = f"; {choices(next(iter(node.entries)), [*FORMS])}" if node.entries else ""
        problems.add(entry.key, where, f"{message}, got {shown(node.plain)}{near}")
        return None
    try:
        spec = FORMS[form].model_validate(node.plain)
    except ValidationError as failure:
        problems += record_problems(failure, node, entry.key, where, FORMS[form])
        return None
    place = joined(where, form) if node is entry.node else where
    values = node.entries[form].node.value
    levels = tuple(
        replace(one, origin=joined(place, i)) for i, one in enumerate(values if isinstance(values, tuple) else ())
    )
    when = _conditions(node.entries["when"], joined(where, "when"), problems) if "when" in node.entries else ()
    made = Dimension(path, entry.key, "float", levels, log=form == "log", when=when)
    step = node.plain.get("step")  # as written, because `plain` is compared with what older studies recorded
    if isinstance(spec, Numbers):
        made = replace(made, step=step, log=spec.log)
    elif isinstance(spec, Integers):
        made = replace(made, kind="int", step=step or 1, log=spec.log)
    elif isinstance(spec, Choices):
        made = replace(made, kind="categorical")
        names = [word(choice) for choice in made.scalars()]
        if len(set(names)) < len(names):
            message = f"the choice {Counter(names).most_common(1)[0][0]} is given twice"
            problems.add(node.entries[form].key, place, message)
    return made if len(problems) == before else None


def _conditions(entry: KeyValue, where: str, problems: Problems) -> tuple[SpaceCondition, ...]:
    if not entry.node.entries:
        message = "must map paths to a value or a list of values, such as {cell.name: elman}"
        problems.add(entry.key, where, f"{message}, got {shown(entry.node.plain)}")
    return tuple(
        SpaceCondition(path, own.key, own.node.value if isinstance(own.node.value, tuple) else (own.node,))
        for path, own in entry.node.entries.items()
    )


def _ordered(dimensions: Sequence[Dimension], problems: Problems) -> list[Dimension]:
    """The dimensions in the order of the file, but each after the dimensions on which it depends."""
    left, ordered = list(dimensions), list[Dimension]()
    while left:
        free = [one for one in left if not any(_depends(one, other) for other in left if other is not one)]
        if not free:
            message = f"the conditions of {', '.join(one.path for one in left)} form a circle: remove one"
            problems.add(left[0].key, joined("search.space", left[0].path), message)
            return ordered
        ordered.append(free[0])
        left.remove(free[0])
    return ordered


def _depends(one: Dimension, other: Dimension) -> bool:
    """Whether `one` is a field of the component that `other` sets, or has a condition on `other`."""
    return any(f"{path}.".startswith(f"{other.path}.") for path in (one.path, *(own.path for own in one.when)))
