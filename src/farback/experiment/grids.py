"""A sweep is a list of grids; a grid is the product of its axes; an axis is a field or dotted path with its levels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from pydantic.fields import FieldInfo

from farback.experiment.problems import Mark, Problem, joined, shown, word
from farback.experiment.yaml_tree import Entry, Node
from farback.records.record import Record
from farback.trials.trial import Trial

MOST_TRIALS = 100_000  # a guard against a slip: a sweep of this size takes weeks
PATH = re.compile(r"[^.\s]+(\.[^.\s]+){0,7}")


@dataclass(frozen=True)
class Axis:
    """What a sweep varies together: one path, or several that `zip` pairs.

    Attributes:
        paths: dotted paths.
        keys: where each is named.
        levels: for each level, a value for each path.
        bracket: whether the levels are lags of which bisection picks, `lag: {bracket: [5, 320]}`.
    """

    paths: tuple[str, ...]
    keys: tuple[Mark, ...]
    levels: tuple[tuple[Node, ...], ...]
    bracket: bool = False

    @property
    def path(self) -> str:
        """The axis in messages: "lag", or "cell + init" where they are paired."""
        return " + ".join(self.paths)


@dataclass(frozen=True)
class Grid:
    """The product of its axes, the last one fastest.

    Attributes:
        mark: where it begins.
        origin: its dotted path, "sweep[0]"; "base" where there is no sweep.
        axes: in the order of the file.
    """

    mark: Mark
    origin: str
    axes: tuple[Axis, ...]

    @property
    def count(self) -> int:
        """How many combinations."""
        return math.prod(len(axis.levels) for axis in self.axes)

    @property
    def bracket(self) -> tuple[int, ...]:
        """The lags that bisection picks from; none where every lag is trained."""
        return tuple(level.plain for axis in self.axes if axis.bracket for (level,) in axis.levels)

    def is_whole(self, node: Node) -> bool:
        """Whether every axis of its mapping is in it."""
        return {path for axis in self.axes for path in axis.paths} >= node.entries.keys() - {"zip"}

    def combinations(self) -> Iterator[tuple[int, ...]]:
        """Which level each axis is at, for each combination in order."""
        return product(*(range(len(axis.levels)) for axis in self.axes))

    def tree(self, base: Node, combination: tuple[int, ...]) -> Node:
        """The base with one combination's values in their places, whole fields before fields of fields."""
        settings = [
            (path.split("."), key, value)
            for axis, level in zip(self.axes, combination, strict=True)
            for path, key, value in zip(axis.paths, axis.keys, axis.levels[level], strict=True)
        ]
        for path, key, value in sorted(settings, key=lambda setting: len(setting[0])):
            base = placed(base, path, key, value, Trial.model_fields)
        return base

    def settings(self, combination: tuple[int, ...]) -> str:
        """One combination in words: "cell=lstm, lag=5"."""
        parts = [
            setting(path, value)
            for axis, level in zip(self.axes, combination, strict=True)
            for path, value in zip(axis.paths, axis.levels[level], strict=True)
        ]
        return ", ".join(parts)


def setting(path: str, value: Node) -> str:
    """One setting as `--set` would take it."""
    return f"{joined(path)}={word(value.plain)}"


def placed(node: Node, path: list[str], key: Mark, value: Node, fields: dict[str, FieldInfo] | None = None) -> Node:
    """The tree with `value` at `path`. A component given by its bare name becomes `{name: ...}` on the way.

    Args:
        node: the tree; it stays as it is.
        path: keys from the tree's root; at least one.
        key: where the path is named.
        value: what goes there.
        fields: of the record that the tree describes, for the component that a missing field stands for.
    """
    head, *rest = path
    axis = re.sub(r"\[\d+\]$", "", value.origin)
    if isinstance(node.value, dict):
        entries = dict(node.value)
    elif isinstance(node.value, str):
        entries = {"name": Entry(node.mark, Node(node.mark, node.value, node.origin))}
    elif node.value is None:
        entries = {}
    else:  # a number or a list has no fields: what is put here will be refused, at the axis
        node, entries = Node(key, None, axis), {}
    if rest:
        old = entries.get(head) or Entry(key, Node(key, _default(head, fields), axis))
        entries[head] = Entry(old.key, placed(old.node, rest, key, value))
    else:
        entries[head] = Entry(key, value)
    return Node(node.mark, entries, node.origin)


def _default(name: str, fields: dict[str, FieldInfo] | None) -> str | None:
    """The name of the component that a field left out stands for."""
    default = fields[name].default if fields and name in fields else None
    return str(getattr(default, "name", "")) or None if isinstance(default, Record) else None


def grids(sweep: Entry | None, base: Mark, problems: list[Problem]) -> list[Grid]:
    """The grids of a sweep; without one, the base alone. What is wrong goes into `problems`."""
    if sweep is None:
        return [Grid(base, "base", ())]
    where = str(sweep.key)
    if not isinstance(sweep.node.value, tuple):
        got = shown(sweep.node.plain)
        problems.append(Problem(where, "sweep", f"must be a list of grids (- axis: [levels]), got {got}"))
        return []
    if not sweep.node.value:
        problems.append(Problem(where, "sweep", "is empty: give it a grid, or leave it out to train the base alone"))
    whole: list[Grid] = []
    total = 0
    for index, node in enumerate(sweep.node.value):
        if found := grid(node, joined("sweep", index), problems):
            whole.append(found)
            total += found.count
        if total > MOST_TRIALS:  # the rest is not made: many large grids would take minutes
            made = index + 1 == len(sweep.node.value) and found and found.is_whole(node)
            more = "" if made else " or more"
            problems.append(Problem(where, "sweep", f"makes {total} trials{more}; at most {MOST_TRIALS} are allowed"))
            return []
    return whole


def grid(node: Node, origin: str, problems: list[Problem]) -> Grid | None:
    """One grid. What is wrong goes into `problems`."""
    if not isinstance(node.value, dict):
        got = shown(node.plain)
        problems.append(Problem(str(node.mark), origin, f"a grid must be a mapping from axes to levels, got {got}"))
        return None
    before = len(problems)
    axes: list[Axis] = []
    for name, entry in node.value.items():
        if name == "zip":
            axes += _zips(entry, joined(origin, "zip"), problems)
        else:
            axes += _axis(name, entry, origin, problems)
        if math.prod(len(axis.levels) for axis in axes) > MOST_TRIALS:
            break  # `grids` refuses it: many large axes would take minutes
    named: dict[str, Mark] = {}
    for axis in axes:
        for path, key in zip(axis.paths, axis.keys, strict=True):
            if path in named:
                message = f"axis {path} is given twice in this grid, first at {named[path]}"
                problems.append(Problem(str(key), joined(origin, path), message))
            named[path] = key
    return Grid(node.mark, origin, tuple(axes)) if len(problems) == before else None


def _axis(name: str, entry: Entry, origin: str, problems: list[Problem]) -> list[Axis]:
    if not PATH.fullmatch(name):
        message = f"{shown(name)} is not an axis: name a field (lag) or a dotted path (task.symbols)"
        problems.append(Problem(str(entry.key), joined(origin, name), message))
        return []
    levels = _levels(entry, joined(origin, name), problems)
    bracket = "bracket" in entry.node.entries
    return [Axis((name,), (entry.key,), tuple((level,) for level in levels), bracket)] if levels else []


def _zips(entry: Entry, origin: str, problems: list[Problem]) -> list[Axis]:
    """One axis for each mapping under `zip`."""
    one = isinstance(entry.node.value, dict)
    nodes = (entry.node,) if one else entry.node.value
    if not isinstance(nodes, tuple) or not nodes or not all(node.entries for node in nodes):
        message = (
            f"must map axes to levels of equal number, or be a list of such mappings, got {shown(entry.node.plain)}"
        )
        problems.append(Problem(str(entry.key), origin, message))
        return []
    found = []
    for index, node in enumerate(nodes):
        own = origin if one else joined(origin, index)
        axes = [axis for name, pair in node.entries.items() for axis in _axis(name, pair, own, problems)]
        if len(axes) < len(node.entries):
            continue
        bracketed = next((axis for axis in axes if axis.bracket), None)
        if bracketed:
            message = "a bracket picks its lags by bisection, so they cannot be paired with other levels"
            problems.append(Problem(str(bracketed.keys[0]), joined(own, bracketed.path), message))
            continue
        if len({len(axis.levels) for axis in axes}) > 1:
            counts = ", ".join(f"{axis.path} has {len(axis.levels)}" for axis in axes)
            problems.append(Problem(str(axes[-1].keys[0]), own, f"zip pairs axes of equal length, but {counts}"))
            continue
        paired = zip(*(axis.levels for axis in axes), strict=True)
        levels = tuple(tuple(level for (level,) in values) for values in paired)
        found.append(Axis(tuple(axis.path for axis in axes), tuple(axis.keys[0] for axis in axes), levels))
    return found


def _levels(entry: Entry, path: str, problems: list[Problem]) -> list[Node]:
    """The levels of one path, each knowing where it came from; none where they are wrong."""
    node = entry.node
    if isinstance(node.value, tuple):
        values = node.value
        wrong = "" if values else "has no levels"
    elif set(node.entries) == {"range"}:
        counted, wrong = _counted(node.entries["range"].node.plain)
        values = tuple(Node(node.mark, value) for value in counted)
    elif set(node.entries) == {"bracket"}:
        lags, wrong = _doubled(node.entries["bracket"].node.plain, path)
        values = tuple(Node(node.mark, lag) for lag in lags)
    else:
        values, wrong = (), f"levels must be a list or {{range: n}}, got {shown(node.plain)}"
        if not isinstance(node.value, dict) and node.value is not None:
            wrong += f"; write [{node.plain}]" if len(str(node.plain)) < 20 else ""
    if wrong:
        problems.append(Problem(str(entry.key), path, wrong))
        return []
    if not entry.key.line:  # from the command line, which has no positions to name
        return [replace(value, origin=path.partition("].")[2] or path) for value in values]
    begin = joined(path)  # once: a range may have many levels
    return [Node(value.mark, value.value, f"{begin}[{index}]", value.size) for index, value in enumerate(values)]


def _counted(spec: object) -> tuple[range, str]:
    """The integers of `{range: spec}`, as Python's range counts them, or what is wrong."""
    bounds = spec if isinstance(spec, list) else [spec]
    if not 1 <= len(bounds) <= 3 or not all(type(bound) is int for bound in bounds):
        return range(0), f"range takes an integer n or [start, stop] or [start, stop, step], got {shown(spec)}"
    if len(bounds) == 3 and bounds[2] == 0:
        return range(0), f"the step of a range must not be 0, got {shown(spec)}"
    counted = range(*bounds)
    first, step = counted.start, counted.step
    length = max(0, -(-(counted.stop - first) // step))  # len() overflows on huge ones
    if length == 0:
        return range(0), f"range {shown(spec)} has no levels (the stop is left out, as in Python)"
    if length > MOST_TRIALS:
        return range(0), f"range {shown(spec)} has {length} levels; at most {MOST_TRIALS} are allowed"
    return counted, ""


def _doubled(spec: object, path: str) -> tuple[list[int], str]:
    """The lags of `{bracket: [low, high]}`, each twice the one before, the last one `high`; or what is wrong."""
    if not path.endswith(".lag"):
        return [], "a bracket is of lags: it goes under the axis lag"
    if not isinstance(spec, list) or len(spec) != 2 or not all(type(end) is int for end in spec):
        return [], f"bracket takes two lags [smallest, largest], got {shown(spec)}"
    low, high = spec
    if not 1 <= low < high:
        return [], f"the lags of a bracket must be above 0, the smaller first, got {shown(spec)}"
    lags = [low << doublings for doublings in range((high // low).bit_length()) if low << doublings < high]
    return [*lags, high], ""
