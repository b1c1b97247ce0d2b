"""Which groups are trained farther back: a posterior probability for each pair, and on a grid an exact test."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback import stats
from farback.stats.psychometric import MARGIN
from farback.tables.grouping import By, as_text, check_columns, groups
from farback.tables.horizon_estimates import HalfWay, half_way
from farback.tables.outcomes import at_training_lag

QUANTILES = 1000  # of each posterior


def comparisons(scores: pd.DataFrame, by: By = ("label",), within: By = ()) -> pd.DataFrame:
    """Every pair of groups of trainings at one lag each, compared by their half-way lags.

    `farther` is the probability that half of fresh seeds succeed up to a longer lag in `a` than in `b`, from the
    posteriors of both psychometric curves. If both half-way lags lie more than half an octave beyond the lags tried, so
    that their order is unknown, this counts half.

    `p` is the exact permutation test of the number of lags at which each seed succeeds, with ties. It needs a grid:
    all seeds of both groups were trained at the same lags. Where they were not, as in an adaptive sweep, p is nan.

    Args:
        within: compare only groups that agree in these columns; the fewer tests, the smaller Holm's correction.

    Returns:
        a, b (the groups), trainings_a, trainings_b, horizon_a, horizon_b (text), seeds_a, seeds_b, farther, p, p_holm
        (Holm's correction over the table).
    """
    own = at_training_lag(scores, by)
    check_columns(own.loc[:, list(by)], within)
    found = [(group, part, half_way(part)) for group, part in groups(own, by)]
    rows = []
    for (name_a, part_a, a), (name_b, part_b, b) in combinations(found, 2):
        if any(name_a[by.index(column)] != name_b[by.index(column)] for column in within):
            continue
        counts = (len(part_a), len(part_b), str(a.horizon), str(b.horizon))
        seeds = (part_a["seed"].nunique(), part_b["seed"].nunique())
        rows.append(
            (as_text(name_a, by), as_text(name_b, by), *counts, *seeds, _farther(a, b), _grid_p(part_a, part_b))
        )
    columns = ["a", "b", "trainings_a", "trainings_b", "horizon_a", "horizon_b", "seeds_a", "seeds_b", "farther", "p"]
    table = pd.DataFrame(rows, columns=columns).astype({"farther": float, "p": float})
    tested = table["p"].notna()
    table.loc[tested, "p_holm"] = stats.holm(table.loc[tested, "p"].to_numpy(float))
    return table.assign(p_holm=table["p_holm"].astype(float))


def _farther(a: HalfWay, b: HalfWay) -> float:
    """The posterior probability that the half-way lag of `a` is the longer one; nan without a lag above 0."""
    if a.fit is None or b.fit is None:
        return math.nan
    (low_A, high_A), (low_B, high_B) = _ends(a, a.fit), _ends(b, b.fit)
    above = (low_A[:, None] >= high_B).astype(float) - (high_A[:, None] <= low_B)
    return float(0.5 + above.mean() / 2)


def _ends(own: HalfWay, fit: stats.Psychometric) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Equally probable half-way lags (log2): each is itself, or known to lie far beyond an end of the lags tried."""
    octave = fit.posterior.quantiles((np.arange(QUANTILES) + 0.5) / QUANTILES)
    first, last = math.log2(own.horizon.smallest) - MARGIN, math.log2(own.horizon.largest) + MARGIN
    low = np.where(octave > last, last, np.where(octave < first, -np.inf, octave))
    high = np.where(octave > last, np.inf, np.where(octave < first, first, octave))
    return low, high


def _grid_p(a: pd.DataFrame, b: pd.DataFrame) -> float:
    """The exact test of the numbers of lags passed by each seed; nan if not all seeds were trained at the same lags."""
    lags = set(a["lag"]) | set(b["lag"])
    tried = pd.concat([part.groupby("seed")["lag"].nunique() for part in (a, b)])
    if (tried < len(lags)).any():
        return math.nan
    passed_a, passed_b = (part.groupby("seed")["passed"].sum().to_numpy(float) for part in (a, b))
    return stats.compare(passed_a, passed_b).p
