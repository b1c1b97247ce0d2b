"""All measures of memory on one lag axis and one scale, with the lag at which each ends.

The measures have different units. On the common scale 1 is the full measure and 0.5 the threshold that defines the
reach, so that every reach ends where its curve falls below 0.5:

- gradient: logarithm of the gradient relative to lag 0; a factor of 1e-3 is at 0.5;
- causal: logarithm of the total effect of one input; an effect of 1 % is at 0.5;
- decodable: skill of a linear probe of the state;
- memory: adjusted R2 of a linear readout of past inputs;
- truncation: the share of the skill that is lost if inputs before this lag are not seen;
- behaviour: accuracy, from chance to perfect (for real values: skill).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from farback import stats
from farback.tables.curves import relative
from farback.tables.grouping import By, as_frame, groups, ordered
from farback.tables.horizon_estimates import SUMMARY, horizon_summary
from farback.tables.measure_rows import in_training_order, measure_rows, medians
from farback.tables.outcomes import as_horizons, tested

GRADIENT, CAUSAL, DECODABLE, MEMORY = "gradient", "causal", "decodable", "memory"
TRUNCATION, BEHAVIOUR = "truncation", "behaviour"
GRADIENT_DECADES = 3.0  # the reach of a gradient ends at 1e-3
EFFECT_DECADES = 2.0  # the reach of a total effect ends at 1 %
HALF = 0.5
FIRST_FAILURE = (GRADIENT, BEHAVIOUR)  # the others may be 0 at the lags of distractors and 1 at the lag of the cue,
EACH_LAG = "measures.{}.each_lag"  # unless this column says that the cue was at each lag
SOURCES = {
    GRADIENT: ("gradient_reach", "log10"),
    CAUSAL: ("causal_reach", "effect"),
    DECODABLE: ("probe", "skill"),
    MEMORY: ("memory_function", "r2"),
    TRUNCATION: ("truncation_reach", "kept"),
}


def reaches(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The curve of every measure that was taken, on the common scale, between 0 and 1.

    Returns:
        by..., moment, reach (gradient, causal, decodable, memory, truncation or behaviour), lag, seeds, median, low,
        high.
    """
    rows = _scaled(scores, by)
    return _in_order(medians(rows.assign(value=rows["value"].clip(0, 1)), by, ("moment", "reach", "lag")), by)


def reach_horizons(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The lag at which each measure's curve ends: its reach.

    Gradient and behaviour end at the first lag below their threshold. Causal reach and decodability do too if they were
    measured with the cue at each lag (`each_lag`); else they, linear memory and truncation end at the largest lag above
    it, because inputs nearer than the cue need not matter.

    Returns:
        by..., moment, reach, seeds, horizon (text: the median over seeds), low, high (its ends), least,
        most (the smallest and the largest over seeds: the last lag that passes), beyond (seeds that pass every lag),
        largest_lag.
    """
    seeds = seed_reaches(scores, by)
    keys = [*by, "moment", "reach"]
    results = [
        (*group, len(own), *horizon_summary(as_horizons(own), *_tested(own)), own["largest_lag"].max())
        for group, own in groups(seeds, keys)
    ]
    return _in_order(as_frame(results, (*keys, "seeds", *SUMMARY, "largest_lag"), seeds, by), by)


def seed_reaches(scores: pd.DataFrame, by: By = ("label",)) -> pd.DataFrame:
    """The horizon of every seed by every measure of reach.

    Returns:
        by..., moment, reach, seed, low, high (inf: every lag passes), horizon (text), smallest_lag, largest_lag.
    """
    rows = _scaled(scores, by)
    keys = [*by, "moment", "reach", "seed"]
    results = []
    for group, own in groups(rows, keys):
        reading_of = stats.first_failure if own["each_lag"].all() else stats.largest_success
        horizon = reading_of(own["lag"], own["value"].to_numpy(float) >= HALF).horizon
        ends = (own["lag"].min(), own["lag"].max())
        results.append((*group, horizon.low, horizon.high, str(horizon), *ends))
    return _in_order(as_frame(results, (*keys, "low", "high", "horizon", "smallest_lag", "largest_lag"), rows, by), by)


def _tested(seeds: pd.DataFrame) -> tuple[float, float]:
    return float(seeds["smallest_lag"].min()), float(seeds["largest_lag"].max())


def _scaled(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """A row for each trial, moment, reach and lag: its value on the common scale, nan where there is none."""
    present = set(scores["measure"]) if "measure" in scores else set()
    parts = [_on_scale(scores, reach, by) for reach, (measure, _) in SOURCES.items() if measure in present]
    if "retention" in present:
        parts.append(_behaviour(scores, by))
    if not parts:
        raise ValueError(f"reaches needs one of the measures {[name for name, _ in SOURCES.values()]} or retention")
    columns = [*by, "moment", "reach", "seed", "lag", "value"]
    every = ordered(pd.concat([part.loc[:, [*columns, "each_lag"]] for part in parts]), columns[:-1])
    return every.assign(each_lag=every["each_lag"] | every["reach"].isin(FIRST_FAILURE))


def _on_scale(scores: pd.DataFrame, reach: str, by: By) -> pd.DataFrame:
    measure, statistic = SOURCES[reach]
    rows = measure_rows(scores, measure, by)
    rows = rows[(rows["statistic"] == statistic) & (rows["lag"] >= 0)]
    column = EACH_LAG.format(measure)
    rows = rows.assign(reach=reach, each_lag=rows[column].eq(True) if column in rows else False)
    if reach == GRADIENT:
        rows = relative(rows)
        return rows.assign(value=1 + rows["value"] / (2 * GRADIENT_DECADES))
    if reach == CAUSAL:
        with np.errstate(divide="ignore"):
            return rows.assign(value=1 + np.log10(rows["value"].clip(lower=0)) / (2 * EFFECT_DECADES))
    if reach == TRUNCATION:
        rows = rows.assign(value=1 - rows["value"])
    return rows.dropna(subset="value")  # at some lags there is nothing to decode


def _behaviour(scores: pd.DataFrame, by: By) -> pd.DataFrame:
    """What decides whether a network passes (`tables.tested`), at every moment; 0 for a network that diverged."""
    parts = []
    for moment, own in measure_rows(scores, "retention", by).groupby("moment", sort=False):
        outcomes = tested(own.drop(columns="moment"), by)
        parts.append(outcomes.assign(value=outcomes["above_chance"], moment=moment, reach=BEHAVIOUR, each_lag=True))
    return pd.concat(parts)


def _in_order(table: pd.DataFrame, by: By) -> pd.DataFrame:
    """The table sorted by group, moment, then reach, in the order of this module's docstring."""
    reach = pd.Categorical(table["reach"], [*SOURCES, BEHAVIOUR])
    return in_training_order(table.iloc[np.argsort(reach.codes, kind="stable")], by)
