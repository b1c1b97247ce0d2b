"""Which groups differ: exact tests on the horizons of their seeds."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from farback import stats
from farback.tables.grouping import By, as_text, check_columns, groups
from farback.tables.outcomes import as_horizons


def comparisons(horizons: pd.DataFrame, within: By = ()) -> pd.DataFrame:
    """Every pair of groups of `seed_horizons`, compared exactly, with Holm's correction over the table.

    Args:
        within: compare only groups that agree in these columns; the fewer tests, the smaller Holm's correction.

    Returns:
        a, b (the groups), seeds_a, seeds_b, horizon_a, horizon_b (median over seeds), improvement (probability that a
        seed of `a` has the longer horizon, ties counting half), p, p_holm.
    """
    check_columns(horizons, ("seed", "low", "high", *within))
    by = list(horizons.columns[: list(horizons.columns).index("seed")])
    check_columns(horizons.loc[:, by], within)
    rows = []
    for (group_a, part_a), (group_b, part_b) in combinations(groups(horizons, by), 2):
        if any(group_a[by.index(column)] != group_b[by.index(column)] for column in within):
            continue
        a, b = as_horizons(part_a), as_horizons(part_b)
        result = stats.compare(a, b)
        medians = (str(stats.median_horizon(a)), str(stats.median_horizon(b)))
        rows.append(
            (as_text(group_a, by), as_text(group_b, by), len(a), len(b), *medians, result.improvement, result.p)
        )
    columns = ["a", "b", "seeds_a", "seeds_b", "horizon_a", "horizon_b", "improvement", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=stats.holm(table["p"].to_numpy(float)))
