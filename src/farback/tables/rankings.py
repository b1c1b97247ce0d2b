"""Rankings of many networks over several problems, with intervals over seeds.

A *problem* is a task at one training lag. Skill puts all problems on one scale: 0 is chance, 1 is perfect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback import stats
from farback.tables.grouping import By, as_frame, as_text, check_columns, check_repeats, groups
from farback.tables.outcomes import at_training_lag

PROBLEM = ("task", "lag")
SIZES = ("hidden", "parameters", "state", "flops")
Group = tuple[Any, ...]


def skills(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The skill of every trial at its training lag; a skill below chance or of a trial that diverged counts as 0.

    A confident network that is wrong has a skill far below 0; how far says nothing about memory.

    Returns:
        by..., task, lag, seed, skill, passed, diverged.
    """
    own = at_training_lag(scores, [*by, *(["task"] if "task" not in by else [])])
    own = own[own["status"] != "implied"]  # lags that bisection did not try have no skill
    check_repeats(own, [*by, "task"])
    whole = own.assign(skill=own["skill"].clip(lower=0.0), diverged=own["status"] == "diverged")
    return whole.loc[:, [*by, *PROBLEM, "seed", "skill", "passed", "diverged"]]


def ranking(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The groups sorted by the interquartile mean of their skills over all problems, the best first.

    Returns:
        by..., problems, trials, iqm, low, high (95 %, stratified bootstrap over the seeds of each problem), mean,
        successes, diverged.
    """
    table = skills(scores, by)
    parts, strata = dict(groups(table, by)), _strata(table, by)
    rows = []
    for group in _order(strata):
        part, interval = parts[group], stats.stratified_bootstrap(strata[group])
        skill = part["skill"].to_numpy(float)
        counts = (int(part["passed"].sum()), int(part["diverged"].sum()))
        rows.append((*group, len(strata[group]), len(part), stats.iqm(skill), *interval, float(skill.mean()), *counts))
    columns = (*by, "problems", "trials", "iqm", "low", "high", "mean", "successes", "diverged")
    return as_frame(rows, columns, table, by)


def improvements(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """For every ordered pair of groups: the probability that a run of `a` beats a run of `b`, averaged over problems.

    Returns:
        a, b (the groups, both in the order of `ranking`), probability, low, high (95 %, stratified bootstrap).
    """
    strata = _strata(skills(scores, by), by)
    order = _order(strata)
    pairs: dict[tuple[Group, Group], tuple[float, float, float]] = {}
    for a, b in combinations(order, 2):
        result = stats.improvement(strata[a], strata[b])
        pairs[a, b] = (result.probability, result.low, result.high)
        pairs[b, a] = (1 - result.probability, 1 - result.high, 1 - result.low)
    rows = [(as_text(a, by), as_text(b, by), *pairs[a, b]) for a, b in permutations(order, 2)]
    return pd.DataFrame(rows, columns=["a", "b", "probability", "low", "high"])


def _order(strata: Mapping[Group, Sequence[NDArray[np.float64]]]) -> list[Group]:
    """The groups sorted by the interquartile mean of their skills, the best first; ties by the mean, then by name."""
    runs = {group: np.concatenate(own) for group, own in strata.items()}
    return sorted(strata, key=lambda group: (-stats.iqm(runs[group]), -float(runs[group].mean()), str(group)))


def _strata(table: pd.DataFrame, by: By) -> dict[Group, list[NDArray[np.float64]]]:
    """The skills of each group on each problem, problems sorted by name and lag."""
    problems = sorted(set(table.loc[:, list(PROBLEM)].itertuples(index=False, name=None)))
    strata: dict[Group, list[NDArray[np.float64]]] = {}
    for group, part in groups(table, by):
        runs = {problem: own["skill"].to_numpy(float) for problem, own in groups(part, PROBLEM)}
        missing = [f"{task} at lag {lag}" for task, lag in problems if (task, lag) not in runs]
        if missing:
            what = f"{as_text(group, by)} was not trained on {missing[0]}"
            raise ValueError(f"{what}: in a ranking every group must be trained on the same problems")
        strata[group] = [runs[problem] for problem in problems]
    return strata


def sizes(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The sizes of each group's networks on each task; sizes depend on the task's numbers of inputs and outputs.

    Returns:
        by..., task, hidden, parameters, state, flops: a row for each size that occurs, in the order of the groups.
    """
    columns = list(dict.fromkeys([*by, "task", *SIZES]))
    check_columns(scores, columns)
    return scores.drop_duplicates("key").loc[:, columns].drop_duplicates().sort_values(columns, ignore_index=True)
