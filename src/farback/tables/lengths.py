"""One network asked at many lags: by the lags it was trained at, by load and distractors, and while it trains."""

from __future__ import annotations

from typing import Any

import pandas as pd

from farback import stats
from farback.tables.moments import taken
from farback.tables.outcomes import By, as_frame, check_repeats, groups, ordered, tested


def retained_by_lag(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How well the networks of a group do at every test lag, whatever lags they were trained at.

    Returns:
        by..., lag, seeds, successes, rate, low, high (Wilson, 95 %), skill, accuracy (medians over seeds).

    Raises:
        ValueError: missing columns or rows, or a group in which two trials share a seed.
    """
    outcomes = _outcomes(scores, by)
    found: list[tuple[Any, ...]] = []
    for group, own in groups(outcomes, [*by, "lag"]):
        wins, seeds = int(own["passed"].sum()), len(own)
        middle = (float(own["skill"].median()), float(own["accuracy"].median()))
        found.append((*group, seeds, wins, wins / seeds, *stats.wilson(wins, seeds), *middle))
    columns = ("lag", "seeds", "successes", "rate", "low", "high", "skill", "accuracy")
    return as_frame(found, (*by, *columns), outcomes, by)


def trained_and_tested(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The matrix of training lags against test lags.

    Returns:
        by..., trained ("20", or "log-uniform 1-80" for mixed lags), trained_lag (the largest), then the columns of
        `retained_by_lag`; the fixed training lags come first.

    Raises:
        ValueError: as `retained_by_lag`.
    """
    table = retained_by_lag(_trained(scores), [*by, "trained_lag", "trained"])
    first = [*by, "trained", "trained_lag"]
    return _fixed_first(table, by).loc[:, [*first, *(name for name in table.columns if name not in first)]]


def extrapolation(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How many times farther than it was trained a network works, without a failure on the way.

    The factor is the largest test lag up to which every lag passes, over the (largest) training lag; a network that
    passes every lag has at least that factor. A network that fails below its own training lag is a timer: its factor is
    below 1, though it may pass lags beyond its own; `onward` counts from the training lag, whatever happens below.

    Returns:
        by..., trained, trained_lag, seeds, horizon (text, what half of the seeds reach), factor, factor_low,
        factor_high (median and its interval), onward (median), beyond (seeds that pass every lag), learned (seeds that
        pass their training lag), timers (of those: seeds that fail at a smaller lag).

    Raises:
        ValueError: as `retained_by_lag`.
    """
    keys = [*by, "trained_lag", "trained"]
    outcomes = _outcomes(_trained(scores), keys)
    found: list[tuple[Any, ...]] = []
    for group, part in groups(outcomes, keys):
        *front, lag, trained = group
        readings = [stats.first_failure(own["lag"], own["passed"]) for _, own in part.groupby("seed")]
        at_own = part[part["lag"] == lag].set_index("seed")["passed"]
        below = part[part["lag"] < lag].groupby("seed")["passed"].all().reindex(at_own.index, fill_value=True)
        onward = part[part["lag"] >= lag].groupby("seed")
        farther = [stats.first_failure(own["lag"], own["passed"]).horizon.low / max(1, lag) for _, own in onward]
        factors = [max(0.0, one.horizon.low) / max(1, lag) for one in readings]
        middle = stats.median_horizon([one.horizon for one in readings])
        counts = (sum(one.horizon.right for one in readings), int(at_own.sum()), int((at_own & ~below).sum()))
        spread = (stats.median(factors), *stats.median_interval(factors), stats.median([max(0.0, f) for f in farther]))
        found.append((*front, trained, lag, len(readings), str(middle), *spread, *counts))
    columns = ("horizon", "factor", "factor_low", "factor_high", "onward", "beyond", "learned", "timers")
    return _fixed_first(as_frame(found, (*by, "trained", "trained_lag", "seeds", *columns), outcomes, by), by)


def horizon_by_update(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The retention horizon while training goes on.

    A seed that left training early (sustained success, divergence) keeps its last horizon. Rows stand at the updates at
    which some seed that trained on was asked, and at the last.

    Returns:
        by..., step (updates), seeds, horizon (text, what half of the seeds reach), low, high (its ends), least, most
        (over seeds: the last lag that passes), beyond (seeds that pass every lag), largest_lag.

    Raises:
        ValueError: as `retained_by_lag`.
    """
    rows = taken(scores, "retention", by)
    last = rows.groupby("key")["step"].transform("max")
    on_the_way = sorted({*rows.loc[rows["step"] < last, "step"], int(rows["step"].max())})
    found: list[tuple[Any, ...]] = []
    for step in on_the_way:
        so_far = rows[rows["step"] <= step]
        outcomes = tested(so_far.drop(columns="moment"), by)
        for group, part in groups(outcomes, by):
            each = [stats.first_failure(own["lag"], own["passed"]).horizon for _, own in part.groupby("seed")]
            middle = stats.median_horizon(each)
            passed = [max(0.0, one.low) for one in each]
            ends = (str(middle), middle.low, middle.high, min(passed), max(passed))
            found.append((*group, step, len(each), *ends, sum(one.right for one in each), part["lag"].max()))
    columns = ("step", "seeds", "horizon", "low", "high", "least", "most", "beyond", "largest_lag")
    return ordered(as_frame(found, (*by, *columns), rows, by), [*by, "step"])


def _outcomes(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    outcomes = tested(scores, by)
    check_repeats(outcomes, by)
    return ordered(outcomes, [*by, "lag", "seed"])


def _trained(scores: pd.DataFrame) -> pd.DataFrame:
    mixed = scores["train_lags"] != "fixed"
    return scores.assign(trained=scores["trained_lag"].astype(str).mask(mixed, scores["train_lags"]))


def _fixed_first(table: pd.DataFrame, by: By) -> pd.DataFrame:
    """Sorted by group, fixed training lags before mixed ones."""
    mixed = table["trained"] != table["trained_lag"].astype(str)
    lag = ["lag"] if "lag" in table else []
    return ordered(table.assign(mixed=mixed), [*by, "mixed", "trained_lag", "trained", *lag]).drop(columns="mixed")
