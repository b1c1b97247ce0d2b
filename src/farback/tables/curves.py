"""Curves over the lag, and numbers that belong to none, of the measures that say how far back: medians over seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from farback.tables.moments import earlier_first, middles, taken
from farback.tables.outcomes import By, as_frame, groups, ordered


def curves(scores: pd.DataFrame, measure: str, statistic: str, by: By = ("label",)) -> pd.DataFrame:
    """One statistic of a measure at every lag, at every moment it was taken.

    Where `lag` counts something else it is that: the index of a Lyapunov exponent.

    Returns:
        by..., moment, lag, seeds, median, low, high (`stats.median_interval`).

    Raises:
        ValueError: missing columns, measure or statistic, or a group in which two trials share a seed.
    """
    rows = _statistic(taken(scores, measure, by), measure, statistic)
    return earlier_first(middles(rows[rows["lag"] >= 0], by, ("moment", "lag")), by)


def numbers(scores: pd.DataFrame, measure: str, by: By = ("label",)) -> pd.DataFrame:
    """What a measure says that belongs to no lag: time constants, totals, horizons.

    Returns:
        by..., moment, statistic, seeds, median, low, high.

    Raises:
        ValueError: as `curves`.
    """
    rows = taken(scores, measure, by)
    return earlier_first(middles(rows[rows["lag"] < 0], by, ("moment", "statistic")), by)


def gradient_curves(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """How strongly the last step depends on the input k steps before, in decades relative to the least lag.

    Seeds are normalised one by one, so that a median compares rates and not sizes. Where the gradient is exactly zero
    the value is -inf; where already that at the least lag is zero, or not finite, the seed has no curve.

    Returns:
        The columns of `curves`.

    Raises:
        ValueError: as `curves`.
    """
    rows = _statistic(taken(scores, "gradient_reach", by), "gradient_reach", "log10")
    return earlier_first(middles(relative(rows), by, ("moment", "lag")), by)


def relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Logarithms less that at the least lag, for each trial and moment; nan where there is nothing to divide by."""
    sorted_rows = rows[rows["lag"] >= 0].sort_values(["key", "step", "lag"], kind="stable")
    first = sorted_rows.groupby(["key", "step"])["value"].transform("first")
    return sorted_rows.assign(value=sorted_rows["value"] - first.where(np.isfinite(first)))


def memory_curves(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The memory function: how much of the input k steps before a linear readout of the state gives back.

    Returns:
        The columns of `curves`, then null_low, null_high (what a system without memory scores; medians over seeds) and
        features (how many numbers are read: no system can hold more inputs than that).

    Raises:
        ValueError: as `curves`.
    """
    rows = taken(scores, "memory_function", by)
    keys = [*by, "moment", "lag"]
    parts = {
        name: middles(_statistic(rows, "memory_function", name), by, ("moment", "lag"))
        for name in ("r2", "null_low", "null_high", "features")
    }
    table = parts["r2"]
    for name in ("null_low", "null_high"):
        table = table.merge(parts[name].loc[:, [*keys, "median"]].rename(columns={"median": name}), on=keys)
    features = parts["features"].loc[:, [*by, "moment", "median"]].rename(columns={"median": "features"})
    return earlier_first(table.merge(features, on=[*by, "moment"]), by)


def gate_times(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The time constants of a cell's gates: which share of the units keep at least so long.

    The units of all seeds are taken together, for it is their distribution that is asked for.

    Returns:
        by..., moment, seeds, unit (counted from the slowest), tau (steps), share (of the units with at least this tau).

    Raises:
        ValueError: as `curves`.
    """
    rows = _statistic(taken(scores, "gate_times", by), "gate_times", "tau")
    rows = ordered(rows[rows["lag"] >= 0].dropna(subset="value"), [*by, "seed", "lag"])
    found = []
    for group, own in groups(rows, [*by, "moment"]):
        slowest = np.sort(own["value"].to_numpy(float))[::-1]
        seeds = own["seed"].nunique()
        found += [(*group, seeds, unit, tau, (unit + 1) / len(slowest)) for unit, tau in enumerate(slowest.tolist())]
    columns = (*by, "moment", "seeds", "unit", "tau", "share")
    return earlier_first(as_frame(found, columns, rows, by), by)


def rates(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """How fast the gradient falls or grows with the lag, for a table of many networks.

    Returns:
        by..., moment, seeds, median, low, high (of `slope`, natural logarithm per step: below 0 it vanishes, above it
        explodes), half_life, reach (medians, steps), exploding (share of seeds), law ("exponential", "power", "none":
        what most seeds follow).

    Raises:
        ValueError: as `curves`.
    """
    rows = taken(scores, "gradient_reach", by)
    rows = rows[rows["lag"] < 0]
    keys = [*by, "moment"]
    table = middles(_statistic(rows, "gradient_reach", "slope"), by, ("moment",))
    for name in ("half_life", "reach"):
        part = middles(_statistic(rows, "gradient_reach", name), by, ("moment",))
        table = table.merge(part.loc[:, [*keys, "median"]].rename(columns={"median": name}), on=keys, how="left")
    exploding = _statistic(rows, "gradient_reach", "exploding").groupby(keys, dropna=False)["value"].mean()
    laws = _statistic(rows, "gradient_reach", "law").groupby(keys, dropna=False)["value"]
    common = laws.agg(lambda values: ("none", "exponential", "power")[int(values.mode().iloc[0])])
    table = table.merge(exploding.rename("exploding").reset_index(), on=keys, how="left")
    return earlier_first(table.merge(common.rename("law").reset_index(), on=keys, how="left"), by)


def _statistic(rows: pd.DataFrame, measure: str, statistic: str) -> pd.DataFrame:
    own = rows[rows["statistic"] == statistic]
    if own.empty:
        raise ValueError(f"{measure} has no statistic {statistic!r}; it has {sorted(set(rows['statistic']))}")
    return own
