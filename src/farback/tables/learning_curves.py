"""Learning curves: what was validated on the way, and what each trial came to at the lag it was trained at."""

from __future__ import annotations

import pandas as pd

from farback.tables.moments import middles
from farback.tables.outcomes import By, check_columns, check_repeats, tested

TRIED = ("lag", "seed", "skill", "accuracy", "loss", "passed", "diverged", "best", "updates")


def learning_curves(scores: pd.DataFrame, by: By = ("label",), statistic: str = "skill") -> pd.DataFrame:
    """A validation score against the updates so far, of the seeds that still train.

    Args:
        scores: the tidy frame.
        by: what makes a group of seeds.
        statistic: skill, accuracy or loss.

    Returns:
        by..., step, seeds, median, low, high (`stats.median_interval`).

    Raises:
        ValueError: missing columns.
    """
    check_columns(scores, ("measure", "statistic", "step", "value", "seed", *by))
    rows = scores[(scores["measure"] == "valid") & (scores["statistic"] == statistic)]
    return middles(rows, by, ("step",))


def outcomes(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """What each trial came to at the lag it was trained at, the largest where it was trained on several.

    Returns:
        by..., lag, seed, skill (of a trial that diverged 0), accuracy, loss (nan of one that diverged), passed,
        diverged, best (the best skill validated on the way), updates (it was trained for).

    Raises:
        ValueError: as `tables.tested`, or two trials of a group that share lag and seed.
    """
    own = tested(scores, by)
    own = own[own["lag"] == own["trained_lag"]].reset_index(drop=True)
    check_repeats(own, by)
    rows = scores.loc[:, ["key", "measure", "statistic", "value"]]
    skill = rows[(rows["measure"] == "valid") & (rows["statistic"] == "skill")].groupby("key")["value"].max()
    updates = rows[(rows["measure"] == "training") & (rows["statistic"] == "updates")].groupby("key")["value"].max()
    diverged = own["status"] == "diverged"
    own = own.assign(
        loss=own["loss"].mask(diverged) if "loss" in own else float("nan"),
        diverged=diverged,
        best=own["key"].map(skill),
        updates=own["key"].map(updates),
    )
    return own.loc[:, list(dict.fromkeys([*by, *TRIED]))]
