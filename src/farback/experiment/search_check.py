"""What a search space can hold, tried before anything runs: the ends of every range, every choice, every group."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from farback.experiment.errors import Located
from farback.experiment.expansion import validated
from farback.experiment.grids import setting
from farback.experiment.problems import Mark, Problem, joined, shown, word
from farback.experiment.search import Group, Search, Settings
from farback.experiment.search_space import Dimension, scalar, value_at
from farback.experiment.yaml_tree import Entry, Node
from farback.records.component import Component
from farback.trials.trial import Trial

MOST_PRODUCTS = 200  # points for each group: beyond it, choices are tried one at a time
MOST_POINTS = 100_000  # of a grid


def checked(search: Search, base: Entry, problems: list[Problem]) -> Search | None:
    """The search with its groups named, if all of its points can be trained."""
    before = len(problems)
    findings: dict[Located, list[frozenset[str]]] = {}
    everywhere: list[frozenset[str]] = []
    groups = [
        Group(str(index), _settings(search, combination))
        for index, combination in enumerate(search.grid.combinations())
    ]
    met: dict[str, list[Trial]] = {group.label: [] for group in groups}
    active: set[str] = set()
    seen: dict[str, list[object]] = {}
    for group in groups:
        for tree, chosen in points(search, group):
            active |= set(chosen)
            for dimension in search.space:
                for condition in dimension.when:
                    seen.setdefault(condition.path, []).append(value_at(tree, condition.path))
            settings = frozenset(_named(search, group, chosen))
            everywhere.append(settings)
            made = validated(tree, base.key, Located(search.mark, "search", ""))
            if isinstance(made, Trial):
                met[group.label].append(made)
                continue
            for found in made:
                findings.setdefault(found, []).append(settings)
    alone = validated(base.node, base.key, Located(base.key, "base", ""), partial=True)
    for found in alone if isinstance(alone, list) else ():
        findings.setdefault(found, everywhere)
    problems += [_problem(found, at, everywhere) for found, at in findings.items()]
    _never(search, active, seen, problems)
    if len(problems) == before:
        _objective(search, met, problems)
    if len(problems) > before:
        return None
    named = replace(search, groups=_labelled(search, groups, met))
    _grid_is_large_enough(named, problems)
    return named if len(problems) == before else None


def points(search: Search, group: Group) -> Iterator[tuple[Node, dict[str, Node]]]:
    """Points of a group that between them have every choice and both ends of every range.

    All combinations of choices, at all ranges low and at all ranges high; where those are too many, one choice or end
    at a time differs from the first.
    """
    kinds = [one for one in search.space if one.kind == "categorical"]
    if math.prod(len(one.levels) for one in kinds) <= MOST_PRODUCTS:
        for end in (0, -1):
            for levels in product(*(range(len(one.levels)) for one in kinds)):
                at = {one.path: level for one, level in zip(kinds, levels, strict=True)}
                yield search.walk(group, lambda one, at=at, end=end: one.levels[at.get(one.path, end)])  # type: ignore[misc]
        return
    yield search.walk(group, lambda one: one.levels[0])
    for varied in search.space:
        for level in varied.levels[1:]:
            yield search.at(group, varied, level)


def grid_points(search: Search, group: Group, enough: int = MOST_POINTS) -> list[dict[str, object]]:
    """The points of a grid, by path, as trackers take values; conditions that do not hold leave a path out.

    Args:
        search: whose space is a grid.
        group: one of its groups.
        enough: so many points, the first ones, will do.
    """
    found: dict[tuple[tuple[str, object], ...], dict[str, object]] = {}
    counts = [(one, one.count or 0) for one in search.space]
    if math.prod(count for _, count in counts) > MOST_POINTS:
        raise ValueError(f"the grid has more than {MOST_POINTS} points")
    for levels in product(*(range(count) for _, count in counts)):
        at = {one.path: _level(one, level) for (one, _), level in zip(counts, levels, strict=True)}
        _, chosen = search.walk(group, lambda one, at=at: at[one.path])  # type: ignore[misc]
        values = {path: scalar(node.plain) for path, node in chosen.items()}
        found.setdefault(tuple(values.items()), dict(values))
        if len(found) >= enough:
            break
    return list(found.values())


def _level(one: Dimension, level: int) -> Node:
    if one.kind == "categorical":
        return one.levels[level]
    value = one.low + level * (one.step or 1)
    return one.node(round(value) if one.kind == "int" else min(value, one.high))


def _settings(search: Search, combination: tuple[int, ...]) -> Settings:
    settings: list[tuple[str, Mark, Node]] = []
    for axis, level in zip(search.grid.axes, combination, strict=True):
        settings += zip(axis.paths, axis.keys, axis.levels[level], strict=True)
    return tuple(settings)


def _named(search: Search, group: Group, chosen: dict[str, Node]) -> Iterator[str]:
    """The choices of a point in words; where a number stands in its range is no choice."""
    for path, _, node in group.settings:
        yield setting(path, node)
    for one in search.space:
        if one.kind == "categorical" and one.path in chosen and len(one.levels) > 1:
            yield setting(one.path, chosen[one.path])


def _problem(found: Located, at: list[frozenset[str]], everywhere: list[frozenset[str]]) -> Problem:
    """With the choices that it takes, where not every point has it."""
    common = frozenset.intersection(*at) if at else frozenset()
    always = frozenset.intersection(*everywhere) if everywhere else frozenset()
    own = found.path.removeprefix("search.space.").removeprefix("search.groups.").partition("[")[0]
    takes = sorted(text for text in common - always if not text.startswith(f"{own}="))
    where = f" (at {', '.join(takes)})" if takes and len(at) < len(everywhere) else ""
    return Problem(str(found.mark), found.path, found.message + where)


def _never(search: Search, active: set[str], seen: dict[str, list[object]], problems: list[Problem]) -> None:
    """A condition that no point meets is a typo."""
    for dimension in search.space:
        for condition in dimension.when:
            wanted = [node.plain for node in condition.values]
            values = list(dict.fromkeys(word(scalar(value)) for value in seen.get(condition.path, [])))
            absent = [value for value in wanted if word(scalar(value)) not in values]
            if not absent:
                continue
            there = f"it is {' or '.join(values)}" if values != ["null"] else "there is nothing at that path"
            message = f"{condition.path} is never {' or '.join(shown(value) for value in absent)}: {there}"
            where = joined("search.space", dimension.path, "when", condition.path)
            problems.append(Problem(str(condition.key), where, message))
            active.add(dimension.path)
        if dimension.path not in active:
            where = joined("search.space", dimension.path)
            problems.append(Problem(str(dimension.key), where, "its conditions never hold together"))


def _objective(search: Search, met: dict[str, list[Trial]], problems: list[Problem]) -> None:
    for objective in search.objectives:
        lacks = dict.fromkeys(objective.missing(trial) for trials in met.values() for trial in trials)
        for text in [text for text in lacks if text][:1]:
            problems.append(Problem(str(search.place("objective")), "search.objective", f"{objective}: {text}"))


def _grid_is_large_enough(search: Search, problems: list[Problem]) -> None:
    if search.options.sampler.name != "grid":
        return
    for group in search.groups:
        try:
            count = len(grid_points(search, group, search.trials_per_group))
        except ValueError as error:
            problems.append(Problem(str(search.place("space")), "search.space", str(error)))
            return
        if search.trials_per_group > count:
            named = f" of {group.label}" if group.label else ""
            message = f"the grid{named} has {count} points: at most {count} trials, got {search.trials_per_group}"
            problems.append(Problem(str(search.place("trials")), "search.trials", message))
            return


def _labelled(search: Search, groups: list[Group], met: dict[str, list[Trial]]) -> tuple[Group, ...]:
    """Readable names: a component's label, unless its fields are searched; other settings as `path=value`."""
    labels = []
    for group in groups:
        parts = []
        for path, _, node in group.settings:
            made = getattr(met[group.label][0], path, None)
            searched = any(one.path.startswith(f"{path}.") for one in search.space)
            inner = any(other.startswith(f"{path}.") for other, _, _ in group.settings)
            if isinstance(made, Component) and not (searched or inner):
                parts.append(made.label())
            elif isinstance(made, Component):
                parts.append(str(scalar(node.plain)))
            else:
                parts.append(setting(path, node))
        labels.append(", ".join(parts))
    if len(set(labels)) < len(labels):
        labels = [", ".join(setting(path, node) for path, _, node in group.settings) for group in groups]
    return tuple(replace(group, label=label) for group, label in zip(groups, labels, strict=True))
