"""Makes a `Search` from the section `search:` of a config."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from farback.experiment.errors import record_problems
from farback.experiment.experiment import LOADERS
from farback.experiment.grids import Axis, Grid, grid
from farback.experiment.problems import Mark, Problems, joined, shown
from farback.experiment.search import MOST_GROUPS, Search, SearchOptions
from farback.experiment.search_check import checked
from farback.experiment.search_objective import directions, objectives
from farback.experiment.search_space import Dimension, space
from farback.experiment.yaml_tree import KeyValue
from farback.records.user_error import choices


def _search(common: dict[str, Any], base: KeyValue, section: KeyValue | None, problems: Problems) -> Search | None:
    assert section is not None
    node = section.node
    if not isinstance(node.value, dict):
        problems.add(section.key, "search", f"must be a mapping with space and objective, got {shown(node.plain)}")
        return None
    try:
        options = SearchOptions.model_validate(node.plain)
    except ValidationError as failure:
        problems += record_problems(failure, node, section.key, "search", SearchOptions)
        options = None
    dimensions = space(node.entries["space"], problems) if "space" in node.entries else []
    dimensions, groups = _groups(node.entries.get("groups"), dimensions, problems)
    goals = objectives(node.entries["objective"], problems) if "objective" in node.entries else []
    search = Search(
        **common,
        mark=section.key,
        tree=base.node,
        space=tuple(dimensions),
        grid=groups,
        groups=(),
        objectives=tuple(goals),
        directions=tuple(directions(node.entries.get("direction"), goals, problems)),
        options=options or SearchOptions(space=None, objective=None),
        keys={name: own.key for name, own in node.entries.items()},
    )
    _check_seed(search, problems)
    if not problems:
        _check_options(search, problems)
    return None if problems else checked(search, base, problems)


def _groups(entry: KeyValue | None, dimensions: list[Dimension], problems: Problems) -> tuple[list[Dimension], Grid]:
    """The dimensions to search within each group, and the groups as a grid.

    If `groups` is a path of the space, each of its choices becomes a group.
    """
    path = "search.groups"
    if entry is None or entry.node.value is None:
        return dimensions, Grid(entry.key if entry else Mark(""), path, ())
    node = entry.node
    nothing = Grid(entry.key, path, ())
    if isinstance(node.value, str):
        allowed = {one.path: one for one in dimensions if one.kind == "categorical" and not one.when}
        own = allowed.get(node.value)
        if own is None:
            hint = choices(node.value, [*allowed]) if allowed else "the space has no such path"
            message = "must be axes as in a sweep, or a path of the space that has choices and no condition"
            problems.add(node.mark, path, f"{message}, got {shown(node.value)}; {hint}")
            return dimensions, nothing
        if len(own.levels) > MOST_GROUPS:
            message = f"{own.path} has {len(own.levels)} choices; at most {MOST_GROUPS} groups are allowed"
            problems.add(node.mark, path, message)
        axis = Axis((own.path,), (own.key,), tuple((level,) for level in own.levels))
        return [one for one in dimensions if one is not own], Grid(entry.key, path, (axis,))
    made = grid(node, path, problems)
    if made and made.count > MOST_GROUPS:
        problems.add(entry.key, path, f"these axes make {made.count} groups or more; at most {MOST_GROUPS} are allowed")
    for axis in made.axes if made else ():
        if axis.adaptive or axis.tuned:
            problems.add(axis.keys[0], joined(path, axis.path), "only a sweep has adaptive lags and tuned settings")
    searched = {one.path: one.key for one in dimensions}
    for axis in made.axes if made else ():
        for own_path, key in zip(axis.paths, axis.keys, strict=True):
            if own_path in searched:
                problems.add(key, joined(path, own_path), f"is also in the space, at {searched[own_path]}: keep one")
    return dimensions, made or nothing


def _check_seed(search: Search, problems: Problems) -> None:
    """Refuse a `seed` in the config: a search sets the seeds itself, and uses other seeds for the report."""
    places = [(search.tree.entries["seed"].key, "base.seed")] if "seed" in search.tree.entries else []
    places += [(one.key, "search.space.seed") for one in search.space if one.path == "seed"]
    axes = [pair for axis in search.grid.axes for pair in zip(axis.paths, axis.keys, strict=True)]
    places += [(key, "search.groups.seed") for path, key in axes if path == "seed"]
    for mark, path in places:
        message = "a search sets the seeds itself: use search.seeds, and search.report.seeds for the report"
        problems.add(mark, path, message)


def _check_options(search: Search, problems: Problems) -> None:
    """Check the options that depend on each other."""
    options, several = search.options, len(search.objectives) > 1
    wrong: list[tuple[str, str]] = []
    if several and options.pruner != "none":
        wrong.append(("pruner", f"{options.pruner} needs a single objective, and there are two: leave pruner out"))
    if several and options.sampler.name == "cmaes":
        wrong.append(("sampler", "cmaes needs a single objective, and there are two: use nsga2, tpe or gp"))
    if options.pruner == "wilcoxon" and options.seeds < 3:
        wrong.append(("pruner", f"wilcoxon compares seed by seed: set search.seeds to at least 3, got {options.seeds}"))
    if options.sampler.name == "grid":
        for one in search.space:
            if one.count is None:
                message = f"the sampler grid needs finitely many values: give {one.path} a step, or choices"
                wrong.append(("sampler", message))
    for key, message in wrong:
        problems.add(search.place(key), f"search.{key}", message)


LOADERS["search"] = _search
