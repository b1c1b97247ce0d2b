"""Many networks on several problems: who is ahead, and by how much more than other seeds would move it.

A *problem* is a task at the lag that was trained at. Skill puts all problems on one scale: 0 is chance, 1 is perfect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback import stats
from farback.tables.outcomes import By, as_frame, as_text, check_columns, check_repeats, groups, trained_at

PROBLEM = ("task", "lag")
SIZES = ("hidden", "parameters", "state", "flops")
Group = tuple[Any, ...]


def skills(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The skill of every trial at its own lag, worse than chance counting as chance.

    A confidently wrong network has a skill far below 0, which says nothing about memory; a diverged one has 0.

    Returns:
        by..., task, lag, seed, skill, passed, diverged.

    Raises:
        ValueError: missing columns or rows, or two trials of one group, problem and seed.
    """
    own = trained_at(scores, [*by, *(["task"] if "task" not in by else [])])
    own = own[own["status"] != "implied"]  # what bisection did not train has no skill
    check_repeats(own, [*by, "task"])
    whole = own.assign(skill=own["skill"].clip(lower=0.0), diverged=own["status"] == "diverged")
    return whole.loc[:, [*by, *PROBLEM, "seed", "skill", "passed", "diverged"]]


def ranking(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """Groups by the interquartile mean of their skills over all problems, the best first.

    Returns:
        by..., problems, trials, iqm, low, high (95 %, stratified bootstrap over the seeds of each problem), mean,
        successes, diverged.

    Raises:
        ValueError: as `skills`, or a group that was not trained on every problem.
    """
    table = skills(scores, by)
    strata, problems = _strata(table, by)
    rows = []
    parts = dict(groups(table, by))
    for group in _order(strata):
        part, interval = parts[group], stats.stratified_bootstrap(strata[group])
        skill = part["skill"].to_numpy(float)
        counts = (int(part["passed"].sum()), int(part["diverged"].sum()))
        rows.append((*group, len(problems), len(part), stats.iqm(skill), *interval, float(skill.mean()), *counts))
    columns = (*by, "problems", "trials", "iqm", "low", "high", "mean", "successes", "diverged")
    return as_frame(rows, columns, table, by)


def improvements(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """For every ordered pair of groups: how likely a run of `a` beats one of `b`, averaged over problems.

    Returns:
        a, b (the groups, both in the order of `ranking`), probability, low, high (95 %, stratified bootstrap).

    Raises:
        ValueError: as `ranking`.
    """
    strata, _ = _strata(skills(scores, by), by)
    order = _order(strata)
    found: dict[tuple[Group, Group], stats.Improvement] = {}
    for a, b in combinations(order, 2):
        found[a, b] = ahead = stats.improvement(strata[a], strata[b])
        found[b, a] = stats.Improvement(1 - ahead.probability, 1 - ahead.high, 1 - ahead.low)
    rows = [
        (as_text(a), as_text(b), found[a, b].probability, found[a, b].low, found[a, b].high)
        for a, b in permutations(order, 2)
    ]
    return pd.DataFrame(rows, columns=["a", "b", "probability", "low", "high"])


def _order(strata: Mapping[Group, Sequence[NDArray[np.float64]]]) -> list[Group]:
    """Groups by the interquartile mean of their skills, the best first; ties by the mean, then by name."""
    runs = {group: np.concatenate(own) for group, own in strata.items()}
    return sorted(strata, key=lambda group: (-stats.iqm(runs[group]), -float(runs[group].mean()), as_text(group)))


def _strata(table: pd.DataFrame, by: By) -> tuple[dict[Group, list[NDArray[np.float64]]], list[Group]]:
    """The skills of each group on each problem, in one order of problems."""
    problems = sorted(set(table.loc[:, list(PROBLEM)].itertuples(index=False, name=None)))
    strata: dict[Group, list[NDArray[np.float64]]] = {}
    for group, part in groups(table, by):
        runs = {problem: own["skill"].to_numpy(float) for problem, own in groups(part, PROBLEM)}
        missing = [f"{task} at lag {lag}" for task, lag in problems if (task, lag) not in runs]
        if missing:
            raise ValueError(f"{as_text(group)} was not trained on {missing[0]}: a ranking needs the same problems")
        strata[group] = [runs[problem] for problem in problems]
    return strata, problems


def sizes(scores: pd.DataFrame, by: By = ("label",), over: Sequence[str] = ("task",)) -> pd.DataFrame:
    """How large the networks of each group are, for each task: its inputs and outputs are part of their size.

    Returns:
        by..., over..., hidden, parameters, state, flops: a row for each size that occurs, in the order of the groups.

    Raises:
        ValueError: missing columns.
    """
    columns = list(dict.fromkeys([*by, *over, *SIZES]))
    check_columns(scores, columns)
    found = scores.drop_duplicates("key").loc[:, columns].drop_duplicates()
    return found.sort_values(columns, ignore_index=True)
