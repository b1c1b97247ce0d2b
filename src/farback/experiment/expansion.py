"""Every combination of a sweep becomes a frozen trial before anything runs, or a problem that says where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import ValidationError

from farback.experiment.errors import Located, echoes, located
from farback.experiment.grids import Axis, Grid, setting
from farback.experiment.problems import Mark, Problem, joined
from farback.experiment.yaml_tree import Entry, Node
from farback.trials.trial import Trial

AXES_MAY_MEND = ("missing", "union_tag_not_found", "value_error")  # errors of a base that a sweep completes
NAMED_LEVELS = 3  # of an axis, in "at lag=5 or lag=10"


def expanded(base: Entry, grids: Iterable[Grid], problems: list[Problem]) -> list[tuple[Trial, ...]]:
    """The trials of each grid, in order. What is wrong goes into `problems`, each thing once.

    The base is looked at by itself too, for a mistake in a value that every grid replaces would go unseen.
    """
    findings: dict[Located, _Finding] = {}
    made: list[tuple[Trial, ...]] = []
    first: dict[Trial, tuple[Grid, tuple[int, ...]]] = {}
    twice: dict[tuple[str, str], _Twice] = {}
    for grid in grids:
        trials, lags = [], grid.bracket
        for combination in grid.combinations():
            trial = _trial(base, grid, combination, findings)
            if trial is None:
                continue
            trials.append(trial.picked(lags) if lags else trial)
            seen = first.setdefault(trial, (grid, combination))
            if seen != (grid, combination):
                pair = _Twice(seen, (grid, combination))
                twice.setdefault((pair.earlier.location, pair.later.location), pair).count += 1
        made.append(tuple(trials))
    _trial(base, Grid(base.key, "base", ()), (), findings, partial=True)
    problems += [findings[found].problem(found) for found in sorted(findings, key=_order)]
    problems += [pair.problem() for pair in twice.values()]
    return made


def _order(found: Located) -> tuple[str, int, int]:
    return found.mark.source, found.mark.line, found.mark.column


def _trial(
    base: Entry, grid: Grid, combination: tuple[int, ...], findings: dict[Located, _Finding], partial: bool = False
) -> Trial | None:
    made = validated(grid.tree(base.node, combination), base.key, Located(grid.mark, grid.origin, ""), partial)
    if isinstance(made, Trial):
        return made
    for found in made:
        findings.setdefault(found, _Finding(grid)).add(grid, combination)
    return None


def validated(tree: Node, key: Mark, whole: Located, partial: bool = False) -> Trial | list[Located]:
    """The trial that a tree describes, or what is wrong with it.

    Args:
        tree: the base with settings in their places.
        key: where the base begins.
        whole: mark and path for an error of the trial as a whole.
        partial: whether more settings will complete it.
    """
    twice = _two_lags(tree) or _two_sizes(tree)
    if twice:
        return [twice]
    try:
        return Trial.model_validate(tree.plain)
    except ValidationError as failure:
        errors = failure.errors(include_url=False)
        own = [error for error in errors if not echoes(error, tree)]
        counted = [error for error in own or errors if not (partial and error["type"] in AXES_MAY_MEND)]
        return [located(error, tree, key, whole) for error in counted]


def _two_lags(tree: Node) -> Located | None:
    """The lag may stand on the trial or on its task: on both, one of them would silently win."""
    task = tree.entries["task"].node.entries if "task" in tree.entries else {}
    if "lag" not in task or "lag" not in tree.entries or task["lag"].node.plain == tree.entries["lag"].node.plain:
        return None
    path = task["lag"].node.origin or joined("base", "task", "lag")
    other = tree.entries["lag"].node.mark
    return Located(task["lag"].node.mark, path, f"the lag is given twice, here and at {other}: keep one")


def _two_sizes(tree: Node) -> Located | None:
    """Matching chooses the hidden size: where both are written, one of them would silently win."""
    if "hidden" not in tree.entries or "match" not in tree.entries or tree.entries["match"].node.value is None:
        return None
    key, node = tree.entries["match"]
    other = tree.entries["hidden"].node.mark
    return Located(key, node.origin or joined("base", "match"), f"chooses hidden, given at {other}: keep one of them")


@dataclass
class _Finding:
    """The combinations of a grid, the first that has it, in which an error occurs."""

    grid: Grid
    levels: list[set[int]] = field(default_factory=list)

    def add(self, grid: Grid, combination: tuple[int, ...]) -> None:
        if grid is not self.grid:
            return
        self.levels = self.levels or [set() for _ in combination]
        for met, level in zip(self.levels, combination, strict=False):
            met.add(level)

    def problem(self, found: Located) -> Problem:
        """With the levels that it takes, where not every combination has it."""
        takes = [
            _any_of(axis, sorted(met))
            for axis, met in zip(self.grid.axes, self.levels, strict=False)
            if len(met) < len(axis.levels) and not _within(found.path, axis)
        ]
        return Problem(str(found.mark), found.path, found.message + (f" (at {', '.join(takes)})" if takes else ""))


def _within(path: str, axis: Axis) -> bool:
    """Whether a problem stands in an axis, which then need not be named."""
    origins = [re.escape(level.origin.removesuffix("[0]")) for level in axis.levels[0]]
    return any(re.match(rf"{origin}($|\[)", path) for origin in origins)


def _any_of(axis: Axis, levels: list[int]) -> str:
    if len(levels) > NAMED_LEVELS:
        return f"{len(levels)} levels of {axis.path}"
    named = [zip(axis.paths, axis.levels[level], strict=True) for level in levels]
    return " or ".join(", ".join(setting(path, value) for path, value in pairs) for pairs in named)


@dataclass
class _Made:
    """One of two combinations that make the same trial."""

    grid: Grid
    combination: tuple[int, ...]
    axis: int | None

    @property
    def mark(self) -> Mark:
        """The level that is one too many, or the grid."""
        if self.axis is None:
            return self.grid.mark
        return self.grid.axes[self.axis].levels[self.combination[self.axis]][0].mark

    @property
    def location(self) -> str:
        return str(self.mark)


class _Twice:
    """Pairs of combinations that make the same trial, for the same reason."""

    def __init__(self, earlier: tuple[Grid, tuple[int, ...]], later: tuple[Grid, tuple[int, ...]]) -> None:
        differ = None
        if earlier[0] is later[0]:
            differ = next(index for index, (a, b) in enumerate(zip(earlier[1], later[1], strict=True)) if a != b)
        self.earlier, self.later = _Made(*earlier, differ), _Made(*later, differ)
        self.count = 0

    def problem(self) -> Problem:
        """Both, by their settings and their places."""
        more = f"; and {self.count - 1} more pairs like this" if self.count > 1 else ""
        names = [made.grid.settings(made.combination) or "the base alone" for made in (self.earlier, self.later)]
        message = f"the same trial twice: {names[1]} is also made by {names[0]} at {self.earlier.location}{more}"
        grid, axis = self.later.grid, self.later.axis
        path = grid.origin if axis is None else grid.axes[axis].levels[self.later.combination[axis]][0].origin
        return Problem(self.later.location, path, message)
