"""The settings among which each network's tuned setting was chosen."""

from __future__ import annotations

import math

import pandas as pd

from farback.tables.grouping import By, as_frame, check_columns, groups
from farback.tables.horizon_estimates import half_way
from farback.tables.outcomes import CHOICE, at_training_lag

COLUMNS = ("trainings", "smallest_lag", "largest_lag", "skill", "horizon", "estimate", "low", "high", "bound", "chosen")


def choices(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """What each setting that was tried came to, from the trainings that helped to choose (role "choice").

    The chosen setting is the one that was judged on fresh seeds (role "judged"). With adaptive lags, each training has
    a seed of its own, and a setting has a half-way lag; settings that were dropped early have few trainings and wide
    intervals. At listed lags, the same seeds are trained at each lag, and a setting has a mean skill at each lag: a row
    for each lag, with missing horizons.

    Returns:
        by..., tuned (the setting, such as "optimizer.lr 0.01"), trainings, smallest_lag, largest_lag, skill (at listed
        lags, mean over seeds; below chance or diverged counts as 0), horizon (text), estimate, low, high, bound (as in
        `trainability`), chosen.
    """
    check_columns(scores, ("role", "tuned", *by))
    keys = [*by, "tuned"]
    scores = scores.assign(lags=scores.groupby(list(by), dropna=False)["trained_lag"].transform("nunique"))
    tried = scores[scores["role"] == CHOICE]
    if tried.empty:
        raise ValueError("no training has the role choice: no setting was tuned")
    own = at_training_lag(tried.drop(columns="role"), [*keys, "lags"])
    judged = scores.loc[scores["role"] == "judged", [*keys, "trained_lag"]].drop_duplicates()
    rows = []
    for group, network in groups(own, by):
        listed = network["lags"].iloc[0] == 1 or network.duplicated(["tuned", "seed"]).any()
        within = ["tuned", "lag"] if listed else ["tuned"]
        names = [*by, "tuned", "trained_lag"][: len(by) + len(within)]
        chosen = {tuple(map(str, values)) for values in judged[names].itertuples(index=False, name=None)}
        for setting, part in groups(network, within):
            lags = (int(part["lag"].min()), int(part["lag"].max()))
            result: tuple[object, ...]
            if listed:
                result = (float(part["skill"].clip(lower=0.0).fillna(0.0).mean()), *[math.nan] * 5)
            else:
                found = half_way(part).horizon
                result = (math.nan, str(found), found.estimate, found.low, found.high, found.bound)
            is_chosen = tuple(map(str, (*group, *setting))) in chosen
            rows.append((*group, setting[0], len(part), *lags, *result, is_chosen))
    return as_frame(rows, (*keys, *COLUMNS), own, keys)
