"""Reads `search:` of a config, with what is wrong and where."""

from __future__ import annotations

from pydantic import ValidationError

from farback.experiment.errors import record_problems
from farback.experiment.experiment import Common, loads
from farback.experiment.grids import Axis, Grid, grid
from farback.experiment.problems import Mark, Problem, joined, shown
from farback.experiment.search import MOST_GROUPS, Search, SearchOptions
from farback.experiment.search_check import checked
from farback.experiment.search_objective import directions, objectives
from farback.experiment.search_space import Dimension, space
from farback.experiment.yaml_tree import Entry, Node
from farback.records.record import choices


@loads("search")
def _load(
    common: Common, base: Entry, search: Entry | None, claims: Entry | None, problems: list[Problem]
) -> Search | None:
    assert search is not None
    if claims:
        message = "claims go with a sweep: what a search trains is not known beforehand"
        problems.append(Problem(str(claims.key), "claims", message))
    declared = _declared(common, base, search, problems)
    return checked(declared, base, problems) if declared and not problems else None


def _declared(common: Common, base: Entry, entry: Entry, problems: list[Problem]) -> Search | None:
    """The search that an entry declares, its groups not yet named. What is wrong goes into `problems`."""
    before = len(problems)
    node = entry.node
    if not isinstance(node.value, dict):
        message = f"must be a mapping with space and objective, got {shown(node.plain)}"
        problems.append(Problem(str(entry.key), "search", message))
        return None
    options = _options(node, entry.key, problems)
    dimensions = space(node.entries["space"], problems) if "space" in node.entries else []
    dimensions, groups = _groups(node.entries.get("groups"), dimensions, problems)
    goals = objectives(node.entries["objective"], problems) if "objective" in node.entries else []
    ways = directions(node.entries.get("direction"), goals, problems)
    _seeds_are_given(base, dimensions, groups, problems)
    if options and len(problems) == before:
        _fits(options, len(goals), node, dimensions, problems)
    if not options or len(problems) > before:
        return None
    return Search(
        *common,
        mark=entry.key,
        tree=base.node,
        space=tuple(dimensions),
        grid=groups,
        groups=(),
        objectives=tuple(goals),
        directions=tuple(ways),
        options=options,
        keys={name: own.key for name, own in node.entries.items()},
    )


def _options(node: Node, key: Mark, problems: list[Problem]) -> SearchOptions | None:
    try:
        return SearchOptions.model_validate(node.plain)
    except ValidationError as failure:
        problems += record_problems(failure, node, key, "search", SearchOptions)
        return None


def _groups(entry: Entry | None, dimensions: list[Dimension], problems: list[Problem]) -> tuple[list[Dimension], Grid]:
    """The groups as a grid. A path of the space as text makes each of its choices a group."""
    if entry is None or entry.node.value is None:
        return dimensions, Grid(entry.key if entry else Mark(""), "search.groups", ())
    where = "search.groups"
    node = entry.node
    if isinstance(node.value, str):
        own = next((one for one in dimensions if one.path == node.value), None)
        grouped = [one.path for one in dimensions if one.kind == "categorical" and not one.when]
        if own is None or own.path not in grouped:
            there = choices(node.value, grouped) if grouped else "the space has none"
            message = "must be axes as in a sweep, or a path of the space that has choices and no condition, got "
            message += f"{shown(node.value)}; {there}"
            problems.append(Problem(str(node.mark), where, message))
            return dimensions, Grid(entry.key, where, ())
        if len(own.levels) > MOST_GROUPS:
            message = f"{own.path} has {len(own.levels)} choices; at most {MOST_GROUPS} groups are allowed"
            problems.append(Problem(str(node.mark), where, message))
        axis = Axis((own.path,), (own.key,), tuple((level,) for level in own.levels))
        return [one for one in dimensions if one is not own], Grid(entry.key, where, (axis,))
    found = grid(node, where, problems)
    if found and found.count > MOST_GROUPS:
        message = f"makes {found.count} groups or more; at most {MOST_GROUPS} are allowed"
        problems.append(Problem(str(entry.key), where, message))
    for axis in found.axes if found else ():
        for path, key in zip(axis.paths, axis.keys, strict=True):
            if twice := next((one for one in dimensions if one.path == path), None):
                message = f"is searched too, at {twice.key}: keep one"
                problems.append(Problem(str(key), joined(where, path), message))
    return dimensions, found or Grid(entry.key, where, ())


def _seeds_are_given(base: Entry, dimensions: list[Dimension], groups: Grid, problems: list[Problem]) -> None:
    """A search gives the seeds, so that those of the report are none of its own."""
    places = [(base.node.entries["seed"].key, "base.seed")] if "seed" in base.node.entries else []
    places += [(one.key, "search.space.seed") for one in dimensions if one.path == "seed"]
    axes = [pair for axis in groups.axes for pair in zip(axis.paths, axis.keys, strict=True)]
    places += [(key, "search.groups.seed") for path, key in axes if path == "seed"]
    for mark, path in places:
        message = "a search gives the seeds itself: set search.seeds, and search.report.seeds for the report"
        problems.append(Problem(str(mark), path, message))


def _fits(
    options: SearchOptions, objectives: int, node: Node, dimensions: list[Dimension], problems: list[Problem]
) -> None:
    """What depends on two keys at once."""
    name = options.sampler.name

    def wrong(key: str, message: str) -> None:
        problems.append(Problem(str(node.entries[key].key), f"search.{key}", message))

    if objectives > 1 and options.pruner != "none":
        wrong("pruner", f"{options.pruner} prunes by one objective, and there are two: leave it out")
    if objectives > 1 and name == "cmaes":
        wrong("sampler", "cmaes searches one objective, and there are two; nsga2, tpe and gp search both")
    if options.pruner == "wilcoxon" and options.seeds < 3:
        got = f"seeds is {options.seeds}"
        wrong("pruner", f"wilcoxon compares seed by seed and needs at least 3 of them, {got}")
    if name == "grid":
        for endless in [one.path for one in dimensions if one.count is None]:
            wrong("sampler", f"a grid needs finitely many values: give {endless} a step, or choices")
