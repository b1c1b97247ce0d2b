"""The settings among which each network's tuned setting was chosen."""

from __future__ import annotations

import pandas as pd

from farback.tables.grouping import By, as_frame, check_columns, groups
from farback.tables.horizon_estimates import half_way
from farback.tables.outcomes import CHOICE, at_training_lag

COLUMNS = ("trainings", "smallest_lag", "largest_lag", "horizon", "estimate", "low", "high", "bound", "chosen")


def choices(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The half-way lag of each setting that was tried, from the trainings that helped to choose (role "choice").

    The chosen setting is the one that was judged on fresh seeds (role "judged"). Settings that were dropped early have
    few trainings and wide intervals.

    Returns:
        by..., tuned (the setting, such as "optimizer.lr 0.01"), trainings, smallest_lag, largest_lag, horizon (text),
        estimate, low, high, bound (as in `trainability`), chosen.
    """
    check_columns(scores, ("role", "tuned", *by))
    keys = [*by, "tuned"]
    tried = scores[scores["role"] == CHOICE]
    if tried.empty:
        raise ValueError("no training has the role choice: no setting was tuned")
    judged = scores.loc[scores["role"] == "judged", keys].drop_duplicates()
    chosen = set(judged.astype(str).itertuples(index=False, name=None))
    own = at_training_lag(tried.drop(columns="role"), keys)
    rows = []
    for group, part in groups(own, keys):
        found = half_way(part).horizon
        numbers = (int(found.smallest), int(found.largest), str(found), found.estimate, found.low, found.high)
        rows.append((*group, len(part), *numbers, found.bound, tuple(map(str, group)) in chosen))
    return as_frame(rows, (*keys, *COLUMNS), own, keys)
