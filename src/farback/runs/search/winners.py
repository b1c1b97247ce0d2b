"""The best setting of each group, and the trials from fresh seeds that say how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from farback.experiment import Group, Search
from farback.experiment.search_space import Dimension, Plain, scalar, value_at
from farback.experiment.yaml_tree import Node
from farback.trials.trial import Trial


@dataclass(frozen=True)
class Winner:
    """A setting that is reported.

    Attributes:
        group: its label.
        slot: which of the group's budget it is, from 0.
        number: Optuna's, in the group's study: another one each time that it is tried again.
        settings: what the group and the search set, plain values by dotted path.
        value: what the search saw: of the first objective, where there are two.
        values: of every objective.
        base: what a config of it has under `base`.
        trials: the setting from fresh seeds, that no search uses.
        setting: "tuned": the best one; "default": the one that the search began with, whatever it was worth.
    """

    group: str
    slot: int
    number: int
    settings: dict[str, Any]
    value: float
    values: tuple[float, ...]
    base: dict[str, Any] = field(repr=False)
    trials: list[Trial] = field(repr=False)
    setting: Literal["tuned", "default"] = "tuned"


def winners(search: Search, history: pd.DataFrame) -> list[Winner]:
    """The winner of each group, in the order of the groups; of two objectives, each group's Pareto front.

    Groups are compared at equal budgets: where some have done more trials than others (a search that was stopped), as
    many of each count as the group with the fewest has. Equal values: the earlier trial wins.

    Raises:
        RuntimeError: a trial of the search used a seed that the report is to be trained from.
    """
    counted = equal_budgets(search, history)
    found = []
    for group in search.groups:
        own = counted[counted["group"] == group.label]
        complete = own[own["state"] == "complete"]
        for _, row in best(search, complete).iterrows():
            found.append(_winner(search, group, row))
    check_disjoint(found, history)
    return found


def defaults(search: Search, history: pd.DataFrame) -> list[Winner]:
    """The default setting of each group, where the search began with it and it could be trained.

    It is reported on the same fresh seeds as the winner, so that what tuning gave can be told.

    Raises:
        RuntimeError: as `winners`.
    """
    if not search.options.report.default:
        return []
    counted = equal_budgets(search, history)
    found = []
    for group in search.groups:
        first = counted[(counted["group"] == group.label) & (counted["slot"] == 0) & (counted["state"] == "complete")]
        if len(first) and params(search, first.iloc[0]) == default_point(search, group):
            found.append(replace(_winner(search, group, first.iloc[0]), setting="default"))
    check_disjoint(found, history)
    return found


def equal_budgets(search: Search, history: pd.DataFrame) -> pd.DataFrame:
    """The rows that count, of each group as many as of the one with the fewest, in the order of their slots."""
    counted = history[history["counted"]].sort_values("slot", kind="stable")
    sizes = counted.groupby("group").size()
    equal = int(min((sizes.get(group.label, 0) for group in search.groups), default=0))
    return counted[counted.groupby("group").cumcount() < equal]


def best(search: Search, complete: pd.DataFrame) -> pd.DataFrame:
    """The best rows: one, or those that no other beats in both objectives."""
    if complete.empty:
        return complete
    columns = ["value", "value_1"][: len(search.objectives)]
    signs = [1.0 if direction == "maximize" else -1.0 for direction in search.directions]
    points = complete[columns].to_numpy(dtype=float) * np.array(signs)
    if len(columns) == 1:
        return complete.iloc[[int(points[:, 0].argmax())]]
    beaten = [
        any((other >= point).all() and (other > point).any() for other in points)
        or any((points[earlier] == point).all() for earlier in range(index))
        for index, point in enumerate(points)
    ]
    return complete[~np.array(beaten)]


def _winner(search: Search, group: Group, row: pd.Series) -> Winner:
    values = params(search, row)
    scores = tuple(float(row[name]) for name in ["value", "value_1"][: len(search.objectives)])
    trials = [search.trial(group, values, seed) for seed in search.report_seeds]
    base = search.point(group, values).plain
    settings = search.settings(group, values)
    return Winner(group.label, int(row["slot"]), int(row["number"]), settings, scores[0], scores, base, trials)


def params(search: Search, row: pd.Series) -> dict[str, Any]:
    """The parameters of a history's row, as the tracker has them."""
    found: dict[str, Any] = {}
    for one in search.space:
        value = row[f"param.{one.path}"]
        if isinstance(value, float) and np.isnan(value):
            continue  # its conditions did not hold
        found[one.path] = value if one.kind == "categorical" else int(value) if one.kind == "int" else float(value)
    return found


def check_disjoint(found: Sequence[Winner], history: pd.DataFrame) -> None:
    """Refuse to report on a trial that the search saw.

    Raises:
        RuntimeError: it did.
    """
    seen = {key for keys in history["keys"] for key in str(keys).split()}
    both = [trial for winner in found for trial in winner.trials if trial.key in seen]
    if both:
        raise RuntimeError(f"trial {both[0].key} (seed {both[0].seed}) was seen by the search and cannot be reported")


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
        value = scalar(value_at(tree, one.path) if len(one.levels) > 1 else one.levels[0].plain)
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
        return any(value == level and type(value) is type(level) for level in one.scalars())
    if isinstance(value, bool) or not isinstance(value, int if one.kind == "int" else int | float):
        return False
    if not one.low <= value <= one.high:
        return False
    steps = (value - one.low) / one.step if one.step and not one.log else 0.0
    return abs(steps - round(steps)) < 1e-9 * max(1.0, abs(steps))
