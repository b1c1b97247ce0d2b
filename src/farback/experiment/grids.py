"""A sweep is a list of grids. A grid is the product of its axes; an axis is a field or dotted path with its levels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from farback.experiment.errors import record_problems
from farback.experiment.problems import Mark, Problems, joined, shown, word
from farback.experiment.yaml_tree import KeyValue, Node
from farback.records.record import Record
from farback.trials.lags import AdaptiveLag
from farback.trials.trial import Trial

UNTUNABLE = (  # what is asked, how it is judged, and what a network is named by
    *("task", "lag", "train_lags", "measures", "seed"),
    *("cell", "network", "init", "block", "depth", "bidirectional", "match"),
)
COMPONENTS = ("encoder", "optimizer", "schedule")
MOST_TRIALS = 100_000  # a sweep of this size takes weeks, so a larger one is a typing error
PATH = re.compile(r"[^.\s]+(\.[^.\s]+){0,7}")
Setting = tuple[str, Mark, Node]  # dotted path, position of its key, value


@dataclass(frozen=True)
class Axis:
    """One path that a sweep varies, or several paths that `zip` varies together.

    Each level has a value for each path. If `adaptive`, the levels are the smallest and the largest lag to try. If
    `tuned`, one level is chosen for each network before the network is judged.
    """

    paths: tuple[str, ...]
    keys: tuple[Mark, ...]
    levels: tuple[tuple[Node, ...], ...]
    adaptive: AdaptiveLag | None = None
    tuned: bool = False

    @property
    def path(self) -> str:
        """The name of the axis in messages: "lag", or "cell + init" for paired paths."""
        return " + ".join(self.paths)

    def named(self, level: int) -> str:
        """One level as text: "optimizer.lr 0.01"."""
        return ", ".join(
            f"{path} {word(node.plain)}" for path, node in zip(self.paths, self.levels[level], strict=True)
        )


@dataclass(frozen=True)
class Grid:
    """The product of its axes, the last changing fastest. `origin` is "sweep[0]", or "base" if there is no sweep."""

    mark: Mark
    origin: str
    axes: tuple[Axis, ...]

    @property
    def count(self) -> int:
        """The number of combinations."""
        return math.prod(len(axis.levels) for axis in self.axes)

    @property
    def adaptive(self) -> AdaptiveLag | None:
        """How lags and seeds are chosen; None if the grid lists them."""
        return next((axis.adaptive for axis in self.axes if axis.adaptive), None)

    @property
    def tuned(self) -> dict[str, tuple[str, ...]]:
        """The values that are tried of each tuned setting, by its path."""
        axes = [axis for axis in self.axes if axis.tuned]
        return {axis.path: tuple(axis.named(level) for level in range(len(axis.levels))) for axis in axes}

    @property
    def is_chosen(self) -> bool:
        """Whether trials are chosen during the run: lags are adaptive, or settings are tuned."""
        return any(axis.adaptive or axis.tuned for axis in self.axes)

    def combinations(self) -> Iterator[tuple[int, ...]]:
        """The index of each axis's level, for every combination in order."""
        return product(*(range(len(axis.levels)) for axis in self.axes))

    def settings(self, combination: tuple[int, ...]) -> list[Setting]:
        """The settings of one combination."""
        return [
            setting
            for axis, level in zip(self.axes, combination, strict=True)
            for setting in zip(axis.paths, axis.keys, axis.levels[level], strict=True)
        ]


def with_settings(tree: Node, settings: Iterable[Setting]) -> Node:
    """The tree of a trial with settings inserted, whole components before their fields."""
    for path, key, value in sorted(settings, key=lambda setting: setting[0].count(".")):
        tree = placed(tree, path.split("."), key, value, Trial.model_fields)
    return tree


def spelled(path: str, value: Node) -> str:
    """One setting as `--set` accepts it: "cell=lstm"."""
    return f"{joined(path)}={word(value.plain)}"


def placed(node: Node, path: Sequence[str], key: Mark, value: Node, fields: dict[str, FieldInfo] | None = None) -> Node:
    """The tree with `value` at `path`. A component given by its bare name becomes `{name: ...}` on the way.

    `key` is the position of the path in the config. `fields` are the fields of the record that the tree describes; a
    component that the tree lacks is taken from the default of its field.
    """
    head, *rest = path
    axis = re.sub(r"\[\d+\]$", "", value.origin)
    if isinstance(node.value, dict):
        entries = dict(node.value)
    elif isinstance(node.value, str):
        entries = {"name": KeyValue(node.mark, Node(node.mark, node.value, node.origin))}
    elif node.value is None:
        entries = {}
    else:  # a number or a list has no fields, so the new value will be refused, with the position of its axis
        node, entries = Node(key, None, axis), {}
    if rest:
        old = entries.get(head) or KeyValue(key, Node(key, _default(head, fields), axis))
        entries[head] = KeyValue(old.key, placed(old.node, rest, key, value))
    else:
        entries[head] = KeyValue(key, value)
    return Node(node.mark, entries, node.origin)


def _default(name: str, fields: dict[str, FieldInfo] | None) -> str | None:
    """The name of the component that is the default of a field."""
    default = fields[name].default if fields and name in fields else None
    return str(getattr(default, "name", "")) or None if isinstance(default, Record) else None


def grids(sweep: KeyValue | None, base: Mark, problems: Problems) -> list[Grid]:
    """The grids of a sweep; without a sweep, one grid without axes. Problems are added to `problems`."""
    if sweep is None:
        return [Grid(base, "base", ())]
    nodes = sweep.node.value
    if not isinstance(nodes, tuple):
        problems.add(sweep.key, "sweep", f"must be a list of grids (- axis: [levels]), got {shown(sweep.node.plain)}")
        return []
    if not nodes:
        problems.add(sweep.key, "sweep", "is empty: give it a grid, or leave it out to train the base alone")
    made: list[Grid] = []
    for index, node in enumerate(nodes):
        if one := grid(node, joined("sweep", index), problems):
            made.append(one)
        total = sum(one.count for one in made)
        if total > MOST_TRIALS:  # stop, because many large grids would take minutes
            problems.add(sweep.key, "sweep", f"makes {total} trials or more; at most {MOST_TRIALS} are allowed")
            return []
    return made


def grid(node: Node, origin: str, problems: Problems) -> Grid | None:
    """One grid. If it is wrong, adds to `problems` and returns None."""
    if not isinstance(node.value, dict):
        problems.add(node.mark, origin, f"a grid must be a mapping from axes to levels, got {shown(node.plain)}")
        return None
    before = len(problems)
    axes: list[Axis] = []
    for name, entry in node.value.items():
        axes += KINDS.get(name, _axis)(name, entry, origin, problems)
        if math.prod(len(axis.levels) for axis in axes) > MOST_TRIALS:
            break  # the caller refuses it; making the other axes could take minutes
    first: dict[str, Mark] = {}
    for axis in axes:
        for path, key in zip(axis.paths, axis.keys, strict=True):
            if path in first:
                message = f"axis {path} is given twice in this grid, first at {first[path]}"
                problems.add(key, joined(origin, path), message)
            first.setdefault(path, key)
    _check_seeds(axes, origin, problems)
    return Grid(node.mark, origin, tuple(axes)) if len(problems) == before else None


def _axis(name: str, entry: KeyValue, origin: str, problems: Problems) -> list[Axis]:
    path = joined(origin, name)
    try:
        if not PATH.fullmatch(name):
            raise ValueError(f"{shown(name)} is not an axis: name a field (lag) or a dotted path (task.symbols)")
        if "adaptive" in entry.node.entries:
            return _adaptive(name, entry, path, problems)
        levels = tuple((level,) for level in _levels(entry, path))
    except ValueError as error:
        problems.add(entry.key, path, str(error))
        return []
    return [Axis((name,), (entry.key,), levels)]


def _adaptive(name: str, entry: KeyValue, path: str, problems: Problems) -> list[Axis]:
    """The axis of `lag: {adaptive: [5, 320]}`. Raises ValueError: it is the axis of another field."""
    if name != "lag":
        raise ValueError("only lags are chosen adaptively: give the levels of this axis as a list")
    try:
        adaptive = AdaptiveLag.model_validate(entry.node.plain)
    except ValidationError as failure:
        problems += record_problems(failure, entry.node, entry.key, path, AdaptiveLag)
        return []
    ends = entry.node.entries["adaptive"].node
    levels = tuple((Node(ends.mark, lag, path),) for lag in adaptive.adaptive)
    return [Axis((name,), (entry.key,), levels, adaptive)]


def _tuned(name: str, entry: KeyValue, origin: str, problems: Problems) -> list[Axis]:
    """The axes of `tune: {optimizer.lr: [1.0e-3, 1.0e-2]}`."""
    origin = joined(origin, name)
    if not entry.node.entries:
        message = f"must map settings to lists of values, got {shown(entry.node.plain)}"
        problems.add(entry.key, origin, message)
    axes = [axis for path, own in entry.node.entries.items() for axis in _axis(path, own, origin, problems)]
    for axis in axes:
        field = axis.path.split(".")[0]
        if axis.adaptive or field in UNTUNABLE:
            problems.add(axis.keys[0], joined(origin, axis.path), f"{field} cannot be tuned: it is what is compared")
        elif axis.path in COMPONENTS or axis.path.endswith(".name"):
            message = f"{field} cannot be tuned as a whole: tune one of its settings, such as optimizer.lr"
            problems.add(axis.keys[0], joined(origin, axis.path), message)
    return [replace(axis, tuned=True) for axis in axes]


def _check_seeds(axes: Sequence[Axis], origin: str, problems: Problems) -> None:
    """Check that seeds fit: a list of them does not with adaptive lags, seeds paired with levels not with `tune`."""
    adaptive, tuned = any(axis.adaptive for axis in axes), any(axis.tuned for axis in axes)
    for axis in axes:
        message = ""
        if adaptive and "seed" in axis.paths:
            message = "with adaptive lags every training has a seed of its own: leave seed out (base.seed is the first)"
        elif tuned and "seed" in axis.paths and len(axis.paths) > 1:
            message = (
                f"with tune: every network is judged on the same seeds: do not pair seed with others ({axis.path})"
            )
        if message:
            problems.add(axis.keys[axis.paths.index("seed")], joined(origin, "seed"), message)


def _zips(name: str, entry: KeyValue, origin: str, problems: Problems) -> list[Axis]:
    """One axis for each mapping below `zip`."""
    origin = joined(origin, name)
    is_one = isinstance(entry.node.value, dict)
    nodes = (entry.node,) if is_one else entry.node.value
    if not isinstance(nodes, tuple) or not nodes or not all(node.entries for node in nodes):
        message = "must map axes to lists of equal length, or be a list of such mappings"
        problems.add(entry.key, origin, f"{message}, got {shown(entry.node.plain)}")
        return []
    paired = []
    for index, node in enumerate(nodes):
        own = origin if is_one else joined(origin, index)
        axes = [axis for path, pair in node.entries.items() for axis in _axis(path, pair, own, problems)]
        if len(axes) < len(node.entries):
            continue
        if adaptive := [axis for axis in axes if axis.adaptive]:
            message = "adaptive lags are chosen during the run, so they cannot be paired with other levels"
            problems.add(adaptive[0].keys[0], joined(own, adaptive[0].path), message)
        elif len({len(axis.levels) for axis in axes}) > 1:
            counts = ", ".join(f"{axis.path} has {len(axis.levels)}" for axis in axes)
            problems.add(axes[-1].keys[0], own, f"the axes of a zip must have equally many levels, but {counts}")
        else:
            levels = zip(*([level for (level,) in axis.levels] for axis in axes), strict=True)
            paired.append(Axis(tuple(node.entries), tuple(axis.keys[0] for axis in axes), tuple(levels)))
    return paired


def _levels(entry: KeyValue, path: str) -> list[Node]:
    """The levels of one path, each with its origin. Raises ValueError: the levels are wrong."""
    node = entry.node
    if isinstance(node.value, tuple):
        values = node.value
        if not values:
            raise ValueError("the list of levels is empty")
    elif set(node.entries) == {"range"}:
        values = tuple(Node(node.mark, value) for value in _range(node.entries["range"].node.plain))
    elif "bracket" in node.entries:
        raise ValueError("bracket (bisection) was replaced: write {adaptive: [smallest, largest]}, see docs/sweeps.md")
    else:
        is_short = isinstance(node.value, str | int | float) and len(str(node.value)) < 20
        hint = f"; write [{node.value}]" if is_short else ""
        raise ValueError(f"levels must be a list or {{range: n}}, got {shown(node.plain)}{hint}")
    if not entry.key.line:  # from the command line, which has no positions
        return [replace(value, origin=path.partition("].")[2] or path) for value in values]
    return [replace(value, origin=f"{path}[{index}]") for index, value in enumerate(values)]


def _range(spec: object) -> range:
    """The integers of `{range: spec}`, counted like Python's range."""
    bounds = spec if isinstance(spec, list) else [spec]
    if not 1 <= len(bounds) <= 3 or not all(type(bound) is int for bound in bounds):
        raise ValueError(f"range takes an integer n or [start, stop] or [start, stop, step], got {shown(spec)}")
    if len(bounds) == 3 and bounds[2] == 0:
        raise ValueError(f"the step of a range must not be 0, got {shown(spec)}")
    counted = range(*bounds)
    length = max(0, -(-(counted.stop - counted.start) // counted.step))  # len() overflows on huge ranges
    if length == 0:
        raise ValueError(f"range {shown(spec)} has no levels (the stop itself is excluded, as in Python)")
    if length > MOST_TRIALS:
        raise ValueError(f"range {shown(spec)} has {length} levels; at most {MOST_TRIALS} are allowed")
    return counted


KINDS = {"zip": _zips, "tune": _tuned}  # keys of a grid that are not the path of an axis
