"""From tidy scores to outcomes: a row per (trial, test lag) with its skill and whether it passes."""

from __future__ import annotations

import math

import pandas as pd

from farback import stats
from farback.tables.grouping import By, check_columns, check_repeats, ordered

SCORE = ("measure", "step", "lag", "statistic", "value")
TRIAL = ("key", "seed", "status", "trained_lag", "train_lags")
CHOICE = "choice"  # the role of a training that helped to choose the tuned setting


def outcomes(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The result of each trial at its training lag, or at the largest of its training lags.

    Returns:
        by..., lag, seed, skill (0 for a trial that diverged), accuracy, loss (nan for a trial that diverged), passed,
        diverged, best (the best validation skill), updates (until training stopped).
    """
    own = tested(scores, by)
    own = own[own["lag"] == own["trained_lag"]].reset_index(drop=True)
    check_repeats(own, by)
    diverged = own["status"] == "diverged"
    own = own.assign(
        loss=own["loss"].mask(diverged) if "loss" in own else math.nan,
        diverged=diverged,
        best=own["key"].map(_largest(scores, "valid", "skill")),
        updates=own["key"].map(_largest(scores, "training", "updates")),
    )
    columns = ("lag", "seed", "skill", "accuracy", "loss", "passed", "diverged", "best", "updates")
    return own.loc[:, list(dict.fromkeys([*by, *columns]))]


def _largest(scores: pd.DataFrame, measure: str, statistic: str) -> pd.Series:
    """The largest value of one statistic of a measure, by the trial's key."""
    rows = scores[(scores["measure"] == measure) & (scores["statistic"] == statistic)]
    return rows.groupby("key")["value"].max()


def at_training_lag(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """Outcomes of the trials with one fixed training lag, at that lag."""
    results = tested(scores, by)
    fixed = results[results["train_lags"] == "fixed"]
    if fixed.empty:
        raise ValueError(f"no trial was trained at one fixed lag; train_lags: {sorted(set(results['train_lags']))}")
    own = fixed[fixed["lag"] == fixed["trained_lag"]].reset_index(drop=True)
    missing = sorted(set(fixed["key"]) - set(own["key"]))
    if missing:
        problem = "trials were not tested at their training lag (measure retention); the first is"
        raise ValueError(f"{len(missing)} {problem} {missing[0]}")
    check_repeats(own, by)
    return own


def tested(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """A row per (trial, test lag) at the trial's last step: skill, accuracy, chance_accuracy and whether it passes.

    The column `above_chance` is what decides whether a network passes, from 0 (chance) over 0.5 (passes) to 1
    (perfect). It is the accuracy on this scale for a task in which that agrees with all recorded successes (classes),
    else the skill.

    Retention that was measured before the last step is of a network that was trained further, and does not count.
    A score without a lag, of data that do not say which lags their answers need, stands at the training lag. A trial
    that diverged has skill 0 and the accuracy of chance, and fails at every lag. A lag at which a finished
    trial has no score at all is unknown, not failed, and is left out. So are trials that only helped to choose a
    setting.
    """
    by = list(by)
    scores = judged(scores)
    check_columns(scores, (*SCORE, *TRIAL, *by))
    unsuitable = sorted({*by} & {*SCORE, "key", "seed"})
    if unsuitable or not by or len(set(by)) < len(by):
        raise ValueError(f"by must name columns that a group shares, each once; got {unsuitable or by}")
    trials = scores.loc[:, list(dict.fromkeys([*TRIAL, *by]))].drop_duplicates("key")
    rows = scores[scores["measure"] == "retention"]
    if rows.empty:
        raise ValueError(f"the table needs the measure retention; the frame has {sorted(set(scores['measure']))}")
    last = rows[rows["step"] == rows["key"].map(scores.groupby("key")["step"].max())]
    twice = last[last.duplicated(["key", "lag", "statistic"])]
    if len(twice):
        first = twice.iloc[0][["key", *SCORE]].to_dict()
        raise ValueError(f"{len(twice)} scores are duplicates (same key, lag and statistic); the first is {first}")
    last = last.assign(lag=last["lag"].where(last["lag"] >= 0, last["trained_lag"]))
    wide = last.set_index(["key", "lag", "statistic"])["value"].unstack().reset_index()
    for name in ("skill", "accuracy", "chance_accuracy", "success"):
        if name not in wide:
            wide[name] = math.nan
    wide = pd.concat([wide, _unmeasured(trials, wide)]) if len(set(wide["key"])) < len(trials) else wide
    results = trials.merge(wide, on="key", validate="one_to_many")
    unknown = results[["skill", "accuracy", "success"]].isna().all(axis=1) & (results["status"] != "diverged")
    results = results[~unknown]
    diverged = results["status"] == "diverged"
    half_way = results["accuracy"] >= (1 + results["chance_accuracy"]) / 2
    has_accuracy = results["accuracy"].notna() & results["chance_accuracy"].notna()
    passed = half_way.where(has_accuracy, results["skill"] >= 0.5)
    results = results.assign(
        passed=passed.where(results["success"].isna(), results["success"] > 0.5).astype(bool) & ~diverged,
        skill=results["skill"].mask(diverged, 0.0),
        accuracy=results["accuracy"].mask(diverged, results["chance_accuracy"]),
    )
    return ordered(results.assign(above_chance=_above_chance(results)), [*by, "seed", "lag", "key"])


def of_curriculum(scores: pd.DataFrame) -> pd.Series[bool]:
    """Whether each row is of a trial that was trained with a curriculum of lags."""
    return scores["train_lags"].str.startswith("curriculum")


def check_one_protocol(scores: pd.DataFrame) -> None:
    """Raise ValueError if some, but not all, trials were trained with a curriculum: they need tables of their own."""
    apart = of_curriculum(scores)
    if apart.any() and not apart.all():
        kinds = ", ".join(sorted(set(scores["train_lags"])))
        raise ValueError(f"networks trained with a curriculum need a table of their own; train_lags: {kinds}")


def _above_chance(results: pd.DataFrame) -> pd.Series[float]:
    """The scale on which a network passes at 0.5: from the accuracy or the skill, task by task; 0 if it diverged."""
    accuracy = (results["accuracy"] - results["chance_accuracy"]) / (1 - results["chance_accuracy"])
    diverged = results["status"] == "diverged"
    differs = (((accuracy >= 0.5) != results["passed"]) | accuracy.isna()) & ~diverged
    task = results["task"] if "task" in results else pd.Series("", results.index)
    return accuracy.mask(differs.groupby(task).transform("any"), results["skill"]).mask(diverged, 0.0)


def judged(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores without trials of the role "choice", which helped to choose a setting that was judged afterwards."""
    return scores[scores["role"] != CHOICE] if "role" in scores else scores


def _unmeasured(trials: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """Rows for diverged trials without retention: failures at the training lag, or, if it varied, at every test lag."""
    rest = trials[~trials["key"].isin(wide["key"])]
    finished = rest[rest["status"] != "diverged"]
    if len(finished):
        raise ValueError(f"{len(finished)} finished trials have no retention; the first is {finished['key'].iloc[0]}")
    test_lags = set(wide["lag"])
    rows = [
        (key, lag, 0.0)
        for key, own, kind in zip(rest["key"], rest["trained_lag"], rest["train_lags"], strict=True)
        for lag in sorted({own} if kind == "fixed" else {*test_lags, own})
    ]
    return pd.DataFrame(rows, columns=["key", "lag", "success"])


def as_horizons(seeds: pd.DataFrame) -> list[stats.Horizon]:
    """The horizons of a frame with columns low and high."""
    return [stats.Horizon(float(low), float(high)) for low, high in zip(seeds["low"], seeds["high"], strict=True)]
