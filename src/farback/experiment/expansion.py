"""Makes a trial from every combination of a sweep, or reports what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from farback.experiment.errors import problem, repeats_train_lags
from farback.experiment.grids import Axis, Grid, spelled, with_settings
from farback.experiment.problems import Mark, Problem, Problems, joined
from farback.experiment.yaml_tree import KeyValue, Node
from farback.trials.trial import Trial

AXES_MAY_FIX = ("missing", "union_tag_not_found", "value_error")  # errors of a base that the axes of a sweep may fix
NAMED_LEVELS = 3  # of an axis, in "at lag=5 or lag=10"


@dataclass(frozen=True)
class Combination:
    """One level of each axis of a grid, and the trial that they make."""

    grid: Grid
    levels: tuple[int, ...]

    def __str__(self) -> str:
        settings = [spelled(path, value) for path, _, value in self.grid.settings(self.levels)]
        return ", ".join(settings) or "the base alone"


def expanded(base: KeyValue, grids: Iterable[Grid], problems: Problems) -> list[tuple[Trial, ...]]:
    """The trials of each grid, in order. Each problem is added to `problems` once.

    The base is also checked alone, because a mistake in a value that every grid replaces would otherwise go unnoticed.
    """
    failed: dict[Problem, list[Combination]] = {}
    trials_of_grids: list[tuple[Trial, ...]] = []
    first: dict[Trial, Combination] = {}
    repeated: dict[tuple[Mark, Mark], list[tuple[Combination, Combination]]] = {}
    for grid in grids:
        trials = []
        for levels in grid.combinations():
            here = Combination(grid, levels)
            made = validated(with_settings(base.node, grid.settings(levels)), base.key, (grid.mark, grid.origin))
            if not isinstance(made, Trial):
                for each in made:
                    failed.setdefault(each, []).append(here)
                continue
            trials.append(made.picked(grid.bracket) if grid.bracket else made)
            earlier = first.setdefault(made, here)
            if earlier is not here:
                places = _difference(earlier, here)[0], _difference(here, earlier)[0]
                repeated.setdefault(places, []).append((earlier, here))
        trials_of_grids.append(tuple(trials))
    alone = validated(base.node, base.key, (base.key, "base"), partial=True)
    for each in alone if isinstance(alone, list) else ():
        failed.setdefault(each, [])
    problems += [_with_levels(each, where) for each, where in failed.items()]
    for (mark, later_mark), pairs in repeated.items():
        earlier, later = pairs[0]
        more = f"; and {len(pairs) - 1} more pairs like this" if len(pairs) > 1 else ""
        message = f"the same trial twice: {later} is also made by {earlier} at {mark}{more}"
        problems.add(later_mark, _difference(later, earlier)[1], message)
    return trials_of_grids


def validated(tree: Node, key: Mark, whole: tuple[Mark, str], partial: bool = False) -> Trial | list[Problem]:
    """The trial that a tree describes, or its problems.

    Args:
        tree: the base with all settings inserted.
        key: where the base begins.
        whole: position and path for an error of the trial as a whole.
        partial: whether more settings will be inserted, so that missing ones are no problem yet.
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


def _two_lags(tree: Node) -> Problem | None:
    """The problem of two different lags, on the trial and on its task: one of them would be ignored."""
    task, lag = tree.child("task"), tree.child("lag")
    inner = task.child("lag") if task else None
    if inner is None or lag is None or inner.plain == lag.plain:
        return None
    path = inner.origin or joined("base", "task", "lag")
    return Problem(str(inner.mark), path, f"the lag is given twice, here and at {lag.mark}: keep one")


def _two_sizes(tree: Node) -> Problem | None:
    """The problem of a hidden size beside `match`, which chooses the hidden size: one of them would be ignored."""
    hidden, match = tree.child("hidden"), tree.child("match")
    if hidden is None or match is None or match.value is None:
        return None
    path, message = match.origin or joined("base", "match"), f"chooses hidden, given at {hidden.mark}: keep one of them"
    return Problem(str(tree.entries["match"].key), path, message)


def _with_levels(each: Problem, where: list[Combination]) -> Problem:
    """The problem with the levels that cause it, unless every combination of the first such grid does."""
    grid = where[0].grid if where else None
    causes = []
    for index, axis in enumerate(grid.axes if grid else ()):
        levels = sorted({one.levels[index] for one in where if one.grid is grid})
        if len(levels) < len(axis.levels) and not _contains(axis, each.path):
            causes.append(_any_of(axis, levels))
    return Problem(each.location, each.path, each.message + (f" (at {', '.join(causes)})" if causes else ""))


def _contains(axis: Axis, path: str) -> bool:
    """Whether a path lies in an axis, which then need not be named."""
    origins = [re.escape(level.origin.removesuffix("[0]")) for level in axis.levels[0]]
    return any(re.match(rf"{origin}($|\[)", path) for origin in origins)


def _any_of(axis: Axis, levels: list[int]) -> str:
    if len(levels) > NAMED_LEVELS:
        return f"{len(levels)} levels of {axis.path}"
    named = [zip(axis.paths, axis.levels[level], strict=True) for level in levels]
    return " or ".join(", ".join(spelled(path, value) for path, value in pairs) for pairs in named)


def _difference(one: Combination, other: Combination) -> tuple[Mark, str]:
    """Position and path of the first level in which a combination differs from another of its grid; else its grid."""
    if one.grid is other.grid:
        for axis, own, level in zip(one.grid.axes, one.levels, other.levels, strict=True):
            if own != level:
                return axis.levels[own][0].mark, axis.levels[own][0].origin
    return one.grid.mark, one.grid.origin
