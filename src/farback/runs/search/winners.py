"""The best setting of each group, with trials on fresh seeds that measure how good it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any, Literal

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from farback.experiment import Group, Search
from farback.experiment.search_space import Dimension, Plain, scalar, value_at
from farback.experiment.yaml_tree import Node
from farback.system.project import plain_name, with_digest
from farback.trials.trial import Trial

VALUES = ("value", "value_1")  # columns of a history: the objectives
SEARCH_CHARACTERS, GROUP_CHARACTERS = 28, 24  # in the name of a winner's config, which has at most 64


@dataclass(frozen=True)
class Winner:
    """A setting that is reported.

    Attributes:
        group: label of the group.
        slot: the setting's place in the group's budget, from 0.
        number: Optuna's trial number in the group's study; it changes if the setting is tried again.
        settings: what the group and the search set: plain values by dotted path.
        value: the first objective, as measured in the search.
        values: every objective, as measured in the search.
        base: the setting as `base:` of a config.
        trials: trials of the setting on fresh seeds, which no search uses.
        setting: "tuned": the best one; "default": the one that the search began with.
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
    """The winner of each group, in the order of the groups; with two objectives, each group's Pareto front.

    Groups are compared at equal budgets: if a search was stopped and some groups have done more trials than others, as
    many trials of each group count as the group with the fewest has. Of equal values the earlier trial wins.

    Raises:
        RuntimeError: the search used a seed that is reserved for the report.
    """
    counted = equal_budgets(search, history)
    found = []
    for group in search.groups:
        complete = counted[(counted["group"] == group.label) & (counted["state"] == "complete")]
        found += [_winner(search, group, row) for _, row in best(search, complete).iterrows()]
    check_disjoint(found, history)
    return found


def defaults(search: Search, history: pd.DataFrame) -> list[Winner]:
    """The default setting of each group, if the search began with it and could train it.

    It is reported on the same fresh seeds as the winner, to show what tuning gained.

    Raises:
        RuntimeError: as in `winners`.
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
    """The rows that count, sorted by slot: from each group as many as the group with the fewest has."""
    counted = history[history["counted"]].sort_values("slot", kind="stable")
    sizes = counted.groupby("group").size()
    fewest = int(min((sizes.get(group.label, 0) for group in search.groups), default=0))
    return counted[counted.groupby("group").cumcount() < fewest]


def best(search: Search, complete: pd.DataFrame) -> pd.DataFrame:
    """The best row; with two objectives, the rows that no other row beats in both."""
    if complete.empty:
        return complete
    signs = [1.0 if direction == "maximize" else -1.0 for direction in search.directions]
    points = complete[[*VALUES[: len(signs)]]].to_numpy(dtype=float) * np.array(signs)
    if len(signs) == 1:
        return complete.iloc[[int(points[:, 0].argmax())]]
    beaten = [
        any((other >= point).all() and (other > point).any() for other in points)
        or any((points[earlier] == point).all() for earlier in range(index))
        for index, point in enumerate(points)
    ]
    return complete[~np.array(beaten)]


def _winner(search: Search, group: Group, row: pd.Series) -> Winner:
    values = params(search, row)
    objectives = tuple(float(row[name]) for name in VALUES[: len(search.objectives)])
    return Winner(
        group=group.label,
        slot=int(row["slot"]),
        number=int(row["number"]),
        settings=search.settings(group, values),
        value=objectives[0],
        values=objectives,
        base=search.point(group, values).plain,
        trials=[search.trial(group, values, seed) for seed in search.report_seeds],
    )


def params(search: Search, row: pd.Series) -> dict[str, Any]:
    """The parameters in a row of a history, by path, as Optuna has them."""
    values: dict[str, Any] = {}
    for one in search.space:
        value = row[f"param.{one.path}"]
        if isinstance(value, float) and np.isnan(value):
            continue  # its conditions did not hold
        values[one.path] = value if one.kind == "categorical" else int(value) if one.kind == "int" else float(value)
    return values


def check_disjoint(found: Sequence[Winner], history: pd.DataFrame) -> None:
    """Check that no trial of the report was trained during the search. Raises RuntimeError: one was."""
    seen = {key for keys in history["keys"] for key in str(keys).split()}
    for trial in [trial for winner in found for trial in winner.trials if trial.key in seen]:
        raise RuntimeError(f"trial {trial.key} (seed {trial.seed}) was trained by the search and cannot be reported")


def default_point(search: Search, group: Group) -> dict[str, Plain] | None:
    """The group's default setting as a point of the space: values by path, as Optuna has them.

    A value is what the group or `base` sets, else farback's default; a path with a single choice (as `--set` makes one)
    has that choice. None if a value is not in the space, or is in it only under conditions that do not hold.
    """
    tree, _ = replace(search, space=()).walk(group, lambda one: one.levels[0])
    values: dict[str, Plain] = {}
    outside = []

    def choose(one: Dimension) -> Node:
        value = scalar(value_at(tree, one.path) if len(one.levels) > 1 else one.levels[0].plain)
        if not _contains(one, value):
            outside.append(one.path)
            return one.levels[0]
        values[one.path] = value
        return one.node(value)

    search.walk(group, choose)
    return None if outside else values


def _contains(one: Dimension, value: Plain) -> bool:
    """Whether a value is among the choices of a dimension, or in its range and a whole number of steps from `low`."""
    if one.kind == "categorical":
        return any(value == level and type(value) is type(level) for level in one.scalars())
    if isinstance(value, bool) or not isinstance(value, int if one.kind == "int" else int | float):
        return False
    if not one.low <= value <= one.high:
        return False
    steps = (value - one.low) / one.step if one.step and not one.log else 0.0
    return abs(steps - round(steps)) < 1e-9 * max(1.0, abs(steps))


def winner_configs(search: Search, found: Sequence[Winner]) -> dict[str, str]:
    """The text of each winner's config, by file name."""
    texts = {}
    for winner, name in zip(found, _names(search, found), strict=True):
        question = f"What does the best setting of {winner.group or search.name} in {search.name} do?"
        sweep = [{"seed": {"range": len(search.report_seeds)}}]
        text = StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        yaml.width = 10_000
        yaml.dump({"question": question, "base": winner.base, "sweep": sweep}, text)
        values = ", ".join(f"{number:.6g}" for number in winner.values)
        objectives = " and ".join(str(objective) for objective in search.objectives)
        head = f"# The best of {search.name}, trial {winner.slot}: {objectives} {values} while it was searched.\n"
        texts[f"{name}.yaml"] = head + text.getvalue()
    return texts


def _names(search: Search, found: Sequence[Winner]) -> list[str]:
    """The names of the winners' configs: SEARCH-winner-GROUP, with the slot if a group has several.

    Each has a results folder and an MLflow experiment of its own, so no two searches may give the same name.
    """
    folder, groups = search.results_folder.name, [winner.group for winner in found]
    is_exact = plain_name(folder) == folder and len(folder) <= SEARCH_CHARACTERS
    start = folder if is_exact else with_digest(folder, SEARCH_CHARACTERS)
    labels = {group.label: plain_name(group.label.lower()) for group in search.groups}
    plain = Counter(labels.values())
    for label, text in labels.items():
        if len(text) > GROUP_CHARACTERS or plain[text] > 1:
            labels[label] = with_digest(label, GROUP_CHARACTERS)
    names: list[str] = []
    for winner in found:
        slot = str(winner.slot) if groups.count(winner.group) > 1 else ""
        names.append("-".join(part for part in (start, "winner", labels[winner.group], slot) if part))
    return names
