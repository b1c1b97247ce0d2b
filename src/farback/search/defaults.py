"""The setting that a search starts from: what its config and farback say of everything that is searched."""

from __future__ import annotations

from dataclasses import replace

from farback.experiment import Group, Search
from farback.experiment.loading import Node
from farback.experiment.space import Dimension, Plain, spelled, value_at


def default_point(search: Search, group: Group) -> dict[str, Plain] | None:
    """The group's default setting as a point of the space, by path as the optimiser has values.

    It is what the group and `base` say of each searched path, or farback's own default where they say nothing; of a
    path with one choice (as `--set` leaves it) that choice. None
    where one of these values is not in the space, or is there only under conditions that do not hold: then the search
    has no default to begin with or to compare with.
    """
    tree, _ = replace(search, space=()).walk(group, lambda one: one.levels[0])
    outside = []

    def choose(one: Dimension) -> Node:
        value = spelled(value_at(tree, one.path) if len(one.levels) > 1 else one.levels[0].plain)
        if not _holds(one, value):
            outside.append(one.path)
            return one.levels[0]
        values[one.path] = value
        return one.node(value)

    values: dict[str, Plain] = {}
    search.walk(group, choose)
    return None if outside else values


def _holds(one: Dimension, value: Plain) -> bool:
    """Whether a value is one of a dimension's."""
    if one.kind == "categorical":
        return any(value == level and type(value) is type(level) for level in one.spelled())
    if isinstance(value, bool) or not isinstance(value, int if one.kind == "int" else int | float):
        return False
    if not one.low <= value <= one.high:
        return False
    steps = (value - one.low) / one.step if one.step and not one.log else 0.0
    return abs(steps - round(steps)) < 1e-9 * max(1.0, abs(steps))
