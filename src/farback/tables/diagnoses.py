"""Why networks fail: the shares of the causes that the measure `diagnosis` found, over seeds."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from farback import stats
from farback.tables.grouping import By, as_frame, groups
from farback.tables.measure_rows import in_training_order, measure_rows

DIAGNOSIS = "diagnosis"
SHARE = "share_"  # before the name of a cause
CAUSES = ("not_written", "decays", "drifts", "overwritten", "not_read", "timer", "saturated")
COLUMNS = ("seeds", "fails", "unknown", "not_learnable", *CAUSES, "step", "step_low", "step_high", "distinguishability")


def diagnoses(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The causes of failure at each lag, by the lag that the networks were trained at.

    Returns:
        by..., moment, trained_lag, lag, seeds, fails (seeds that do not answer), unknown (of these, seeds whose cause
        is unknown), not_learnable (of these, seeds whose gradient was noise at the start, and is at the end), a column
        for each cause (its mean share over the other seeds that fail; nan if there are none), step, step_low, step_high
        (after the cue at which it is lost: the median over these seeds and its interval), distinguishability (the
        median over all seeds; nan if distractors move no state).
    """
    keys = [*by, "trained_lag"]
    rows = measure_rows(scores, DIAGNOSIS, keys)
    place = [*by, "moment", "trained_lag", "lag"]
    results: list[tuple[Any, ...]] = []
    for group, own in groups(rows, place):
        wide = own.pivot(index="key", columns="statistic", values="value")
        wide = wide.reindex(
            columns=[
                *(SHARE + name for name in ("none", "unknown", *CAUSES)),
                "not_learnable",
                "step",
                "distinguishability",
            ]
        )
        answers, unknown = wide[f"{SHARE}none"] > 0, wide[f"{SHARE}unknown"] > 0
        known = wide[~answers & ~unknown]
        shares = (
            known[[SHARE + name for name in CAUSES]].fillna(0.0).mean().tolist()
            if len(known)
            else [math.nan] * len(CAUSES)
        )
        steps, apart = known["step"].dropna().tolist(), wide["distinguishability"].dropna().tolist()
        middle = (stats.median(steps), *stats.median_interval(steps)) if steps else (math.nan,) * 3
        counts = (len(wide), int((~answers).sum()), int(unknown.sum()), int(wide["not_learnable"].sum()))
        results.append((*group, *counts, *shares, *middle, stats.median(apart) if apart else math.nan))
    return in_training_order(as_frame(results, (*place, *COLUMNS), rows, place), keys)
