"""Which trials have a horizon, and the scores of those that have none."""

from __future__ import annotations

import pandas as pd

from farback import stats
from farback.tables.grouping import By, as_frame, check_columns, groups, ordered
from farback.tables.outcomes import SCORE, TRIAL, check_one_protocol, judged, tested

KNOWN = ("skill", "accuracy", "success")  # a test without any of these says nothing


def has_horizon(scores: pd.DataFrame, by: By = ("label",)) -> pd.Series[bool]:
    """Whether each row is of a trial that takes part in a horizon.

    A group has a horizon if one of its trials was tested (measure retention) after training at a lag above 0: at its
    training lag, or with mixed training lags at any. Its trials that were not tested so take no part, unless they
    diverged, which counts as failure.
    """
    check_columns(scores, (*SCORE, *TRIAL, *by))
    at_end = scores["step"] == scores.groupby("key")["step"].transform("max")
    known = (scores["measure"] == "retention") & scores["statistic"].isin(KNOWN) & scores["value"].notna()
    own_lag = (scores["train_lags"] != "fixed") | (scores["lag"] == scores["trained_lag"])
    tested = at_end & known & own_lag
    columns = [scores[name] for name in dict.fromkeys([*by, "train_lags"])]
    in_group = (tested & (scores["lag"] > 0)).groupby(columns, dropna=False).transform("any")
    own = tested.groupby(scores["key"]).transform("any") | (scores["status"] == "diverged")
    return in_group & own


def has_score_without_lag(scores: pd.DataFrame, by: By = ("label",)) -> pd.Series[bool]:
    """Whether each row is of a group with test scores at no lag: its data do not say which lags their answers need."""
    check_columns(scores, (*SCORE, *TRIAL, *by))
    without = (scores["measure"] == "retention") & (scores["lag"] < 0) & scores["value"].notna()
    return without.groupby([scores[name] for name in by], dropna=False).transform("any")


def scores_without_lag(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The scores on test sequences of networks without lags: medians over the trials of a group.

    A trial that diverged has skill 0 and the accuracy of chance, and does not succeed.

    Returns:
        by..., trials, median, low, high (of the skill, `stats.median_interval`), accuracy (median), chance_accuracy,
        successes (trials that are at least half-way from chance to perfect), diverged.
    """
    outcomes = tested(scores, by)
    results = []
    for group, own in groups(outcomes, by):
        skill = own["skill"].dropna().to_numpy(float)
        numbers = (stats.median(skill), *stats.median_interval(skill)) if len(skill) else (float("nan"),) * 3
        accuracy = (own["accuracy"].median(), own["chance_accuracy"].median())
        counts = (int(own["passed"].sum()), int((own["status"] == "diverged").sum()))
        results.append((*group, len(own), *numbers, *accuracy, *counts))
    columns = (*by, "trials", "median", "low", "high", "accuracy", "chance_accuracy", "successes", "diverged")
    return as_frame(results, columns, outcomes, by)


def last_evaluations(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The validation skill at the end of training: its median over the trials of a group that were trained alike.

    A trial that diverged has skill 0; one that was never evaluated has none.

    Returns:
        by..., trained (the lag, or the distribution of the lags), trials, median, low, high (of the skill,
        `stats.median_interval`), diverged.
    """
    check_columns(scores, (*SCORE, *TRIAL, *by))
    check_one_protocol(scores)
    scores = judged(scores)
    rows = scores[(scores["measure"] == "valid") & (scores["statistic"] == "skill")]
    last = rows.sort_values("step", kind="stable").groupby("key")["value"].last()
    trials = scores.drop_duplicates("key")
    diverged = trials["status"] == "diverged"
    trained = trials["trained_lag"].astype(str).mask(trials["train_lags"] != "fixed", trials["train_lags"])
    trials = trials.assign(
        skill=trials["key"].map(last).astype(float).mask(diverged, 0.0), diverged=diverged, trained=trained
    )
    trials = ordered(trials, list(dict.fromkeys([*by, "train_lags", "trained_lag"])))
    results = []
    for group, own in groups(trials, [*by, "trained"]):
        skill = own["skill"].dropna().to_numpy(float)
        numbers = (stats.median(skill), *stats.median_interval(skill)) if len(skill) else (float("nan"),) * 3
        results.append((*group, len(own), *numbers, int(own["diverged"].sum())))
    return as_frame(results, (*by, "trained", "trials", "median", "low", "high", "diverged"), trials, by)
