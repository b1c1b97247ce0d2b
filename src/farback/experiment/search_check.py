"""Checks a search before anything runs, at both ends of every range, every choice and every group."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from farback.experiment.expansion import Settings, validated, with_causes
from farback.experiment.grids import spelled
from farback.experiment.problems import Problem, Problems, joined, shown, word
from farback.experiment.search import Group, Search
from farback.experiment.search_space import Dimension, scalar, value_at
from farback.experiment.yaml_tree import KeyValue, Node
from farback.records.component import Component
from farback.trials.trial import Trial

MOST_PRODUCTS = 200  # combinations of choices for each group; if there are more, one choice changes at a time
MOST_POINTS = 100_000  # points of a grid that the sampler `grid` may search


def checked(search: Search, base: KeyValue, problems: Problems) -> Search | None:
    """The search with named groups. If it is wrong, adds to `problems` and returns None."""
    failed: dict[Problem, list[Settings]] = {}
    levels: dict[str, set[str]] = {}
    groups = [Group(str(i), tuple(search.grid.settings(one))) for i, one in enumerate(search.grid.combinations())]
    trials: dict[str, list[Trial]] = {group.label: [] for group in groups}
    active: set[str] = set()
    values: dict[str, list[str]] = {condition.path: [] for one in search.space for condition in one.when}
    for group in groups:
        for tree, chosen in points(search, group):
            active |= set(chosen)
            for path, seen in values.items():
                seen.append(word(scalar(value_at(tree, path))))
            settings = _choices(search, group, chosen)
            for path, text in settings.items():
                levels.setdefault(path, set()).add(text)
            made = validated(tree, base.key, (search.mark, "search"))
            if isinstance(made, Trial):
                trials[group.label].append(made)
                continue
            for problem in made:
                failed.setdefault(problem, []).append(settings)
    alone = validated(base.node, base.key, (base.key, "base"), partial=True)
    for problem in alone if isinstance(alone, list) else ():
        failed.setdefault(problem, [])
    problems += [with_causes(problem, where, levels) for problem, where in failed.items()]
    _check_conditions(search, active, values, problems)
    if not problems:
        _check_objectives(search, [trial for made in trials.values() for trial in made], problems)
    if problems:
        return None
    search = replace(search, groups=_labelled(search, groups, trials))
    _check_grid_size(search, problems)
    return None if problems else search


def points(search: Search, group: Group) -> Iterator[tuple[Node, dict[str, Node]]]:
    """Points of a group that together contain every choice and both ends of every range.

    They are all combinations of choices, once with all ranges at their low ends and once at their high ends. If these
    are too many, they are the first point and all points that differ from it in one choice or end.
    """
    categorical = [one for one in search.space if one.kind == "categorical"]
    if math.prod(len(one.levels) for one in categorical) <= MOST_PRODUCTS:
        for end in (0, -1):
            for levels in product(*(one.levels for one in categorical)):
                chosen = {one.path: level for one, level in zip(categorical, levels, strict=True)}
                yield search.walk(group, lambda one, chosen=chosen, end=end: chosen.get(one.path, one.levels[end]))  # type: ignore[misc]
        return
    yield search.walk(group, lambda one: one.levels[0])
    for varied in search.space:
        for level in varied.levels[1:]:
            yield search.at(group, varied, level)


def grid_points(search: Search, group: Group, enough: int = MOST_POINTS) -> list[dict[str, object]]:
    """At most `enough` points of a grid; each maps paths to values that Optuna can store.

    Paths whose conditions do not hold are left out.
    """
    distinct: dict[tuple[tuple[str, object], ...], dict[str, object]] = {}
    if math.prod(one.count or 0 for one in search.space) > MOST_POINTS:
        raise ValueError(f"the grid has more than {MOST_POINTS} points: give fewer values")
    for indices in product(*(range(one.count or 0) for one in search.space)):
        levels = {one.path: _level(one, index) for one, index in zip(search.space, indices, strict=True)}
        _, chosen = search.walk(group, lambda one, levels=levels: levels[one.path])  # type: ignore[misc]
        values = {path: scalar(node.plain) for path, node in chosen.items()}
        distinct.setdefault(tuple(values.items()), dict(values))
        if len(distinct) >= enough:
            break
    return list(distinct.values())


def _level(one: Dimension, index: int) -> Node:
    if one.kind == "categorical":
        return one.levels[index]
    value = one.low + index * (one.step or 1)
    return one.node(round(value) if one.kind == "int" else min(value, one.high))


def _choices(search: Search, group: Group, chosen: dict[str, Node]) -> Settings:
    """The choices of a point by path; the values of ranges are left out."""
    choices = {path: spelled(path, node) for path, _, node in group.settings}
    kinds = {one.path: one.kind for one in search.space}
    return choices | {path: spelled(path, node) for path, node in chosen.items() if kinds[path] == "categorical"}


def _check_conditions(search: Search, active: set[str], values: dict[str, list[str]], problems: Problems) -> None:
    """Report conditions that never hold, because they are probably typing errors.

    `active` has the dimensions whose conditions hold at some point; `values` has all values of each condition's path.
    """
    for dimension in search.space:
        is_reported = False
        path = joined("search.space", dimension.path)
        for condition in dimension.when:
            existing = list(dict.fromkeys(values[condition.path]))
            absent = [node.plain for node in condition.values if word(scalar(node.plain)) not in existing]
            if absent:
                hint = f"it is {' or '.join(existing)}" if existing != ["null"] else "there is nothing at that path"
                message = f"{condition.path} is never {' or '.join(shown(value) for value in absent)}: {hint}"
                problems.add(condition.key, joined(path, "when", condition.path), message)
                is_reported = True
        if dimension.path not in active and not is_reported:
            problems.add(dimension.key, path, "its conditions never hold together")


def _check_objectives(search: Search, trials: list[Trial], problems: Problems) -> None:
    for objective in search.objectives:
        missing = next((text for trial in trials if (text := objective.missing(trial))), "")
        if missing:
            problems.add(search.place("objective"), "search.objective", f"{objective}: {missing}")


def _check_grid_size(search: Search, problems: Problems) -> None:
    for group in search.groups if search.options.sampler.name == "grid" else ():
        try:
            count = len(grid_points(search, group, search.trials_per_group))
        except ValueError as error:
            problems.add(search.place("space"), "search.space", str(error))
            return
        if search.trials_per_group > count:
            name = f" of {group.label}" if group.label else ""
            message = f"the grid{name} has {count} points: set trials to at most {count}, got {search.trials_per_group}"
            problems.add(search.place("trials"), "search.trials", message)
            return


def _labelled(search: Search, groups: list[Group], trials: dict[str, list[Trial]]) -> tuple[Group, ...]:
    """The groups with readable names: a component's label, unless its fields vary; other settings as `path=value`."""
    labels = []
    for group in groups:
        varied = [one.path for one in search.space] + [path for path, _, _ in group.settings]
        parts = []
        for path, _, node in group.settings:
            value = getattr(trials[group.label][0], path, None)
            if not isinstance(value, Component):
                parts.append(spelled(path, node))
            elif any(other.startswith(f"{path}.") for other in varied):
                parts.append(str(scalar(node.plain)))
            else:
                parts.append(value.label())
        labels.append(", ".join(parts))
    if len(set(labels)) < len(labels):
        labels = [", ".join(spelled(path, node) for path, _, node in group.settings) for group in groups]
    return tuple(replace(group, label=label) for group, label in zip(groups, labels, strict=True))
