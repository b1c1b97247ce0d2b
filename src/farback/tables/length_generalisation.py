"""Networks tested at many lags: success by training lag and test lag, and the horizon during training."""

from __future__ import annotations

from typing import Any

import pandas as pd

from farback import stats
from farback.tables.grouping import By, as_frame, check_repeats, groups, ordered
from farback.tables.horizon_estimates import SUMMARY, horizon_summary, median_retained
from farback.tables.measure_rows import measure_rows
from farback.tables.outcomes import check_one_protocol, tested


def retained_by_lag(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """Success of the networks of a group at every test lag, for any training lags.

    Returns:
        by..., lag, seeds, successes, rate, low, high (Wilson, 95 %), skill, accuracy (medians over seeds).
    """
    outcomes = _outcomes(scores, by)
    results: list[tuple[Any, ...]] = []
    for group, own in groups(outcomes, [*by, "lag"]):
        passed, seeds = int(own["passed"].sum()), len(own)
        medians = (own["skill"].median(), own["accuracy"].median())
        results.append((*group, seeds, passed, passed / seeds, *stats.wilson(passed, seeds), *medians))
    columns = ("lag", "seeds", "successes", "rate", "low", "high", "skill", "accuracy")
    return as_frame(results, (*by, *columns), outcomes, by)


def trained_and_tested(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The matrix of training lags against test lags.

    Returns:
        by..., trained ("20", or "log-uniform 1-80" for mixed lags), trained_lag (the largest), then the columns of
        `retained_by_lag`; the fixed training lags come first.
    """
    table = retained_by_lag(_with_training(scores), [*by, "trained_lag", "trained"])
    first = [*by, "trained", "trained_lag"]
    return _fixed_first(table, by).loc[:, [*first, *(name for name in table.columns if name not in first)]]


def extrapolation(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The longest lag up to which a network never fails, relative to its training lag.

    The factor is the largest test lag up to which every lag passes, divided by the (largest) training lag; if a network
    passes every test lag, the factor is a lower bound. A network that fails below its training lag is called a timer:
    its factor is below 1, even if it passes lags beyond the training lag. `onward` ignores such failures.

    Returns:
        by..., trained, trained_lag, seeds, horizon (text, the median over seeds), factor, factor_low,
        factor_high (median and its interval), onward (median factor from the training lag on), beyond (seeds that pass
        every lag), learned (seeds that pass their training lag), timers (learned ones that fail at a smaller lag).
    """
    keys = [*by, "trained_lag", "trained"]
    outcomes = _outcomes(_with_training(scores), keys)
    results: list[tuple[Any, ...]] = []
    for group, part in groups(outcomes, keys):
        *front, lag, trained = group
        horizons, onward = _seed_horizons(part), _seed_horizons(part[part["lag"] >= lag])
        learned = part[part["lag"] == lag].set_index("seed")["passed"]
        below = part[part["lag"] < lag].groupby("seed")["passed"].all().reindex(learned.index, fill_value=True)
        factors, farther = ([max(0.0, one.low) / max(1, lag) for one in each] for each in (horizons, onward))
        middle = (stats.median(factors), *stats.median_interval(factors), stats.median(farther))
        counts = (sum(one.right for one in horizons), int(learned.sum()), int((learned & ~below).sum()))
        text = str(median_retained(horizons, part["lag"].min(), part["lag"].max()))
        results.append((*front, trained, lag, len(horizons), text, *middle, *counts))
    columns = ("horizon", "factor", "factor_low", "factor_high", "onward", "beyond", "learned", "timers")
    return _fixed_first(as_frame(results, (*by, "trained", "trained_lag", "seeds", *columns), outcomes, by), by)


def horizon_by_update(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The retention horizon during training.

    A seed that stopped training early (sustained success, divergence) keeps its last horizon. The rows are for the last
    update, and for every update at which at least one seed was tested and then trained further.

    Returns:
        by..., step (updates), seeds, horizon (text, the median over seeds), low, high (its ends), least,
        most (over seeds: the last lag that passes), beyond (seeds that pass every lag), largest_lag.
    """
    rows = measure_rows(scores, "retention", by).drop(columns="moment")
    last = rows.groupby("key")["step"].transform("max")
    results: list[tuple[Any, ...]] = []
    for step in sorted({*rows.loc[rows["step"] < last, "step"], int(rows["step"].max())}):
        for group, part in groups(tested(rows[rows["step"] <= step], by), by):
            horizons = _seed_horizons(part)
            ends = (part["lag"].min(), part["lag"].max())
            results.append((*group, step, len(horizons), *horizon_summary(horizons, *ends), ends[1]))
    return ordered(as_frame(results, (*by, "step", "seeds", *SUMMARY, "largest_lag"), rows, by), [*by, "step"])


def _seed_horizons(part: pd.DataFrame) -> list[stats.Horizon]:
    """The horizon of each seed by its first failure."""
    return [stats.first_failure(own["lag"], own["passed"]).horizon for _, own in part.groupby("seed")]


def _outcomes(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    outcomes = tested(scores, by)
    check_one_protocol(outcomes)
    check_repeats(outcomes, by)
    return ordered(outcomes, [*by, "lag", "seed"])


def _with_training(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores with a column `trained`: the training lag, or the distribution of training lags."""
    mixed = scores["train_lags"] != "fixed"
    return scores.assign(trained=scores["trained_lag"].astype(str).mask(mixed, scores["train_lags"]))


def _fixed_first(table: pd.DataFrame, by: By) -> pd.DataFrame:
    """The table sorted by group, fixed training lags before mixed ones."""
    mixed = table["trained"] != table["trained_lag"].astype(str)
    lag = ["lag"] if "lag" in table else []
    return ordered(table.assign(mixed=mixed), [*by, "mixed", "trained_lag", "trained", *lag]).drop(columns="mixed")
