"""The results of a search: its settings trained again on fresh seeds, which the search never used.

A fresh frame has a row for each seed: group, setting ("tuned": the search's best; "default": before any tuning), number
(the setting's place in the search's budget, see `search_history`), seed, value (the objective), value_1 (the second
objective, if any), diverged. All tests are exact, with Holm's correction.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback import stats
from farback.stats.intervals import RESAMPLES, percentiles, resampled
from farback.tables.grouping import check_columns, groups
from farback.tables.search_history import Direction, complete_trials, sign_of

FRESH = ("group", "setting", "number", "seed", "value", "diverged")
TUNED, DEFAULT = "tuned", "default"
BY = ("group", "setting", "number")
CONTRAST = ("difference", "low", "high", "improvement", "p")
Values = NDArray[np.float64]


def reported(fresh: pd.DataFrame) -> pd.DataFrame:
    """The result of a search: the objective of each group's setting over fresh seeds.

    A search for two objectives may report several settings of a group, distinguished by number.

    Returns:
        group, setting, number, seeds, value (mean), low, high (95 % bootstrap over seeds), median, min, max,
        [value_1, low_1, high_1,] diverged (seeds).
    """
    _check(fresh)
    rows = []
    for group, part in groups(fresh, BY):
        row = dict(zip(BY, group, strict=True)) | {"seeds": len(part)} | _mean(part["value"], "")
        row |= {name: float(part["value"].agg(name)) for name in ("median", "min", "max")}
        row |= _mean(part["value_1"], "_1") if "value_1" in fresh else {}
        rows.append(row | {"diverged": part["diverged"].sum()})
    return pd.DataFrame(rows)


def gaps(history: pd.DataFrame, fresh: pd.DataFrame, direction: Direction = "maximize") -> pd.DataFrame:
    """The winner's curse: how much better each reported setting looked in the search than on fresh seeds.

    The best of many noisy values is too good, more so with more trials and with fewer seeds for each. The gap's
    interval is over the fresh seeds; the search's value is taken as fixed. A default setting was not picked for its
    value, so that its gap is a control; a default that the search did not try is left out.

    Returns:
        group, setting, number, trials (number of complete trials of the group), seen (the search's value), fresh, low,
        high (value, low, high of `reported`), gap (how much better the search's value is), gap_low, gap_high.
    """
    sign = sign_of(direction)
    check_columns(history, ("group", "number", "state", "counted", "value"))
    complete = complete_trials(history).set_index(["group", "number"])["value"]
    trials = complete.groupby("group").size()
    rows = []
    for row in reported(fresh).to_dict("records"):
        group, setting, number = (row[name] for name in BY)
        if (group, number) not in complete.index:
            if setting == DEFAULT:
                continue
            raise ValueError(f"trial {number} of the group {group!r} is not complete in the search's history")
        seen = float(complete.loc[(group, number)])
        ends = sorted((sign * (seen - row["low"]), sign * (seen - row["high"])))
        values = (row["value"], row["low"], row["high"], sign * (seen - row["value"]), *ends)
        rows.append((group, setting, number, trials[group], seen, *values))
    return pd.DataFrame(rows, columns=[*BY, "trials", "seen", "fresh", "low", "high", "gap", "gap_low", "gap_high"])


def gains(fresh: pd.DataFrame) -> pd.DataFrame:
    """The effect of tuning on each group: the tuned setting compared with the default one, both on fresh seeds.

    Returns:
        group, seeds_default, seeds_tuned, default, tuned (means), difference (tuned minus default), low, high (95 %
        bootstrap, both sides resampled), improvement (probability that a tuned seed scores higher, ties counting half),
        p, p_holm. Groups without both settings are left out.
    """
    _check(fresh)
    rows = []
    for (group,), part in groups(fresh, ["group"]):
        tuned_S, default_S = (_values(part, setting) for setting in (TUNED, DEFAULT))
        if len(tuned_S) and len(default_S):
            means = (default_S.mean(), tuned_S.mean())
            rows.append((group, len(default_S), len(tuned_S), *means, *_contrast(tuned_S, default_S)))
    columns = ["group", "seeds_default", "seeds_tuned", "default", "tuned", *CONTRAST]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=stats.holm(table["p"].to_numpy(float)))


def contests(fresh: pd.DataFrame) -> pd.DataFrame:
    """Every pair of groups compared at each setting; Holm's correction is over the pairs of one setting.

    Returns:
        setting, a, b, seeds_a, seeds_b, value_a, value_b (means), difference (a minus b), low, high (95 % bootstrap),
        improvement (probability that a seed of `a` scores higher), p, p_holm.
    """
    _check(fresh)
    rows: list[tuple[object, ...]] = []
    for (setting,), part in groups(fresh, ["setting"]):
        pairs = []
        for ((a,), own), ((b,), other) in combinations(groups(part, ["group"]), 2):
            value_A, value_B = own["value"].to_numpy(float), other["value"].to_numpy(float)
            means = (value_A.mean(), value_B.mean())
            pairs.append((setting, a, b, len(value_A), len(value_B), *means, *_contrast(value_A, value_B)))
        rows += [(*pair, p) for pair, p in zip(pairs, stats.holm([pair[-1] for pair in pairs]), strict=True)]
    columns = ["setting", "a", "b", "seeds_a", "seeds_b", "value_a", "value_b", *CONTRAST, "p_holm"]
    return pd.DataFrame(rows, columns=columns)


def tuning_share(fresh: pd.DataFrame) -> pd.DataFrame:
    """The share of the difference between groups that tuning removes.

    The spread is the mean absolute difference between the means of two groups, over all pairs; it is computed for the
    default and for the tuned settings. `moved` is the mean absolute change of a group by tuning. The share is 1 - tuned
    spread / default spread: 1 if tuned groups are equal, 0 if they differ as much as before, below 0 if tuning makes
    them differ more. It is missing if no two groups differ significantly at their default settings (`contests`, 5 %).
    Intervals are 95 % bootstrap over seeds, each group and setting resampled separately. Noise makes equal groups
    differ a little, so that a small spread is an upper bound.

    Returns:
        One row: groups, seeds (of the smallest group), default, tuned (spreads), moved, share, each followed by its
        _low and _high. No row where fewer than two groups have both settings.
    """
    _check(fresh)
    names = [group for (group,), part in groups(fresh, ["group"]) if {DEFAULT, TUNED} <= set(part["setting"])]
    columns = ["groups", "seeds"]
    columns += [f"{name}{end}" for name in (DEFAULT, TUNED, "moved", "share") for end in ("", "_low", "_high")]
    if len(names) < 2:
        return pd.DataFrame([], columns=columns)
    both = fresh[fresh["group"].isin(names)]
    values = [_values(both[both["group"] == name], setting) for setting in (DEFAULT, TUNED) for name in names]
    # Row 0 has the means, the other rows have means over resampled seeds; default settings come first, then tuned ones.
    mean_BG = np.stack([np.append(value.mean(), _means(value, seed)) for seed, value in enumerate(values)], axis=1)
    default_BG, tuned_BG = np.split(mean_BG, 2, axis=1)
    default_B, tuned_B, moved_B = _spread(default_BG), _spread(tuned_BG), np.abs(tuned_BG - default_BG).mean(1)
    contest = contests(both)
    share_B = np.full(2, np.nan)
    if (contest[contest["setting"] == DEFAULT]["p_holm"] < 0.05).any():
        share_B = 1 - tuned_B[default_B > 0] / default_B[default_B > 0]
    # Each has the value of the data first, then those of the resamples
    values_B = (default_B, tuned_B, moved_B, share_B)
    found = [number for value_B in values_B for number in (float(value_B[0]), *percentiles(value_B[1:], 0.95))]
    return pd.DataFrame([(len(names), min(map(len, values)), *found)], columns=columns)


def _contrast(value_A: Values, value_B: Values) -> tuple[float, ...]:
    """The difference of the means with its 95 % bootstrap interval, and the exact test."""
    interval = percentiles(_means(value_A, 0) - _means(value_B, 1), 0.95)
    result = stats.compare(value_A, value_B)
    return (value_A.mean() - value_B.mean(), *interval, result.improvement, result.p)


def _mean(values: pd.Series[float], suffix: str) -> dict[str, float]:
    low, high = stats.bootstrap(values)
    return {f"value{suffix}": float(values.mean()), f"low{suffix}": low, f"high{suffix}": high}


def _spread(mean_BG: Values) -> Values:
    """The mean absolute difference between two groups, shape (B,)."""
    pairs = combinations(range(mean_BG.shape[1]), 2)
    return np.asarray(np.mean([np.abs(mean_BG[:, one] - mean_BG[:, other]) for one, other in pairs], axis=0), float)


def _means(value_S: Values, seed: int) -> Values:
    """Means over resampled seeds, shape (resamples,)."""
    return np.asarray(value_S[resampled(len(value_S), RESAMPLES, seed)].mean(1), float)


def _values(part: pd.DataFrame, setting: str) -> Values:
    return part.loc[part["setting"] == setting, "value"].to_numpy(float)


def _check(fresh: pd.DataFrame) -> None:
    check_columns(fresh, FRESH)
    if fresh.empty:
        raise ValueError("no setting of the search has been trained on fresh seeds yet: continue the search first")
    twice = fresh[fresh.duplicated([*BY, "seed"])]
    if len(twice):
        first = twice.iloc[0]
        raise ValueError(f"seed {first['seed']} occurs twice in the group {first['group']!r}, {first['setting']}")
