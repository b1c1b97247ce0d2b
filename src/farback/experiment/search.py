"""What a config says under `search:`: a space, groups with equal budgets, an objective, and how it is searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from farback.experiment.errors import Located, located
from farback.experiment.problems import Mark, Problem, joined, shown
from farback.experiment.search_objective import Direction, Objective, directions, objectives
from farback.experiment.search_space import Dimension, Plain, space, spelled
from farback.experiment.sweep import Axis, Grid, grid, placed
from farback.experiment.yaml_tree import Entry, Node
from farback.records.record import Record, choices
from farback.trials.trial import Trial

SEARCH_SEEDS = 10_000  # search trials are trained from seeds from here on, reported ones from those below
MOST_SEEDS = 1000
MOST_GROUPS = 100  # each has a study of its own, and its space is tried before anything runs
Settings = tuple[tuple[str, Mark, Node], ...]


class Sampler(Record):
    """How points are chosen: one of Optuna's samplers, or every point of a grid in a random order.

    Attributes:
        name: which one.
        seed: of its random numbers.
    """

    name: Literal["tpe", "gp", "cmaes", "random", "grid", "nsga2"] = "tpe"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class Report(Record):
    """How the best setting of each group is reported: trained again from so many fresh seeds, and beside it the default
    setting (what `base` says), which is then the first trial of each group where the space holds it."""

    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 10
    default: bool = True


def _named(spec: Any) -> Any:
    return {"name": spec} if isinstance(spec, str) else spec


class Options(Record):
    """The keys of `search:`. Those of type Any are read where places are known.

    Attributes:
        space: what is tried of each path: a list of choices, or a range.
        trials: settings tried in each group.
        seeds: trainings of each setting; its value is their mean.
        sampler: how settings are chosen, a name or a mapping with a seed.
        pruner: whether a setting that goes badly is given up on the way.
        batch: settings asked for at once.
        report: how many fresh seeds the winners are trained on.
        budget: minutes after which a run of the command asks for nothing more.
    """

    space: Any
    objective: Any
    groups: Any = None
    direction: Any = None
    trials: Annotated[int, Field(ge=1, le=10_000)] = 40
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 2
    sampler: Annotated[Sampler, BeforeValidator(_named, json_schema_input_type=Sampler | str)] = Sampler()
    pruner: Literal["none", "median", "hyperband", "wilcoxon"] = "none"
    batch: Annotated[int, Field(ge=1, le=1000)] = 4
    report: Report = Report()
    budget: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True)
class Group:
    """A part of a search with a budget and a study of its own: "LSTM". Without groups there is one, called ""."""

    label: str
    settings: Settings = field(default=(), repr=False)


@dataclass(frozen=True)
class Search:
    """A search as declared.

    Attributes:
        mark: where it stands.
        base: what every trial shares.
        space: dimensions, what others depend on first.
        grid: the groups as a grid.
        groups: the same, named; of at least one.
        objectives: one, or two for a Pareto front.
        directions: of each.
        options: the rest.
        keys: where each key stands.
    """

    mark: Mark
    base: Node = field(repr=False)
    space: tuple[Dimension, ...] = ()
    grid: Grid = field(default=Grid(Mark(""), "search.groups", ()), repr=False)
    groups: tuple[Group, ...] = (Group(""),)
    objectives: tuple[Objective, ...] = ()
    directions: tuple[Direction, ...] = ()
    options: Options = field(default=Options(space=None, objective=None), repr=False)
    keys: Mapping[str, Mark] = field(default_factory=dict, repr=False, compare=False)

    def place(self, key: str) -> Mark:
        """Where one of its keys stands; a key that is left out, where the search does."""
        return self.keys.get(key, self.mark)

    @property
    def trials(self) -> int:
        """The budget of each group."""
        return self.options.trials

    @property
    def search_seeds(self) -> tuple[int, ...]:
        """What a setting is trained from while it is searched: from 10 000 on."""
        return tuple(range(SEARCH_SEEDS, SEARCH_SEEDS + self.options.seeds))

    @property
    def report_seeds(self) -> tuple[int, ...]:
        """What the winners are trained from: 0, 1, 2... which no search uses."""
        return tuple(range(self.options.report.seeds))

    def walk(self, group: Group, choose: Callable[[Dimension], Node]) -> tuple[Node, dict[str, Node]]:
        """One point: each dimension is chosen in turn, where its conditions hold.

        Returns:
            The tree of a trial, and what was chosen, by path.
        """
        chosen: dict[str, tuple[Mark, Node]] = {}
        tree = self._tree(group, chosen)
        for dimension in self.space:
            if all(condition.holds(tree) for condition in dimension.when):
                chosen[dimension.path] = (dimension.key, choose(dimension))
                tree = self._tree(group, chosen)
        return tree, {path: node for path, (_, node) in chosen.items()}

    def _tree(self, group: Group, chosen: Mapping[str, tuple[Mark, Node]]) -> Node:
        """Whole components before their fields."""
        tree = self.base
        settings = [*group.settings, *((path, *pair) for path, pair in chosen.items())]
        for path, key, value in sorted(settings, key=lambda setting: setting[0].count(".")):
            tree = placed(tree, path.split("."), key, value, Trial.model_fields)
        return tree

    def trial(self, group: Group, values: Mapping[str, Plain], seed: int) -> Trial:
        """The trial of a point whose values are as a tracker has them.

        Raises:
            pydantic.ValidationError: the point cannot be trained.
        """
        return Trial.model_validate({**self.tree(group, values).plain, "seed": seed})

    def tree(self, group: Group, values: Mapping[str, Plain]) -> Node:
        """The tree of a point whose values are as a tracker has them."""
        return self.walk(group, lambda dimension: dimension.node(values[dimension.path]))[0]

    def settings(self, group: Group, values: Mapping[str, Plain]) -> dict[str, Any]:
        """A point and its group as plain values by path, as they go into a config."""
        _, chosen = self.walk(group, lambda dimension: dimension.node(values[dimension.path]))
        return {path: node.plain for path, _, node in group.settings} | {p: node.plain for p, node in chosen.items()}

    def identity(self) -> dict[str, Any]:
        """What a study was made for: two searches of one identity may go on with each other's trials."""
        return {
            "base": self.base.plain,
            "space": {dimension.path: dimension.plain() for dimension in self.space},
            "objectives": [str(objective) for objective in self.objectives],
            "directions": list(self.directions),
            "seeds": self.options.seeds,
            "sampler": self.options.sampler.model_dump(),
            "pruner": self.options.pruner,
        }


def declared(base: Entry, entry: Entry, problems: list[Problem]) -> Search | None:
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
    keys = {name: own.key for name, own in node.entries.items()}
    return Search(entry.key, base.node, tuple(dimensions), groups, (), tuple(goals), tuple(ways), options, keys)


def _options(node: Node, key: Mark, problems: list[Problem]) -> Options | None:
    try:
        return Options.model_validate(node.plain)
    except ValidationError as failure:
        whole = Located(key, "search", "")
        found = [located(error, node, key, whole, Options, "search") for error in failure.errors(include_url=False)]
        problems += [Problem(str(one.mark), one.path, one.message) for one in dict.fromkeys(found)]
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


def _fits(options: Options, objectives: int, node: Node, dimensions: list[Dimension], problems: list[Problem]) -> None:
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


__all__ = ["Group", "Objective", "Options", "Search", "declared", "spelled"]
