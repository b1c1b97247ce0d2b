"""From tidy scores to outcomes: a row per (trial, test lag), which passes or fails."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import pandas as pd

from farback import stats

By = Sequence[str]
SCORE = ("measure", "step", "lag", "statistic", "value")
TRIAL = ("key", "seed", "status", "trained_lag", "train_lags")


def trained_at(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """Outcomes of the trials with a fixed training lag, at that lag."""
    outcomes = tested(scores, by)
    fixed = outcomes[outcomes["train_lags"] == "fixed"]
    if fixed.empty:
        raise ValueError(f"no trial was trained at one lag, train_lags are {sorted(set(outcomes['train_lags']))}")
    own = fixed[fixed["lag"] == fixed["trained_lag"]]
    missing = sorted(set(fixed["key"]) - set(own["key"]))
    if missing:
        raise ValueError(f"{len(missing)} trials have no retention at their own lag, the first is {missing[0]}")
    check_repeats(own, by)
    return _implied(own, by)


def _implied(own: pd.DataFrame, by: By) -> pd.DataFrame:
    """With what bisection did not try: a seed passes below the lags that it passes, and fails above those it fails.

    Bisection tries the far lags only of the seeds that got so far: without these rows a rate over the trials at a lag
    would be one over its best seeds. They have status "implied", and no score.
    """
    if "bracket" not in own or own["bracket"].isna().all():
        return own.reset_index(drop=True)
    rows = []
    for _, group in groups(own, by):
        grids = group["bracket"].dropna()
        lags = sorted({int(lag) for text in set(grids) for lag in str(text).split()} | set(group["lag"]))
        for _, seed in group.groupby("seed"):
            last = max((lag for lag, passed in zip(seed["lag"], seed["passed"], strict=True) if passed), default=-1)
            beyond = [lag for lag, passed in zip(seed["lag"], seed["passed"], strict=True) if not passed and lag > last]
            first = min(beyond, default=math.inf)
            for lag in lags:
                if lag not in set(seed["lag"]) and (lag < last or lag > first):
                    like = seed.iloc[[0]].assign(lag=lag, trained_lag=lag, passed=lag < last, status="implied")
                    rows.append(like.assign(skill=math.nan, accuracy=math.nan, success=float(lag < last)))
    return ordered(pd.concat([own, *rows], ignore_index=True), [*by, "seed", "lag"])


def tested(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """A row per (trial, test lag) at the trial's last step: skill, accuracy, chance_accuracy and whether it passes."""
    by = list(by)
    check_columns(scores, (*SCORE, *TRIAL, *by))
    taken = sorted({*by} & {*SCORE, "key", "seed"})
    if taken or not by or len(set(by)) < len(by):
        raise ValueError(f"by must name columns that a group shares, each once, and not {taken or by}")
    kept = [*TRIAL, *by, *(name for name in ("bracket",) if name in scores)]
    trials = scores.loc[:, list(dict.fromkeys(kept))].drop_duplicates("key")
    rows = scores[scores["measure"] == "retention"]
    if rows.empty:
        raise ValueError(f"needs the measure retention, the frame has {sorted(set(scores['measure']))}")
    last = rows[rows["step"] == rows.groupby("key")["step"].transform("max")]
    twice = last[last.duplicated(["key", "lag", "statistic"])]
    if len(twice):
        raise ValueError(f"{len(twice)} scores come twice, the first is {twice.iloc[0][['key', *SCORE]].to_dict()}")
    wide = last.set_index(["key", "lag", "statistic"])["value"].unstack().reset_index()
    for name in ("skill", "accuracy", "chance_accuracy", "success"):
        if name not in wide:
            wide[name] = math.nan
    wide = pd.concat([wide, _unmeasured(trials, wide)]) if len(set(wide["key"])) < len(trials) else wide
    outcomes = trials.merge(wide, on="key", validate="one_to_many")
    diverged = outcomes["status"] == "diverged"
    half_way = outcomes["accuracy"] >= (1 + outcomes["chance_accuracy"]) / 2
    judged = outcomes["accuracy"].notna() & outcomes["chance_accuracy"].notna()
    passed = (outcomes["skill"] >= 0.5).where(~judged, half_way)
    outcomes["passed"] = passed.where(outcomes["success"].isna(), outcomes["success"] > 0.5).astype(bool) & ~diverged
    outcomes["skill"] = outcomes["skill"].mask(diverged, 0.0)
    outcomes["accuracy"] = outcomes["accuracy"].mask(diverged, outcomes["chance_accuracy"])
    return ordered(outcomes, [*by, "seed", "lag", "key"])


def _unmeasured(trials: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """Rows for trials that left no retention: a diverged one fails wherever its companions were tested."""
    rest = trials[~trials["key"].isin(wide["key"])]
    finished = rest[rest["status"] != "diverged"]
    if len(finished):
        raise ValueError(f"{len(finished)} finished trials have no retention, the first is {finished['key'].iloc[0]}")
    tested = sorted(set(wide["lag"]))
    rows = [
        (key, lag, math.nan, math.nan, math.nan, 0.0)
        for key, own, kind in zip(rest["key"], rest["trained_lag"], rest["train_lags"], strict=True)
        for lag in sorted({*tested, own} if kind != "fixed" else {own})
    ]
    return pd.DataFrame(rows, columns=["key", "lag", "skill", "accuracy", "chance_accuracy", "success"])


def check_repeats(outcomes: pd.DataFrame, by: By, at: Sequence[str] = ("lag",)) -> None:
    """Seeds are the repeats of a group: two trials of one seed (at one lag) mean that the groups are too coarse."""
    same = outcomes[outcomes.duplicated([*by, "seed", *at], keep=False)]
    if len(same):
        first = same.iloc[0]
        shared = " and ".join(f"{name} {first[name]}" for name in ("seed", *at))
        raise ValueError(
            f"in the group {as_text(first[column] for column in by)} two trials share {shared}: "
            f"select fewer trials, or name in `by` what they differ in (by is {list(by)})"
        )


def check_columns(frame: pd.DataFrame, needed: Sequence[str]) -> None:
    """Raise ValueError, naming the nearest column, unless the frame has the needed ones."""
    for name in needed:
        if name not in frame.columns:
            near = get_close_matches(name, list(map(str, frame.columns)), 1)
            hint = f", did you mean {near[0]!r}" if near else ""
            raise ValueError(f"the frame has no column {name!r}{hint}; it has {', '.join(map(str, frame.columns))}")


def groups(frame: pd.DataFrame, by: By) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Groups in the order of the rows, a missing value being a group of its own."""
    for group, part in frame.groupby(list(by), sort=False, dropna=False):
        yield (group if isinstance(group, tuple) else (group,)), part


def ordered(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Sorted by columns, those of mixed types as text."""
    texts = {name: frame[name].map(str) for name in columns if frame[name].dtype == object}
    keys = frame.loc[:, list(columns)].assign(**texts).reset_index(drop=True)
    return frame.iloc[keys.sort_values(list(columns), kind="stable").index].reset_index(drop=True)


def as_frame(rows: list[tuple[Any, ...]], columns: Sequence[str], source: pd.DataFrame, by: By) -> pd.DataFrame:
    """Rows as a frame whose group columns keep the types they had."""
    return pd.DataFrame(rows, columns=list(columns)).astype({name: source[name].dtype for name in by})


def as_horizons(seeds: pd.DataFrame) -> list[stats.Horizon]:
    """The horizons of a frame with a row per seed."""
    return [stats.Horizon(float(low), float(high)) for low, high in zip(seeds["low"], seeds["high"], strict=True)]


def as_text(values: Iterable[Any]) -> str:
    """The name of a group: "LSTM, chrono"."""
    return ", ".join(map(str, values))
