"""How far back networks can be trained: success rates by training lag, and the lag at which half of seeds succeed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from farback import stats
from farback.tables.grouping import By, as_frame, check_columns, groups
from farback.tables.horizon_estimates import half_way
from farback.tables.outcomes import SCORE, TRIAL, at_training_lag, judged

HORIZON = (
    *("seeds", "trainings", "smallest_lag", "largest_lag", "horizon", "estimate", "low", "high", "bound"),
    *("isotonic", "isotonic_low", "isotonic_high", "slope", "lapse", "fits", "diverged"),
)
CURVE_POINTS = 61


def success_by_lag(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How often training *at* each lag succeeds: trials of one fixed training lag, tested at that lag after training.

    Success is the statistic `success` of the measure retention. Where it is missing, success is an accuracy at least
    half-way from chance to perfect; without an accuracy, a skill of at least 0.5.

    Returns:
        by..., lag, trials, successes, diverged, rate, low, high (Wilson, 95 %), isotonic (the rate, never increasing).
    """
    own = at_training_lag(scores, by)
    own = own.assign(diverged=own["status"] == "diverged")
    rows = []
    for group, part in groups(own, by):
        counts = part.groupby("lag").agg(trials=("passed", "size"), passed=("passed", "sum"), lost=("diverged", "sum"))
        fitted = stats.isotonic(counts["passed"], counts["trials"])
        for (lag, trials, passed, lost), rate in zip(counts.itertuples(), fitted, strict=True):
            rows.append((*group, lag, trials, passed, lost, passed / trials, *stats.wilson(passed, trials), rate))
    columns = (*by, "lag", "trials", "successes", "diverged", "rate", "low", "high", "isotonic")
    return as_frame(rows, columns, own, by)


def success_curves(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The psychometric curve of each group between the smallest and the largest lag above 0 that was tried.

    Where the curve does not fit, the rates are those of isotonic regression at the lags tried, without an interval.

    Returns:
        by..., lag, rate (posterior mean), low, high (95 % credible interval of the rate at that lag).
    """
    own = at_training_lag(scores, by)
    rows = []
    for group, part in groups(own, by):
        fit = half_way(part).fit
        if fit is None:
            continue
        counts = part[part["lag"] > 0].groupby("lag")["passed"].agg(["sum", "size"])
        if fit.fits:
            lags = np.geomspace(counts.index[0], counts.index[-1], CURVE_POINTS if len(counts) > 1 else 1)
            ends = fit.curve(lags)
        else:
            lags = counts.index.to_numpy(float)
            ends = (stats.isotonic(counts["sum"], counts["size"]), *np.full((2, len(lags)), np.nan))
        rows += [(*group, *point) for point in zip(lags.tolist(), *(end.tolist() for end in ends), strict=True)]
    return as_frame(rows, (*by, "lag", "rate", "low", "high"), own, by)


def trainability(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How far back each group can be *trained*: the lag at which half of fresh seeds succeed.

    Outcomes are pooled by lag. If every training has a seed of its own, the headline is the psychometric curve
    (`stats.psychometric`). If seeds were trained at several lags (a grid), its estimate is the isotonic crossing of one
    half, which never contradicts the rates at these lags. If the curve does not fit, estimate and interval are the
    isotonic ones (`stats.isotonic_threshold`).

    Returns:
        by..., then:

        - seeds, trainings: distinct seeds, and trials that count; smallest_lag, largest_lag: the lags above 0 tried;
        - horizon: text, "26 (24 to 30)", or for a bound "at least 320" or "below 5";
        - estimate, low, high: the lag and its 95 % interval; inf beyond the largest lag tried, 0 below the smallest;
        - bound: "none", "at least" or "below";
        - isotonic, isotonic_low, isotonic_high: the same without a model;
        - slope (per factor e of the lag), lapse (share of seeds that fail even at short lags), fits: of the curve;
        - diverged: number of trials that diverged.
    """
    own = at_training_lag(scores, by)
    rows = []
    for group, part in groups(own, by):
        found = half_way(part)
        horizon, fit = found.horizon, found.fit
        shape = (np.nan, np.nan, True) if fit is None else (fit.slope, fit.lapse, fit.fits)
        rows.append(
            (
                *(*group, part["seed"].nunique(), len(part), int(horizon.smallest), int(horizon.largest), str(horizon)),
                *(horizon.estimate, horizon.low, horizon.high, horizon.bound),
                *(*found.isotonic, *shape, int((part["status"] == "diverged").sum())),
            )
        )
    return as_frame(rows, (*by, *HORIZON), own, by)


def horizon_by_state(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The horizon of trainability of each group, beside the numbers that a network carries from step to step.

    A state that grows with the sequence, as that of attention without a window, is given at the horizon: the number of
    numbers in a sequence that is just so long. It is interpolated between the lags tried, and ends with them.

    Returns:
        by..., the columns of `trainability`, then state (at the horizon), state_smallest, state_largest (at the
        smallest and the largest lag tried).
    """
    check_columns(scores, (*SCORE, *TRIAL, "state", *by))
    horizons = trainability(scores, by)
    trials = judged(scores).drop_duplicates("key")
    trials = trials[(trials["train_lags"] == "fixed") & (trials["trained_lag"] > 0)]
    sizes = {group: own.groupby("trained_lag")["state"].max() for group, own in groups(trials, by)}
    rows = []
    for row in horizons.to_dict("records"):
        size = sizes[tuple(row[name] for name in by)]
        rows.append((float(np.interp(row["estimate"], size.index, size)), int(size.iloc[0]), int(size.iloc[-1])))
    sized = pd.DataFrame(rows, columns=["state", "state_smallest", "state_largest"], index=horizons.index)
    return pd.concat([horizons, sized], axis=1)


def horizon_grid(scores: pd.DataFrame, row: str = "depth", column: str | Sequence[str] = "cell") -> pd.DataFrame:
    """The trainability horizon over two axes, for a heat map: a row for each combination that was run.

    Several columns for the second axis are joined to one, with values such as "RNN tanh, orthogonal".

    Returns:
        `row`, `column` (with the joined name, "cell, init"), then the columns of `trainability`.
    """
    columns = [column] if isinstance(column, str) else list(column)
    check_columns(scores, (*SCORE, *TRIAL, row, *columns))
    joined = ", ".join(columns)
    text = scores.loc[:, columns].astype("object").where(scores.loc[:, columns].notna(), "none").astype("str")
    names = [", ".join(each) for each in zip(*(text[name].tolist() for name in columns), strict=True)]
    return trainability(scores.assign(**{joined: names}), (row, joined))
