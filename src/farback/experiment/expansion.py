"""Makes a trial from every combination of a sweep's levels, or reports the problem that prevents it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from farback.experiment.errors import problem, repeats_train_lags
from farback.experiment.grids import Grid, spelled, with_settings
from farback.experiment.problems import Mark, Problem, Problems, joined
from farback.experiment.yaml_tree import KeyValue, Node
from farback.trials.trial import Trial

AXES_MAY_FIX = ("missing", "union_tag_not_found", "value_error")  # errors of a base that the axes of a sweep may fix
NAMED_LEVELS = 3  # most levels of one path that a message lists ("at lag=5 or lag=10")
AXIS_PREFIX = re.compile(r"^(sweep\[\d+\](\.zip(\[\d+\])?)?|search\.(space|groups))\.")
Settings = Mapping[str, str]  # texts by path: {"cell": "cell=lstm"}


@dataclass(frozen=True)
class Combination:
    """One level of each axis of a grid. Together they make one trial."""

    grid: Grid
    levels: tuple[int, ...]

    def settings(self) -> Settings:
        """The settings by path, each as `--set` accepts it."""
        return {path: spelled(path, value) for path, _, value in self.grid.settings(self.levels)}

    def __str__(self) -> str:
        return ", ".join(self.settings().values()) or "the base alone"


def expanded(base: KeyValue, grids: Iterable[Grid], problems: Problems) -> list[tuple[Trial, ...]]:
    """The trials of each grid, in order. Each distinct problem is added to `problems` once.

    The base is also checked alone, because a mistake in a value that every grid replaces would otherwise go unnoticed.
    """
    failed: dict[Problem, list[Combination]] = {}
    trials_of_grids: list[tuple[Trial, ...]] = []
    first: dict[tuple[Trial, bool], Combination] = {}
    repeated: dict[tuple[Mark, Mark], list[tuple[Combination, Combination]]] = {}
    for grid in grids:
        trials = []
        for combination in grid.combinations():
            here = Combination(grid, combination)
            made = validated(with_settings(base.node, grid.settings(combination)), base.key, (grid.mark, grid.origin))
            if not isinstance(made, Trial):
                for each in made:
                    failed.setdefault(each, []).append(here)
                continue
            if grid.is_chosen:
                what = "lag" if grid.adaptive else "tune"
                if message := why_not_chosen(made, "adaptive lags" if grid.adaptive else "tuned settings"):
                    failed.setdefault(Problem(str(grid.mark), joined(grid.origin, what), message), []).append(here)
                made = made.to_choose()
            trials.append(made)
            earlier = first.setdefault((made, grid.is_chosen), here)  # a chosen trial may meet a listed one
            if earlier is not here:
                places = _difference(earlier, here)[0], _difference(here, earlier)[0]
                repeated.setdefault(places, []).append((earlier, here))
        trials_of_grids.append(tuple(trials))
    alone = validated(base.node, base.key, (base.key, "base"), partial=True)
    for each in alone if isinstance(alone, list) else ():
        failed.setdefault(each, [])
    for each, where in failed.items():
        grid = where[0].grid if where else Grid(base.key, "base", ())
        levels = {
            path: [spelled(path, level[i]) for level in axis.levels]
            for axis in grid.axes
            for i, path in enumerate(axis.paths)
        }
        problems.append(with_causes(each, [one.settings() for one in where if one.grid is grid], levels))
    for (mark, later_mark), pairs in repeated.items():
        earlier, later = pairs[0]
        more = f"; and {len(pairs) - 1} more pairs like this" if len(pairs) > 1 else ""
        message = f"the same trial twice: {later} is also made by {earlier} at {mark}{more}"
        problems.add(later_mark, _difference(later, earlier)[1], message)
    return trials_of_grids


def validated(tree: Node, key: Mark, whole: tuple[Mark, str], partial: bool = False) -> Trial | list[Problem]:
    """The trial that a tree describes, or its problems. Missing settings are no problem if the tree is `partial`.

    `key` is the position of the base; `whole` is the position and path to report for an error of the whole trial.
    """
    conflict = _two_lags(tree) or _two_sizes(tree)
    if conflict:
        return [conflict]
    try:
        return Trial.model_validate(tree.plain)
    except ValidationError as failure:
        errors = failure.errors(include_url=False)
        own = [error for error in errors if not repeats_train_lags(error, tree)]
        counted = [error for error in own or errors if not (partial and error["type"] in AXES_MAY_FIX)]
        return [problem(error, tree, key, whole) for error in counted]


def why_not_chosen(trial: Trial, what: str) -> str:
    """Why `what` (lags or settings) cannot be chosen by the outcome of a trial; empty if it can."""
    if trial.train_lags != "fixed":
        return f"{what} are those of networks trained at one lag: leave train_lags out"
    if not any(measure.name == "retention" and "end" in measure.at for measure in trial.measures):
        return f"{what} depend on the retention at the end of training: add `retention` to `measures:`"
    return ""


def _two_lags(tree: Node) -> Problem | None:
    """The problem, if there is one, that the trial and its task set different lags: one would be ignored."""
    task, lag = tree.child("task"), tree.child("lag")
    inner = task.child("lag") if task else None
    if inner is None or lag is None or inner.plain == lag.plain:
        return None
    path = inner.origin or joined("base", "task", "lag")
    return Problem(str(inner.mark), path, f"the lag is given twice, here and at {lag.mark}: keep one")


def _two_sizes(tree: Node) -> Problem | None:
    """The problem, if there is one, that `hidden` is set beside `match`, which chooses the hidden size itself."""
    hidden, match = tree.child("hidden"), tree.child("match")
    if hidden is None or match is None or match.value is None:
        return None
    path, message = match.origin or joined("base", "match"), f"chooses hidden, also set at {hidden.mark}: keep one"
    return Problem(str(tree.entries["match"].key), path, message)


def with_causes(problem: Problem, failing: list[Settings], levels: Mapping[str, Collection[str]]) -> Problem:
    """The problem, its message extended by the settings that cause it: "... (at cell=lstm)".

    `failing` are the combinations of settings that have the problem. A path of `levels` is named as a cause if some of
    its settings do not occur in `failing`.
    """
    own_path = AXIS_PREFIX.sub("", problem.path).partition("[")[0]
    causes = []
    for path, every in levels.items() if failing else ():
        seen = list(dict.fromkeys(settings[path] for settings in failing if path in settings))
        if path != own_path and 0 < len(seen) < len(every) and all(path in settings for settings in failing):
            causes.append(" or ".join(seen) if len(seen) <= NAMED_LEVELS else f"{len(seen)} levels of {path}")
    return replace(problem, message=problem.message + (f" (at {', '.join(causes)})" if causes else ""))


def _difference(one: Combination, other: Combination) -> tuple[Mark, str]:
    """Position and path of the first level of `one` that differs from `other`; with two grids, of the grid of `one`."""
    if one.grid is other.grid:
        for axis, own, level in zip(one.grid.axes, one.levels, other.levels, strict=True):
            if own != level:
                return axis.levels[own][0].mark, axis.levels[own][0].origin
    return one.grid.mark, one.grid.origin
