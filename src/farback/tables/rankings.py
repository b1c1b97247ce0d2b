"""Rankings of many networks over several problems, with intervals over problems and seeds.

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
from farback.tables.outcomes import at_training_lag, check_one_protocol, judged

PROBLEM = ("task", "lag")
SIZES = ("hidden", "parameters", "state", "flops")
Group = tuple[Any, ...]


def skills(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The skill of every trial at its training lag; a skill below chance or of a trial that diverged counts as 0.

    A confident network that is wrong has a skill far below 0; how far says nothing about memory.

    Returns:
        by..., task, lag, seed, skill, passed, diverged.

    Raises:
        ValueError: trials that were trained with a curriculum of lags beside others; they have no one training lag.
    """
    check_one_protocol(judged(scores))
    own = at_training_lag(scores, [*by, *(["task"] if "task" not in by else [])])
    check_repeats(own, [*by, "task"])
    whole = own.assign(skill=own["skill"].clip(lower=0.0), diverged=own["status"] == "diverged")
    return whole.loc[:, [*by, *PROBLEM, "seed", "skill", "passed", "diverged"]]


def ranking(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The groups sorted by their mean skill over the problems, the best first; every problem has the same weight.

    No problem is trimmed away: an interquartile mean over problems and seeds would drop the worst of four problems.
    Intervals (95 %, `stats.two_stage_bootstrap`) cover other seeds and other problems of the same kind; with fewer than
    ten problems they are too narrow.

    Returns:
        by..., problems, trials, mean, low, high (skill, mean over problems of the mean over seeds), worst, worst_low,
        worst_high, worst_problem (the smallest mean over seeds of a problem, and its name), solved, solved_low,
        solved_high (share of trials that succeed, mean over problems; the interval has Wilson's within it), successes,
        diverged.
    """
    table = skills(scores, by)
    parts, strata, passes = dict(groups(table, by)), _strata(table, by), _strata(table, by, "passed")
    problems = _problems(table)
    rows = []
    for group in _order(strata):
        part, own, passed = parts[group], strata[group], passes[group]
        mean_K, solved = np.array([runs.mean() for runs in own]), float(np.mean([runs.mean() for runs in passed]))
        task, lag = problems[int(mean_K.argmin())]
        rows.append(
            (
                *(*group, len(own), len(part)),
                *(float(mean_K.mean()), *stats.two_stage_bootstrap(own)),
                *(float(mean_K.min()), *stats.two_stage_bootstrap(own, np.min), f"{task}, lag {lag}"),
                *(solved, *_solved_interval(passed)),
                *(int(part["passed"].sum()), int(part["diverged"].sum())),
            )
        )
    numbers = ("mean", "low", "high", "worst", "worst_low", "worst_high", "worst_problem")
    columns = (*by, "problems", "trials", *numbers, "solved", "solved_low", "solved_high", "successes", "diverged")
    return as_frame(rows, columns, table, by)


def improvements(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """For every ordered pair of groups: the probability that a run of `a` beats a run of `b`, averaged over problems.

    Returns:
        a, b (the groups, both in the order of `ranking`), probability, low, high (95 %, two-stage bootstrap).
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


def _solved_interval(passes: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """The two-stage interval of a share, joined with Wilson's: resamples of equal values have no width."""
    low, high = stats.two_stage_bootstrap(passes)
    least, most = stats.wilson(int(sum(own.sum() for own in passes)), sum(map(len, passes)))
    return min(low, least), max(high, most)


def _order(strata: Mapping[Group, Sequence[NDArray[np.float64]]]) -> list[Group]:
    """The groups sorted by the mean over problems, the best first; ties by the worst problem, then by name."""
    means = {group: [float(runs.mean()) for runs in own] for group, own in strata.items()}
    return sorted(strata, key=lambda group: (-float(np.mean(means[group])), -min(means[group]), str(group)))


def _problems(table: pd.DataFrame) -> list[tuple[str, int]]:
    """The problems sorted by name and lag."""
    return sorted(set(table.loc[:, list(PROBLEM)].itertuples(index=False, name=None)))


def _strata(table: pd.DataFrame, by: By, column: str = "skill") -> dict[Group, list[NDArray[np.float64]]]:
    """The skills (or another column) of each group on each problem, in the order of `_problems`."""
    problems = _problems(table)
    strata: dict[Group, list[NDArray[np.float64]]] = {}
    for group, part in groups(table, by):
        runs = {problem: own[column].to_numpy(float) for problem, own in groups(part, PROBLEM)}
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
