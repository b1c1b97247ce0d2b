"""Every way of saying how far back, of one network, on one lag axis and one scale.

The measures have units of their own. On the common scale 1 is a full measure and 0.5 is the threshold that defines the
reach, so that every curve ends where it falls below 0.5:

- gradient: decades from lag 0; three of them down (1e-3) is 0.5;
- causal: decades of the total effect of one input; 1 % is 0.5;
- decodable: skill of a linear probe of the state;
- memory: adjusted R2 of a linear readout of past inputs;
- behaviour: accuracy, from chance to perfect (for real values: skill).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from farback import stats
from farback.tables.curves import relative
from farback.tables.moments import earlier_first, middles, taken
from farback.tables.outcomes import By, as_frame, as_horizons, groups, ordered, tested

GRADIENT, CAUSAL, DECODABLE, MEMORY, BEHAVIOUR = "gradient", "causal", "decodable", "memory", "behaviour"
GRADIENT_DECADES = 3.0  # a gradient of 1e-3 is where its reach ends
EFFECT_DECADES = 2.0  # as is a total effect of 1 %
HALF = 0.5

# A gradient and a behaviour that are interrupted have ended. An effect, or what can be decoded, may be nothing at the
# lags of distractors and all at that of the cue: there the farthest lag counts.
READING = {
    GRADIENT: stats.first_failure,
    CAUSAL: stats.largest_success,
    DECODABLE: stats.largest_success,
    MEMORY: stats.largest_success,
    BEHAVIOUR: stats.first_failure,
}
SOURCES: dict[str, tuple[str, str]] = {
    GRADIENT: ("gradient_reach", "log10"),
    CAUSAL: ("causal_reach", "effect"),
    DECODABLE: ("probe", "skill"),
    MEMORY: ("memory_function", "r2"),
}


def reaches(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The curve of every measure that was taken, on the common scale, between 0 and 1.

    Returns:
        by..., moment, reach (gradient, causal, decodable, memory, behaviour), lag, seeds, median, low, high.

    Raises:
        ValueError: missing columns, none of these measures, or a group in which two trials share a seed.
    """
    rows = _scaled(scores, by)
    return _in_order(middles(rows.assign(value=rows["value"].clip(0, 1)), by, ("moment", "reach", "lag")), by)


def reach_horizons(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """Where each reach ends.

    Gradient and behaviour end at the first lag below their threshold; causal reach, decodability and linear memory at
    the largest lag above it, for inputs nearer than the cue need not matter.

    Returns:
        by..., moment, reach, seeds, horizon (text: what half of the seeds reach), low, high (its ends), least, most
        (the smallest and the largest over seeds: the last lag that passes), beyond (seeds that pass every lag tried),
        largest_lag.

    Raises:
        ValueError: as `reaches`.
    """
    seeds = seed_reaches(scores, by)
    found: list[tuple[Any, ...]] = []
    for group, own in groups(seeds, [*by, "moment", "reach"]):
        each = as_horizons(own)
        middle = stats.median_horizon(each)
        passed = [max(0.0, one.low) for one in each]
        beyond = sum(one.right for one in each)
        ends = (str(middle), middle.low, middle.high, min(passed), max(passed))
        found.append((*group, len(own), *ends, beyond, own["largest_lag"].max()))
    columns = ("seeds", "horizon", "low", "high", "least", "most", "beyond", "largest_lag")
    return _in_order(as_frame(found, (*by, "moment", "reach", *columns), seeds, by), by)


def seed_reaches(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The horizon of every seed by every reach.

    Returns:
        by..., moment, reach, seed, low, high (inf: every lag passes), horizon (text), largest_lag.

    Raises:
        ValueError: as `reaches`.
    """
    rows = _scaled(scores, by)
    found: list[tuple[Any, ...]] = []
    for group, own in groups(rows, [*by, "moment", "reach", "seed"]):
        passed = own["value"].to_numpy(float) >= HALF
        horizon = READING[str(own["reach"].iloc[0])](own["lag"], passed).horizon
        found.append((*group, horizon.low, horizon.high, str(horizon), own["lag"].max()))
    columns = ("seed", "low", "high", "horizon", "largest_lag")
    return _in_order(as_frame(found, (*by, "moment", "reach", *columns), rows, by), by)


def _scaled(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """A row for each trial, moment, reach and lag: its value on the common scale, nan where there is none."""
    parts = []
    present = set(scores["measure"]) if "measure" in scores else set()
    for reach, (measure, statistic) in SOURCES.items():
        if measure in present:
            rows = taken(scores, measure, by)
            rows = rows[(rows["statistic"] == statistic) & (rows["lag"] >= 0)]
            parts.append(_on_scale(reach, rows).assign(reach=reach))
    if "retention" in present:
        parts.append(_behaviour(scores, by))
    if not parts:
        raise ValueError(f"needs one of the measures {[name for name, _ in SOURCES.values()]} or retention")
    columns = [*by, "moment", "reach", "seed", "lag", "value"]
    return ordered(pd.concat([part.loc[:, columns] for part in parts]), columns[:-1])


def _on_scale(reach: str, rows: pd.DataFrame) -> pd.DataFrame:
    if reach == GRADIENT:
        decades = relative(rows)
        return decades.assign(value=1 + decades["value"] / (2 * GRADIENT_DECADES))
    if reach == CAUSAL:
        with np.errstate(divide="ignore"):
            decades_N = np.log10(rows["value"].clip(lower=0).to_numpy(float))
        return rows.assign(value=1 + decades_N / (2 * EFFECT_DECADES))
    return rows.dropna(subset="value")  # at some lags there is nothing to decode


def _behaviour(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """Accuracy from chance to perfect, at every moment; a diverged net knows nothing."""
    wide = taken(scores, "retention", by)
    parts = []
    for moment, own in wide.groupby("moment", sort=False):
        outcomes = tested(own.drop(columns="moment"), by)
        known = outcomes["accuracy"].notna() & (outcomes["chance_accuracy"] < 1)
        share = (outcomes["accuracy"] - outcomes["chance_accuracy"]) / (1 - outcomes["chance_accuracy"])
        value = share.where(known, outcomes["skill"]).where(outcomes["status"] != "diverged", 0.0)
        parts.append(outcomes.assign(value=value, moment=moment, reach=BEHAVIOUR))
    return pd.concat(parts)


def _in_order(table: pd.DataFrame, by: By) -> pd.DataFrame:
    """Sorted by group, moment, then reach in the order of the module's list."""
    kinds = [*SOURCES, BEHAVIOUR]
    return earlier_first(
        table.assign(place=table["reach"].map(kinds.index)).sort_values("place", kind="stable").drop(columns="place"),
        by,
    )
