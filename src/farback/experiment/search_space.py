"""A search space: each dimension is a dotted path with a range or choices, some only where another choice holds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from farback.experiment.grids import PATH
from farback.experiment.problems import Mark, Problem, joined, shown, word
from farback.experiment.yaml_tree import Entry, Node
from farback.records.record import Record, choices
from farback.trials.trial import Trial

KINDS = ("choices", "float", "int", "log")
EXTRAS = {"choices": (), "float": ("step", "log"), "int": ("step", "log"), "log": ()}
MOST_LEVELS = 10_000
Plain = str | int | float | bool | None


@dataclass(frozen=True)
class Condition:
    """What must hold for a dimension to be there: the value at a path is one of these."""

    path: str
    key: Mark
    values: tuple[Node, ...]

    def holds(self, tree: Node) -> bool:
        """Whether it does in a trial's tree."""
        found = value_at(tree, self.path)
        return any(_same(found, node.plain) for node in self.values)


@dataclass(frozen=True)
class Dimension:
    """One thing that is searched.

    Attributes:
        path: dotted.
        key: where it is named.
        kind: a categorical has `levels`, a number `low` and `high`.
        levels: the choices; of a number, its two ends.
        step: between the values of a number; None: any.
        log: whether equal ratios are equally likely.
        when: all must hold.
    """

    path: str
    key: Mark
    kind: Literal["categorical", "float", "int"]
    levels: tuple[Node, ...]
    step: float | None = None
    log: bool = False
    when: tuple[Condition, ...] = ()

    @property
    def low(self) -> float:
        """The smallest value of a number."""
        return float(self.levels[0].plain)

    @property
    def high(self) -> float:
        """The largest."""
        return float(self.levels[-1].plain)

    @property
    def count(self) -> int | None:
        """How many values there are; None where that is without end."""
        if self.kind == "categorical":
            return len(self.levels)
        return None if self.step is None or self.log else round((self.high - self.low) / self.step) + 1

    def scalars(self) -> list[Plain]:
        """The choices as trackers take them: plain words and numbers; anything else as text."""
        return [scalar(node.plain) for node in self.levels]

    def node(self, value: Plain) -> Node:
        """The value that a tracker knows by its plain word or number, at its place in the config."""
        if self.kind == "categorical":
            return next(n for n in self.levels if scalar(n.plain) == value and type(scalar(n.plain)) is type(value))
        number = int(str(value)) if self.kind == "int" else float(str(value))
        return Node(self.key, number, self.levels[0].origin.removesuffix("[0]"))

    def plain(self) -> dict[str, Any]:
        """What it is, for comparing with what a study was made for."""
        when = {condition.path: [node.plain for node in condition.values] for condition in self.when}
        levels = [node.plain for node in self.levels]
        return {"kind": self.kind, "levels": levels, "step": self.step, "log": self.log, "when": when}


def scalar(value: Any) -> Plain:
    """A value as a plain word or number: a component without settings is its name, one with settings is JSON."""
    if isinstance(value, dict) and set(value) == {"name"}:
        return str(value["name"])
    return json.dumps(value) if isinstance(value, dict | list) else value


def value_at(tree: Node, path: str) -> Any:
    """The plain value at a dotted path of a trial's tree, defaults included; None where there is nothing."""
    fields = Trial.model_fields
    head, *rest = path.split(".")
    if head not in tree.entries:
        value: Any = fields[head].default if head in fields else None
        for name in rest:
            value = getattr(value, name, None)
        return getattr(value, "name", value) if isinstance(value, Record) else value
    return inner(tree, [head, *rest])


def inner(node: Node | None, names: Sequence[str]) -> Any:
    """The plain value below a node, a bare name being `{name: ...}`; None where there is nothing."""
    for name in names:
        if node is not None and name == "name" and isinstance(node.value, str):
            return node.value
        entry = node.entries.get(name) if node is not None else None
        node = entry.node if entry else None
    return node.plain if node is not None else None


def _same(a: Any, b: Any) -> bool:
    return scalar(a) == scalar(b) and isinstance(a, bool) == isinstance(b, bool)


def space(entry: Entry, problems: list[Problem]) -> list[Dimension]:
    """The dimensions of a space, what others depend on first. What is wrong goes into `problems`."""
    if not entry.node.entries:
        got = shown(entry.node.plain)
        message = f"must map paths to what is tried, such as optimizer.lr: {{log: [1e-4, 1e-1]}}, got {got}"
        problems.append(Problem(str(entry.key), "search.space", message))
        return []
    found = []
    for path, own in entry.node.entries.items():
        where = joined("search.space", path)
        if not PATH.fullmatch(path):
            message = f"{shown(path)} is not a path: name a field (hidden) or a dotted path (optimizer.lr)"
            problems.append(Problem(str(own.key), where, message))
        elif dimension := _dimension(path, own, where, problems):
            found.append(dimension)
    return _ordered(found, problems)


def _dimension(path: str, entry: Entry, where: str, problems: list[Problem]) -> Dimension | None:
    before = len(problems)
    node = entry.node
    if isinstance(node.value, tuple):
        made = _categorical(path, entry.key, node, where, problems)
        return made if len(problems) == before else None
    kind = next((kind for kind in KINDS if kind in node.entries and not _flag(kind, node)), None)
    if kind is None:
        message = "must be a list of choices, or have one of choices, float, int, log (as in {log: [1e-4, 1e-1]})"
        near = choices(next(iter(node.entries), ""), [*KINDS])
        told = f"; {near}" if node.entries else ""
        problems.append(Problem(str(entry.key), where, f"{message}, got {shown(node.plain)}{told}"))
        return None
    allowed = [kind, *EXTRAS[kind], "when"]
    for name, own in node.entries.items():
        if name not in allowed:
            message = f"unknown key {shown(name)} beside {kind}; {choices(name, allowed)}"
            problems.append(Problem(str(own.key), joined(where, name), message))
    values = node.entries[kind]
    if kind == "choices":
        made = _categorical(path, entry.key, values.node, joined(where, kind), problems)
    else:
        made = _number(path, entry, kind, joined(where, kind), problems)
    if made and "when" in node.entries:
        made = replace(made, when=_conditions(node.entries["when"], joined(where, "when"), problems))
    return made if len(problems) == before else None


def _flag(kind: str, node: Node) -> bool:
    """Whether `log` is the flag of another kind rather than a range of its own."""
    return kind == "log" and isinstance(node.entries["log"].node.value, bool)


def _categorical(path: str, key: Mark, node: Node, where: str, problems: list[Problem]) -> Dimension | None:
    values = node.value if isinstance(node.value, tuple) else ()
    wrong = "" if values else f"must be a list of choices, got {shown(node.plain)}"
    names = [word(scalar(value.plain)) for value in values]
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        wrong = f"the choice {twice[0]} stands twice"
    if len(values) > MOST_LEVELS:
        wrong = f"has {len(values)} choices; at most {MOST_LEVELS} are allowed"
    if wrong:
        problems.append(Problem(str(node.mark if node.mark.line else key), where, wrong))
        return None
    placed = (replace(value, origin=joined(where, index)) for index, value in enumerate(values))
    return Dimension(path, key, "categorical", tuple(placed))


def _number(path: str, entry: Entry, kind: str, where: str, problems: list[Problem]) -> Dimension | None:
    entries = entry.node.entries
    bounds = entries[kind]
    ends = bounds.node.value if isinstance(bounds.node.value, tuple) else ()
    values = [end.plain for end in ends]
    whole = kind == "int"
    types = (int,) if whole else (int, float)
    log = kind == "log" or ("log" in entries and entries["log"].node.plain is True)
    step = entries["step"].node.plain if "step" in entries else None
    at, own, wrong = bounds.key, where, ""
    if len(values) != 2 or not all(type(value) in types and math.isfinite(value) for value in values):
        wrong = f"needs two {'integers' if whole else 'numbers'} [smallest, largest], got {shown(bounds.node.plain)}"
    elif values[0] >= values[1]:
        wrong = f"the first must be smaller than the second, got {shown(values)}; one value belongs in base"
    elif log and values[0] <= 0:
        wrong = f"a logarithmic range must begin above 0, got {shown(values)}"
    elif "log" in entries and kind != "log" and not isinstance(entries["log"].node.plain, bool):
        at, where = entries["log"].key, re.sub(r"\w+$", "log", where)
        wrong = f"must be true or false, got {shown(entries['log'].node.plain)}"
    elif step is not None:
        at, where = entries["step"].key, re.sub(r"\w+$", "step", where)
        wrong = _step(step, values, types, log)
    if wrong:
        problems.append(Problem(str(at), where, wrong))
        return None
    levels = tuple(replace(end, origin=joined(own, index)) for index, end in enumerate(ends))
    return Dimension(path, entry.key, "int" if whole else "float", levels, step or (1 if whole else None), log)


def _step(step: Any, values: list[Any], types: tuple[type, ...], log: bool) -> str:
    """What is wrong with a step."""
    if type(step) not in types or not 0 < step <= values[1] - values[0]:
        return f"must be a {'positive integer' if types == (int,) else 'positive number'} within {shown(values)}, " + (
            f"got {shown(step)}"
        )
    if log:
        return "a logarithmic range has no step"
    steps = (values[1] - values[0]) / step
    if abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
        last = values[0] + math.floor(steps) * step
        return f"{shown(values[1])} is not reached from {shown(values[0])} by steps of {shown(step)}; end at {last:g}"
    return ""


def _conditions(entry: Entry, where: str, problems: list[Problem]) -> tuple[Condition, ...]:
    if not entry.node.entries:
        got = shown(entry.node.plain)
        message = f"must map paths to a value or a list of values, such as {{cell.name: elman}}, got {got}"
        problems.append(Problem(str(entry.key), where, message))
    found = []
    for path, own in entry.node.entries.items():
        values = own.node.value if isinstance(own.node.value, tuple) else (own.node,)
        found.append(Condition(path, own.key, values))
    return tuple(found)


def _ordered(found: Sequence[Dimension], problems: list[Problem]) -> list[Dimension]:
    """What others depend on first, otherwise as written: a component before its fields, conditions before theirs."""
    left, ordered = list(found), list[Dimension]()
    while left:
        free = [one for one in left if not any(_depends(one, other) for other in left if other is not one)]
        if not free:
            names = ", ".join(one.path for one in left)
            message = f"the conditions of {names} go in a circle"
            problems.append(Problem(str(left[0].key), joined("search.space", left[0].path), message))
            return ordered
        ordered.append(free[0])
        left.remove(free[0])
    return ordered


def _depends(one: Dimension, other: Dimension) -> bool:
    if one.path.startswith(f"{other.path}."):
        return True
    return any(f"{condition.path}.".startswith(f"{other.path}.") for condition in one.when)
