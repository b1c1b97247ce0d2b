"""A search: a space, groups with equal budgets, an objective, and how the space is searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from typing_extensions import override

from farback.experiment.experiment import Experiment
from farback.experiment.grids import Grid, placed
from farback.experiment.problems import Mark
from farback.experiment.search_objective import Direction, Objective
from farback.experiment.search_space import Dimension, Plain, inner
from farback.experiment.yaml_tree import Node
from farback.records.record import Record
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


class SearchOptions(Record):
    """The keys of `search:`. Those of type Any are read where places are known.

    Attributes:
        space: what is tried of each path: a list of choices, or a range.
        trials: settings tried in each group.
        seeds: trainings of each setting; its value is their mean.
        sampler: how settings are chosen, a name or a mapping with a seed.
        pruner: whether a setting that goes badly is given up on the way.
        batch: settings asked for at once.
        report: how many fresh seeds the winners are trained on.
        budget: minutes after which the command asks for no more settings.
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
class Search(Experiment):
    """A config with a space to search.

    Attributes:
        mark: where `search:` stands.
        tree: what every trial shares, with places.
        space: dimensions, what others depend on first.
        grid: the groups as a grid.
        groups: the same, named; at least one.
        objectives: one, or two for a Pareto front.
        directions: of each objective.
        options: the rest.
        keys: where each key stands.
    """

    mark: Mark = field(default=Mark(""), repr=False)
    tree: Node = field(default=Node(Mark(""), {}), repr=False)
    space: tuple[Dimension, ...] = ()
    grid: Grid = field(default=Grid(Mark(""), "search.groups", ()), repr=False)
    groups: tuple[Group, ...] = (Group(""),)
    objectives: tuple[Objective, ...] = ()
    directions: tuple[Direction, ...] = ()
    options: SearchOptions = field(default=SearchOptions(space=None, objective=None), repr=False)
    keys: Mapping[str, Mark] = field(default_factory=dict, repr=False, compare=False)

    @override
    def contrasts(self) -> list[tuple[str, str, list[Trial]]]:
        """The groups, and each dimension at its choices or ends, in every group."""
        seed = self.search_seeds[0]
        found = []
        if len(self.groups) > 1:
            firsts = [self.walk(group, lambda one: one.levels[0])[0] for group in self.groups]
            axes = " + ".join(axis.path for axis in self.grid.axes)
            found.append((axes, str(self.grid.mark), [self._trial(tree, seed) for tree in firsts]))
        for group in self.groups:
            for varied in self.space:
                points = [self.at(group, varied, level) for level in varied.levels]
                trials = [self._trial(tree, seed) for tree, chosen in points if varied.path in chosen]
                if len(trials) > 1:
                    found.append((varied.path, str(varied.key), trials))
        return found

    def place(self, key: str) -> Mark:
        """Where one of its keys stands; for a key that is left out, where the search does."""
        return self.keys.get(key, self.mark)

    @property
    def trials_per_group(self) -> int:
        """The budget of each group."""
        return self.options.trials

    @property
    def search_seeds(self) -> tuple[int, ...]:
        """The seeds that a setting is trained with during the search: from 10 000 on."""
        return tuple(range(SEARCH_SEEDS, SEARCH_SEEDS + self.options.seeds))

    @property
    def report_seeds(self) -> tuple[int, ...]:
        """The seeds that the winners are trained with: 0, 1, 2... which no search uses."""
        return tuple(range(self.options.report.seeds))

    def walk(self, group: Group, choose: Callable[[Dimension], Node]) -> tuple[Node, dict[str, Node]]:
        """One point: each dimension is chosen in turn, where its conditions hold.

        Returns:
            The tree of a trial, and what was chosen, by path.
        """
        chosen: dict[str, tuple[Mark, Node]] = {}
        tree = self._placed(group, chosen)
        for dimension in self.space:
            if all(condition.holds(tree) for condition in dimension.when):
                chosen[dimension.path] = (dimension.key, choose(dimension))
                tree = self._placed(group, chosen)
        return tree, {path: node for path, (_, node) in chosen.items()}

    def at(self, group: Group, varied: Dimension, level: Node) -> tuple[Node, dict[str, Node]]:
        """The point with one dimension at a level, what its conditions ask for, and the first level of the others."""
        needed = self._enabling(varied)
        return self.walk(group, lambda one: level if one is varied else needed.get(one.path, one.levels[0]))

    def _enabling(self, dimension: Dimension) -> dict[str, Node]:
        """Choices of other dimensions that make the conditions of a dimension hold."""
        found: dict[str, Node] = {}
        for condition in dimension.when:
            for one in self.space:
                for level in one.levels if one.kind == "categorical" else ():
                    below = condition.path.removeprefix(one.path).removeprefix(".")
                    value = inner(level, below.split(".")) if below else level.plain
                    wanted = [node.plain for node in condition.values]
                    if f"{condition.path}.".startswith(f"{one.path}.") and value in wanted:
                        found.setdefault(one.path, level)
        return found

    def _placed(self, group: Group, chosen: Mapping[str, tuple[Mark, Node]]) -> Node:
        """The base with settings in their places, whole components before their fields."""
        tree = self.tree
        settings = [*group.settings, *((path, *pair) for path, pair in chosen.items())]
        for path, key, value in sorted(settings, key=lambda setting: setting[0].count(".")):
            tree = placed(tree, path.split("."), key, value, Trial.model_fields)
        return tree

    def trial(self, group: Group, values: Mapping[str, Plain], seed: int) -> Trial:
        """The trial of a point whose values are as Optuna has them.

        Raises:
            pydantic.ValidationError: the point cannot be trained.
        """
        return self._trial(self.point(group, values), seed)

    def _trial(self, tree: Node, seed: int) -> Trial:
        return Trial.model_validate({**tree.plain, "seed": seed})

    def point(self, group: Group, values: Mapping[str, Plain]) -> Node:
        """The tree of a point whose values are as Optuna has them."""
        return self.walk(group, lambda dimension: dimension.node(values[dimension.path]))[0]

    def settings(self, group: Group, values: Mapping[str, Plain]) -> dict[str, Any]:
        """A point and its group as plain values by path, as they go into a config."""
        _, chosen = self.walk(group, lambda dimension: dimension.node(values[dimension.path]))
        return {path: node.plain for path, _, node in group.settings} | {p: node.plain for p, node in chosen.items()}

    def identity(self) -> dict[str, Any]:
        """What a study was made for: searches of equal identity may continue each other's studies."""
        return {
            "base": self.tree.plain,
            "space": {dimension.path: dimension.plain() for dimension in self.space},
            "objectives": [str(objective) for objective in self.objectives],
            "directions": list(self.directions),
            "seeds": self.options.seeds,
            "sampler": self.options.sampler.model_dump(),
            "pruner": self.options.pruner,
        }
