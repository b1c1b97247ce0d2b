"""What a search found is worth: its settings trained again on seeds that it never saw.

A fresh frame has a row for each seed: group, setting ("tuned": the search's best; "default": the setting before any
tuning), number (of the search's trial), seed, value (the objective), value_1 where there are two, diverged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback import stats
from farback.stats.intervals import RESAMPLES, percentiles, resampled
from farback.tables.outcomes import check_columns, groups
from farback.tables.search_history import Direction, sign_of

FRESH = ("group", "setting", "number", "seed", "value", "diverged")
TUNED, DEFAULT = "tuned", "default"
BY = ("group", "setting")


def reported(fresh: pd.DataFrame) -> pd.DataFrame:
    """The result of a search: the objective of each group's setting over fresh seeds, the only number to be quoted.

    A search for two objectives may report several settings of a group, told apart by number.

    Returns:
        group, setting, number, seeds, value (mean), low, high (95 % bootstrap over seeds), median, min, max,
        [value_1, low_1, high_1,] diverged (seeds).

    Raises:
        ValueError: missing columns, no rows, or a seed that comes twice in a group's setting.
    """
    _check(fresh)
    second = "value_1" in fresh
    rows = []
    for (group, setting, number), part in groups(fresh, (*BY, "number")):
        value_S = part["value"].to_numpy(float)
        spread = (float(np.median(value_S)), float(value_S.min()), float(value_S.max()))
        more = (part["value_1"].mean(), *stats.bootstrap(part["value_1"])) if second else ()
        ends = (value_S.mean(), *stats.bootstrap(value_S))
        rows.append((group, setting, number, len(part), *ends, *spread, *more, part["diverged"].sum()))
    columns = [*BY, "number", "seeds", "value", "low", "high", "median", "min", "max"]
    columns += ["value_1", "low_1", "high_1"] if second else []
    return pd.DataFrame(rows, columns=[*columns, "diverged"])


def gaps(history: pd.DataFrame, fresh: pd.DataFrame, direction: Direction = "maximize") -> pd.DataFrame:
    """The winner's curse: what the search saw of each setting it reports, and what fresh seeds gave.

    The best of many noisy values is too good, the more so the more trials and the fewer seeds for each. The gap's
    interval is over the fresh seeds, with the value that the search saw taken as it is. A default setting was not
    picked for its value, so its gap is a control; it has none where the search did not try it.

    Returns:
        group, setting, number, trials (complete ones that the best was picked from), seen, fresh, low, high (as
        `reported`), gap (by how much the search saw it better than it is), gap_low, gap_high.

    Raises:
        ValueError: missing columns, or a tuned setting whose trial the history does not have as complete.
    """
    sign = sign_of(direction)
    check_columns(history, ("group", "number", "state", "counted", "value"))
    complete = history[history["counted"] & (history["state"] == "complete")].set_index(["group", "number"])["value"]
    rows = []
    for row in reported(fresh).to_dict("records"):
        place = (row["group"], row["number"])
        if place not in complete.index:
            if row["setting"] == DEFAULT:
                continue
            raise ValueError(f"trial {row['number']} of the group {row['group']!r} is not complete in the history")
        seen = float(complete.loc[place])
        ends = sorted((sign * (seen - row["low"]), sign * (seen - row["high"])))
        tried = int(complete.index.get_level_values("group").isin([row["group"]]).sum())
        shown = (row["value"], row["low"], row["high"], sign * (seen - row["value"]), *ends)
        rows.append((row["group"], row["setting"], row["number"], tried, seen, *shown))
    columns = ["trials", "seen", "fresh", "low", "high", "gap", "gap_low", "gap_high"]
    return pd.DataFrame(rows, columns=[*BY, "number", *columns])


def gains(fresh: pd.DataFrame) -> pd.DataFrame:
    """What tuning gave each group on fresh seeds: tuned against default, exact tests, Holm over the groups.

    Returns:
        group, seeds_default, seeds_tuned, default, tuned (means), difference (tuned less default), low, high (95 %
        bootstrap, both sides resampled), improvement (probability that a tuned seed scores higher, ties half), p,
        p_holm. Groups without both settings are left out.

    Raises:
        ValueError: as `reported`.
    """
    _check(fresh)
    rows = []
    for (group,), part in groups(fresh, ["group"]):
        tuned_S, default_S = (_values(part, setting) for setting in (TUNED, DEFAULT))
        if len(tuned_S) and len(default_S):
            result = stats.compare(tuned_S, default_S)
            means = (default_S.mean(), tuned_S.mean())
            ends = _difference(tuned_S, default_S)
            rows.append(
                (group, len(default_S), len(tuned_S), *means, means[1] - means[0], *ends, result.improvement, result.p)
            )
    columns = ["group", "seeds_default", "seeds_tuned", "default", "tuned", "difference", "low", "high"]
    return _corrected(pd.DataFrame(rows, columns=[*columns, "improvement", "p"]), [])


def contests(fresh: pd.DataFrame) -> pd.DataFrame:
    """Every pair of groups at each setting, exact tests with Holm's correction within the setting.

    Returns:
        setting, a, b, seeds_a, seeds_b, value_a, value_b (means), difference (a less b), low, high (95 % bootstrap),
        improvement (probability that a seed of `a` scores higher), p, p_holm.

    Raises:
        ValueError: as `reported`.
    """
    _check(fresh)
    rows = []
    for (setting,), part in groups(fresh, ["setting"]):
        for (a, own), (b, other) in combinations([(name[0], own) for name, own in groups(part, ["group"])], 2):
            value_A, value_B = own["value"].to_numpy(float), other["value"].to_numpy(float)
            result = stats.compare(value_A, value_B)
            means = (value_A.mean(), value_B.mean())
            ends = _difference(value_A, value_B)
            sizes = (len(value_A), len(value_B))
            rows.append((setting, a, b, *sizes, *means, means[0] - means[1], *ends, result.improvement, result.p))
    columns = ["setting", "a", "b", "seeds_a", "seeds_b", "value_a", "value_b", "difference", "low", "high"]
    return _corrected(pd.DataFrame(rows, columns=[*columns, "improvement", "p"]), ["setting"])


def tuning_share(fresh: pd.DataFrame) -> pd.DataFrame:
    """How much of the difference between groups is tuning?

    The spread is the mean absolute difference between the means of two groups, over all pairs: at the default settings,
    and tuned. `moved` is the mean absolute difference that tuning makes to a group. The share is what of the spread at
    the default settings is gone once each group is tuned: 1 when tuned groups are equal, 0 when they differ as much as
    before, below 0 when tuning drives them apart; it is missing where no two groups differ at their default settings
    (by the exact tests of `contests`, at 5 %). Intervals: 95 % bootstrap over seeds, each group and setting by itself.
    Noise makes groups that are equal differ a little, so that a small spread is an upper bound.

    Returns:
        One row: groups, seeds (of the smallest group), default, tuned (spreads), moved, share, each followed by its
        _low and _high. No row where fewer than two groups have both settings.

    Raises:
        ValueError: as `reported`.
    """
    _check(fresh)
    names = [group for (group,), part in groups(fresh, ["group"]) if {DEFAULT, TUNED} <= set(part["setting"])]
    columns = ["groups", "seeds"]
    columns += [f"{name}{end}" for name in (DEFAULT, TUNED, "moved", "share") for end in ("", "_low", "_high")]
    if len(names) < 2:
        return pd.DataFrame([], columns=columns)
    both = fresh[fresh["group"].isin(names)]
    values = [_values(both[both["group"] == name], setting) for setting in (DEFAULT, TUNED) for name in names]
    # [0] is as it was found, the others are drawn again over seeds; first the default settings, then the tuned ones
    drawn_BG = np.stack([np.append(value.mean(), _means(value, seed)) for seed, value in enumerate(values)], axis=1)
    default_BG, tuned_BG = np.split(drawn_BG, 2, axis=1)
    default_B, tuned_B, moved_B = _spread(default_BG), _spread(tuned_BG), np.abs(tuned_BG - default_BG).mean(1)
    found = [number for each in (default_B, tuned_B, moved_B) for number in (each[0], *percentiles(each[1:], 0.95))]
    contest = contests(both)
    differ = (contest[contest["setting"] == DEFAULT]["p_holm"] < 0.05).any()
    share = [np.nan] * 3
    if differ:
        known_B = default_B > 0
        share_B = 1 - tuned_B[known_B] / default_B[known_B]
        share = [share_B[0], *percentiles(share_B[1:], 0.95)]
    return pd.DataFrame([(len(names), min(map(len, values)), *found, *share)], columns=columns)


def _spread(mean_BG: NDArray[np.float64]) -> NDArray[np.float64]:
    pairs = list(combinations(range(mean_BG.shape[1]), 2))
    apart = [np.abs(mean_BG[:, one] - mean_BG[:, other]) for one, other in pairs]
    return np.asarray(np.mean(apart, axis=0), float)


def _means(value_S: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Means over seeds drawn again, shape (resamples,)."""
    return np.asarray(value_S[resampled(len(value_S), RESAMPLES, seed)].mean(1), float)


def _difference(value_A: NDArray[np.float64], value_B: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % bootstrap interval of a difference of means."""
    return percentiles(_means(value_A, 0) - _means(value_B, 1), 0.95)


def _values(part: pd.DataFrame, setting: str) -> NDArray[np.float64]:
    return part.loc[part["setting"] == setting, "value"].to_numpy(float)


def _corrected(table: pd.DataFrame, within: Sequence[str]) -> pd.DataFrame:
    """With Holm's correction, over the table or within groups of it."""
    if table.empty:
        return table.assign(p_holm=pd.Series(dtype=float))
    families = [part for _, part in groups(table, within)] if within else [table]
    return pd.concat([part.assign(p_holm=stats.holm(part["p"].to_numpy(float))) for part in families])


def _check(fresh: pd.DataFrame) -> None:
    check_columns(fresh, FRESH)
    if fresh.empty:
        raise ValueError("no setting of the search was trained on fresh seeds yet")
    twice = fresh[fresh.duplicated([*BY, "number", "seed"])]
    if len(twice):
        first = twice.iloc[0]
        raise ValueError(f"seed {first['seed']} comes twice in {first['group']!r}, {first['setting']}")
