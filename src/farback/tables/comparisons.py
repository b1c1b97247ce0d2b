"""Which groups differ: exact tests on the horizons of their seeds."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from farback import stats
from farback.tables.outcomes import By, as_horizons, as_text, check_columns, groups


def comparisons(horizons: pd.DataFrame, within: By = (), paired: bool = False) -> pd.DataFrame:
    """Every pair of groups, compared exactly on the horizons of their seeds, with Holm's correction over the table.

    Args:
        horizons: what `seed_horizons` gives.
        within: columns on which both groups of a pair must agree, so that a smaller family can be declared: fewer pairs
            cost less power.
        paired: compare seed by seed (equal seeds saw equal data).

    Returns:
        a, b (the groups), seeds_a, seeds_b, horizon_a, horizon_b (median over seeds), improvement (probability that a
        seed of `a` gets farther, ties half), p, p_holm.

    Raises:
        ValueError: missing columns, or seeds that differ where pairs are asked for.
    """
    check_columns(horizons, ("seed", "low", "high", *within))
    by = list(horizons.columns[: list(horizons.columns).index("seed")])
    check_columns(horizons.loc[:, by], within)
    rows = []
    for (name_a, part_a), (name_b, part_b) in combinations(groups(horizons, by), 2):
        place_a, place_b = dict(zip(by, name_a, strict=True)), dict(zip(by, name_b, strict=True))
        if any(place_a[column] != place_b[column] for column in within):
            continue
        a, b = part_a.sort_values("seed"), part_b.sort_values("seed")
        names = (as_text(name_a), as_text(name_b))
        if paired and a["seed"].tolist() != b["seed"].tolist():
            raise ValueError(f"{names[0]} and {names[1]} cannot be paired: their seeds differ")
        reach_a, reach_b = as_horizons(a), as_horizons(b)
        result = stats.compare(reach_a, reach_b, paired)
        medians = (str(stats.median_horizon(reach_a)), str(stats.median_horizon(reach_b)))
        rows.append((*names, len(a), len(b), *medians, result.improvement, result.p))
    columns = ["a", "b", "seeds_a", "seeds_b", "horizon_a", "horizon_b", "improvement", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = stats.holm(table["p"].to_numpy(float))
    return table
