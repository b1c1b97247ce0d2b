"""Medians over seeds of the measures of memory: curves over the lag, and numbers without a lag."""

from __future__ import annotations

import numpy as np
import pandas as pd

from farback.tables.grouping import By, as_frame, check_columns, groups, ordered
from farback.tables.measure_rows import in_training_order, measure_rows, medians, statistic_rows
from farback.tables.outcomes import check_one_protocol, judged


def learning_curves(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The validation skill after each number of updates: its median over the seeds still in training.

    Returns:
        by..., step, seeds, median, low, high (`stats.median_interval`).

    Raises:
        ValueError: networks that were trained with a curriculum of lags beside others, whose validation lags differ.
    """
    check_columns(scores, ("measure", "statistic", "step", "value", "seed", "train_lags", *by))
    scores = judged(scores)
    check_one_protocol(scores)
    return medians(scores[(scores["measure"] == "valid") & (scores["statistic"] == "skill")], by, ("step",))


def curves(scores: pd.DataFrame, measure: str, statistic: str, by: By = ("label",)) -> pd.DataFrame:
    """One statistic of a measure at every lag and every moment of training at which it was taken.

    For the measure lyapunov `lag` is the index of the exponent.

    Returns:
        by..., moment, lag, seeds, median, low, high (`stats.median_interval`).
    """
    rows = statistic_rows(measure_rows(scores, measure, by), statistic)
    return in_training_order(medians(rows[rows["lag"] >= 0], by, ("moment", "lag")), by)


def numbers(scores: pd.DataFrame, measure: str, by: By = ("label",)) -> pd.DataFrame:
    """The numbers of a measure that have no lag: time constants, totals, horizons.

    Returns:
        by..., moment, statistic, seeds, median, low, high.
    """
    rows = measure_rows(scores, measure, by)
    return in_training_order(medians(rows[rows["lag"] < 0], by, ("moment", "statistic")), by)


def gradient_curves(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How strongly the last step depends on the input k steps before, in decades relative to the smallest lag.

    Each seed is divided by its own value at the smallest lag, so that a median compares rates and not sizes. Where the
    gradient is exactly zero the value is -inf; a seed whose gradient at the smallest lag is zero or not finite has no
    curve. The columns are the same as in `curves`.
    """
    rows = statistic_rows(measure_rows(scores, "gradient_reach", by), "log10")
    return in_training_order(medians(relative(rows), by, ("moment", "lag")), by)


def relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Logarithms minus their value at the smallest lag of the trial and moment; nan if this value is not finite."""
    by_lag = rows[rows["lag"] >= 0].sort_values(["key", "step", "lag"], kind="stable")
    first = by_lag.groupby(["key", "step"])["value"].transform("first")
    return by_lag.assign(value=by_lag["value"] - first.where(np.isfinite(first)))


def memory_curves(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The memory function: how well a linear readout of the state recovers the input k steps before.

    Returns:
        The columns of `curves`, then null_low, null_high (the range of a system without memory; medians over seeds) and
        features (the number of state variables that are read, an upper bound of the total).
    """
    rows = measure_rows(scores, "memory_function", by)
    table = medians(statistic_rows(rows, "r2"), by, ("moment", "lag"))
    for name, within in (("null_low", ("moment", "lag")), ("null_high", ("moment", "lag")), ("features", ("moment",))):
        table = table.merge(_medians_alone(rows, name, by, within), on=[*by, *within], how="left")
    return in_training_order(table, by)


def gate_times(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The distribution of the time constants of a cell's gates over the units of all seeds together.

    For each time constant tau, `share` is the share of the units that keep their state for at least tau steps.

    Returns:
        by..., moment, seeds, unit (counted from the slowest), tau (steps), share.
    """
    rows = statistic_rows(measure_rows(scores, "gate_times", by), "tau")
    rows = ordered(rows[rows["lag"] >= 0].dropna(subset="value"), [*by, "seed", "lag"])
    results = []
    for group, own in groups(rows, [*by, "moment"]):
        slowest = np.sort(own["value"].to_numpy(float))[::-1]
        seeds = own["seed"].nunique()
        results += [(*group, seeds, unit, tau, (unit + 1) / len(slowest)) for unit, tau in enumerate(slowest.tolist())]
    columns = (*by, "moment", "seeds", "unit", "tau", "share")
    return in_training_order(as_frame(results, columns, rows, by), by)


def rates(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """How fast the gradient shrinks or grows with the lag.

    Returns:
        by..., moment, seeds, median, low, high (of `slope`, natural logarithm per step: below 0 the gradient vanishes,
        above 0 it explodes), half_life, reach (medians, steps), exploding (share of seeds), law (of most seeds:
        "exponential", "power" or "none").
    """
    rows = measure_rows(scores, "gradient_reach", by)
    rows = rows[rows["lag"] < 0]
    keys = [*by, "moment"]
    table = medians(statistic_rows(rows, "slope"), by, ("moment",))
    for name in ("half_life", "reach"):
        table = table.merge(_medians_alone(rows, name, by, ("moment",)), on=keys, how="left")
    exploding = statistic_rows(rows, "exploding").groupby(keys, dropna=False)["value"].mean().rename("exploding")
    laws = statistic_rows(rows, "law").groupby(keys, dropna=False)["value"]
    law = laws.agg(lambda values: ("none", "exponential", "power")[int(values.mode().iloc[0])]).rename("law")
    for column in (exploding, law):
        table = table.merge(column.reset_index(), on=keys, how="left")
    return in_training_order(table, by)


def _medians_alone(rows: pd.DataFrame, statistic: str, by: By, within: By) -> pd.DataFrame:
    """The medians of a statistic without their intervals, in a column with the statistic's name."""
    table = medians(statistic_rows(rows, statistic), by, within)
    return table.loc[:, [*by, *within, "median"]].rename(columns={"median": statistic})
