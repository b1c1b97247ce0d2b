"""A search space: each dimension is a dotted path with a range or choices, possibly under a condition."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from farback.experiment.grids import PATH
from farback.experiment.problems import Mark, Problems, joined, shown, word
from farback.experiment.yaml_tree import KeyValue, Node
from farback.records.record import Record, choices
from farback.trials.trial import Trial

EXTRAS = {"choices": ("when",), "float": ("step", "log", "when"), "int": ("step", "log", "when"), "log": ("when",)}
MOST_LEVELS = 10_000
Plain = str | int | float | bool | None


@dataclass(frozen=True)
class SpaceCondition:
    """A condition of a dimension: the value at a path must be one of these."""

    path: str
    key: Mark
    values: tuple[Node, ...]

    def holds(self, tree: Node) -> bool:
        """Whether it holds in a trial's tree."""
        value = value_at(tree, self.path)
        return any(
            scalar(value) == scalar(node.plain) and isinstance(value, bool) == isinstance(node.plain, bool)
            for node in self.values
        )


@dataclass(frozen=True)
class Dimension:
    """One setting that is searched.

    Attributes:
        path: its dotted path.
        key: where the path is written.
        kind: a categorical dimension has choices, a numeric one a range.
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
        """The choices as Optuna and MLflow store them (`scalar`)."""
        return [scalar(node.plain) for node in self.levels]

    def node(self, value: Plain) -> Node:
        """The tree of a value that `scalar` made plain."""
        if self.kind == "categorical":
            return next(n for n in self.levels if scalar(n.plain) == value and type(scalar(n.plain)) is type(value))
        number = int(str(value)) if self.kind == "int" else float(str(value))
        return Node(self.key, number, self.levels[0].origin.removesuffix("[0]"))

    def plain(self) -> dict[str, Any]:
        """The dimension as plain values, to compare it with the one that a study was created for."""
        when = {condition.path: [node.plain for node in condition.values] for condition in self.when}
        levels = [node.plain for node in self.levels]
        return {"kind": self.kind, "levels": levels, "step": self.step, "log": self.log, "when": when}


def scalar(value: Any) -> Plain:
    """A value as a word or number. A component without settings becomes its name, one with settings becomes JSON."""
    if isinstance(value, dict) and set(value) == {"name"}:
        return str(value["name"])
    return json.dumps(value) if isinstance(value, dict | list) else value


def value_at(tree: Node, path: str) -> Any:
    """The plain value at a dotted path of a trial's tree, or the default; None if there is neither."""
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
    """The dimensions of a space, each after those it depends on. Problems are added to `problems`."""
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
        return _categorical(path, entry.key, node, where, problems)
    flag = node.child("log")
    is_flag = flag is not None and isinstance(flag.value, bool)  # then `log` belongs to a range of another kind
    kind = next((kind for kind in EXTRAS if kind in node.entries and not (kind == "log" and is_flag)), None)
    if kind is None:
        message = "must be a list of choices, or have one of choices, float, int, log (as in {log: [1e-4, 1e-1]})"
        near = f"; {choices(next(iter(node.entries)), [*EXTRAS])}" if node.entries else ""
        problems.add(entry.key, where, f"{message}, got {shown(node.plain)}{near}")
        return None
    allowed = [kind, *EXTRAS[kind]]
    for name, own in node.entries.items():
        if name not in allowed:
            message = f"unknown key {shown(name)} beside {kind}; {choices(name, allowed)}"
            problems.add(own.key, joined(where, name), message)
    if kind == "choices":
        made = _categorical(path, entry.key, node.entries[kind].node, joined(where, kind), problems)
    else:
        made = _number(path, entry, kind, where, problems)
    if made and "when" in node.entries:
        made = replace(made, when=_conditions(node.entries["when"], joined(where, "when"), problems))
    return made if len(problems) == before else None


def _categorical(path: str, key: Mark, node: Node, where: str, problems: Problems) -> Dimension | None:
    values = node.value if isinstance(node.value, tuple) else ()
    names = [word(scalar(value.plain)) for value in values[: MOST_LEVELS + 1]]
    if not values:
        message = f"must be a list of choices, got {shown(node.plain)}"
    elif len(values) > MOST_LEVELS:
        message = f"has {len(values)} choices; at most {MOST_LEVELS} are allowed"
    elif len(set(names)) < len(names):
        message = f"the choice {Counter(names).most_common(1)[0][0]} is given twice"
    else:
        levels = tuple(replace(value, origin=joined(where, index)) for index, value in enumerate(values))
        return Dimension(path, key, "categorical", levels)
    problems.add(node.mark if node.mark.line else key, where, message)
    return None


def _number(path: str, entry: KeyValue, kind: str, where: str, problems: Problems) -> Dimension | None:
    ends, flag, step = entry.node.entries[kind].node, entry.node.child("log"), entry.node.child("step")
    values = ends.plain if isinstance(ends.value, tuple) else []
    is_int = kind == "int"
    types = (int,) if is_int else (int, float)
    is_log = kind == "log" or (flag is not None and flag.plain is True)
    name, message = kind, ""
    if len(values) != 2 or not all(type(value) in types and math.isfinite(value) for value in values):
        message = f"needs two {'integers' if is_int else 'numbers'} [smallest, largest], got {shown(ends.plain)}"
    elif values[0] >= values[1]:
        message = f"the first must be smaller than the second, got {shown(values)}; one value belongs in base"
    elif is_log and values[0] <= 0:
        message = f"a logarithmic range must begin above 0, got {shown(values)}"
    elif flag is not None and kind != "log" and not isinstance(flag.plain, bool):
        name, message = "log", f"must be true or false, got {shown(flag.plain)}"
    elif step is not None:
        name, message = "step", _step_problem(step.plain, values, types, is_log)
    if message or not isinstance(ends.value, tuple):
        problems.add(entry.node.entries[name].key, joined(where, name), message)
        return None
    levels = tuple(replace(end, origin=joined(where, kind, index)) for index, end in enumerate(ends.value))
    distance = step.plain if step else 1 if is_int else None
    return Dimension(path, entry.key, "int" if is_int else "float", levels, distance, is_log)


def _step_problem(step: Any, values: list[Any], types: tuple[type, ...], is_log: bool) -> str:
    if type(step) not in types or not 0 < step <= values[1] - values[0]:
        kind = "positive integer" if types == (int,) else "positive number"
        return f"must be a {kind} within {shown(values)}, got {shown(step)}"
    if is_log:
        return "a logarithmic range has no step"
    steps = (values[1] - values[0]) / step
    if abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
        last = values[0] + math.floor(steps) * step
        return f"{shown(values[1])} is not reached from {shown(values[0])} by steps of {shown(step)}; end at {last:g}"
    return ""


def _conditions(entry: KeyValue, where: str, problems: Problems) -> tuple[SpaceCondition, ...]:
    if not entry.node.entries:
        message = "must map paths to a value or a list of values, such as {cell.name: elman}"
        problems.add(entry.key, where, f"{message}, got {shown(entry.node.plain)}")
    return tuple(
        SpaceCondition(path, own.key, own.node.value if isinstance(own.node.value, tuple) else (own.node,))
        for path, own in entry.node.entries.items()
    )


def _ordered(dimensions: Sequence[Dimension], problems: Problems) -> list[Dimension]:
    """The dimensions in the order of the file, but each after those it depends on."""
    left, ordered = list(dimensions), list[Dimension]()
    while left:
        free = [one for one in left if not any(_depends(one, other) for other in left if other is not one)]
        if not free:
            message = f"the conditions of {', '.join(one.path for one in left)} form a circle"
            problems.add(left[0].key, joined("search.space", left[0].path), message)
            return ordered
        ordered.append(free[0])
        left.remove(free[0])
    return ordered


def _depends(one: Dimension, other: Dimension) -> bool:
    """Whether a dimension is a field of another one's component, or has a condition on it."""
    return any(f"{path}.".startswith(f"{other.path}.") for path in (one.path, *(own.path for own in one.when)))
