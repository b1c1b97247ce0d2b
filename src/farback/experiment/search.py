"""A search: its space, groups that get equal budgets, one or two objectives, and options for Optuna."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from typing_extensions import override

from farback.experiment.experiment import Experiment
from farback.experiment.grids import Grid, Setting, with_settings
from farback.experiment.problems import Mark
from farback.experiment.search_objective import Direction, Objective
from farback.experiment.search_space import Dimension, Plain, inner_value
from farback.experiment.yaml_tree import Node
from farback.records.record import Record, named
from farback.trials.trial import Trial

SEARCH_SEEDS = 10_000  # trials of the search have seeds from this number on, trials of the report have seeds below it
MOST_SEEDS = 1000
MOST_GROUPS = 100  # each group has its own study, and its space is checked before anything runs


class Sampler(Record):
    """How settings are chosen: one of Optuna's samplers, or every point of a grid in random order.

    Attributes:
        name: the sampler.
        seed: seed of the sampler's random numbers.
    """

    name: Literal["tpe", "gp", "cmaes", "random", "grid", "nsga2"] = "tpe"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class Report(Record):
    """How the best setting of each group is reported.

    Attributes:
        seeds: number of fresh seeds with which the best setting is trained again.
        default: whether the default setting (what `base` sets) is reported too. The default is then also the first
            trial of each group, if the space contains it.
    """

    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 10
    default: bool = True


class SearchOptions(Record):
    """A hyper-parameter search instead of a sweep (docs/search.md).

    Attributes:
        space: a list of choices or a range for each path that is searched.
        objective: `horizon`, `skill` (at the training lag, or {skill: LAG}), `area` (under the retention curve) or
            `updates` (before the task is solved); two objectives give a Pareto front.
        groups: a grid as in a sweep, or a path of `space` with choices. Each group is searched with the same budget.
        direction: `maximize` or `minimize` for each objective; by default `updates` is minimized, all others maximized.
        trials: number of settings tried in each group.
        seeds: number of seeds with which each setting is trained; the value of a setting is the mean over its seeds.
        sampler: how settings are chosen, as a name or as a mapping with a seed.
        pruner: whether, and how, the training of a bad setting is stopped early.
        batch: number of settings that are chosen at once.
        report: how the best settings are reported.
        budget: minutes after which no more settings are chosen.
    """

    space: Any  # this key and the next three are read by functions that know the positions in the file
    objective: Any
    groups: Any = None
    direction: Any = None
    trials: Annotated[int, Field(ge=1, le=10_000)] = 40
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 2
    sampler: Annotated[Sampler, BeforeValidator(named, json_schema_input_type=Sampler | str)] = Sampler()
    pruner: Literal["none", "median", "hyperband", "wilcoxon"] = "none"
    batch: Annotated[int, Field(ge=1, le=1000)] = 4
    report: Report = Report()
    budget: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True)
class Group:
    """A part of a search with its own study and budget, such as "LSTM". Without `groups:`, there is one group ""."""

    label: str
    settings: tuple[Setting, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Search(Experiment):
    """A config with a space to search.

    Attributes:
        mark: the position of `search:` in the config.
        tree: the settings that every trial shares, with their positions.
        space: the dimensions, each after the dimensions on which it depends.
        grid: the groups as a grid.
        groups: the groups with their names; at least one.
        objectives: one objective, or two for a Pareto front.
        directions: `maximize` or `minimize` for each objective.
        options: the values of all keys of `search:`.
        keys: the position of each key of `search:`.
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
        """Trials that differ only in the group, and for each group, trials that differ only in one dimension."""
        seed = self.search_seeds[0]
        contrasts = []
        if len(self.groups) > 1:
            firsts = [self.walk(group, lambda one: one.levels[0])[0] for group in self.groups]
            axes = " + ".join(axis.path for axis in self.grid.axes)
            contrasts.append((axes, str(self.grid.mark), [_trial(tree, seed) for tree in firsts]))
        for group in self.groups:
            for varied in self.space:
                points = [self.at(group, varied, level) for level in varied.levels]
                trials = [_trial(tree, seed) for tree, chosen in points if varied.path in chosen]
                if len(trials) > 1:
                    contrasts.append((varied.path, str(varied.key), trials))
        return contrasts

    def place(self, key: str) -> Mark:
        """The position of a key, or of the whole search if the key is left out."""
        return self.keys.get(key, self.mark)

    @property
    def trials_per_group(self) -> int:
        """The number of settings tried in each group."""
        return self.options.trials

    @property
    def search_seeds(self) -> tuple[int, ...]:
        """The seeds that every setting is trained with during the search: 10 000, 10 001..."""
        return tuple(range(SEARCH_SEEDS, SEARCH_SEEDS + self.options.seeds))

    @property
    def report_seeds(self) -> tuple[int, ...]:
        """The seeds that the best settings are trained with afterwards: 0, 1, 2..., which no search uses."""
        return tuple(range(self.options.report.seeds))

    def walk(self, group: Group, choose: Callable[[Dimension], Node]) -> tuple[Node, dict[str, Node]]:
        """One point of the search space: the config tree of its trial, and the chosen value for each path.

        `choose` returns the value of a dimension. It is called only for dimensions whose conditions hold, in order.
        """
        settings = list(group.settings)
        chosen: dict[str, Node] = {}
        tree = with_settings(self.tree, settings)
        for one in self.space:
            if all(condition.holds(tree) for condition in one.when):
                chosen[one.path] = choose(one)
                settings.append((one.path, one.key, chosen[one.path]))
                tree = with_settings(self.tree, settings)
        return tree, chosen

    def at(self, group: Group, varied: Dimension, level: Node) -> tuple[Node, dict[str, Node]]:
        """The point with `varied` at `level`; others are at their first level, or as its conditions require."""
        needed = self._enabling(varied)
        return self.walk(group, lambda one: level if one is varied else needed.get(one.path, one.levels[0]))

    def _enabling(self, dimension: Dimension) -> dict[str, Node]:
        """Choices of other dimensions, by path, that fulfil the conditions of a dimension."""
        choices: dict[str, Node] = {}
        for condition in dimension.when:
            needed = [node.plain for node in condition.values]
            for one in self.space:
                if one.kind != "categorical" or not f"{condition.path}.".startswith(f"{one.path}."):
                    continue
                names = condition.path.split(".")[one.path.count(".") + 1 :]
                for level in one.levels:
                    if inner_value(level, names) in needed:
                        choices.setdefault(one.path, level)
        return choices

    def trial(self, group: Group, values: Mapping[str, Plain], seed: int) -> Trial:
        """The trial at the point that Optuna stores as `values` (by path).

        Raises:
            pydantic.ValidationError: the point cannot be trained.
        """
        return _trial(self.point(group, values), seed)

    def point(self, group: Group, values: Mapping[str, Plain]) -> Node:
        """The config tree of the point that Optuna stores as `values` (by path)."""
        return self.walk(group, lambda dimension: dimension.node(values[dimension.path]))[0]

    def settings(self, group: Group, values: Mapping[str, Plain]) -> dict[str, Any]:
        """The settings of a group and a point as plain values by path, as a config spells them."""
        _, chosen = self.walk(group, lambda dimension: dimension.node(values[dimension.path]))
        return {path: node.plain for path, _, node in group.settings} | {p: node.plain for p, node in chosen.items()}

    def identity(self) -> dict[str, Any]:
        """The options that define a study. Only a search with equal options may continue the study."""
        return {
            "base": self.tree.plain,
            "space": {dimension.path: dimension.plain() for dimension in self.space},
            "objectives": [str(objective) for objective in self.objectives],
            "directions": list(self.directions),
            "seeds": self.options.seeds,
            "sampler": self.options.sampler.model_dump(),
            "pruner": self.options.pruner,
        }


def _trial(tree: Node, seed: int) -> Trial:
    return Trial.model_validate({**tree.plain, "seed": seed})
