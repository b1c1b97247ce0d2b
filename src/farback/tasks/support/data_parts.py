"""Windows of series, and the disjoint parts for training, validation and testing.

Shapes: R steps in all sequences of a file, N sequences, M windows, U units that are never split.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback.tasks.support.data_files import Array, Layout, Steps

SHARES = (0.6, 0.8)  # ends of the training and the validation part; the rest is for testing

Whole = NDArray[np.int64]


def usual_split(steps: Steps, layout: Layout) -> str:
    """By group if the file has groups, else by time if that is known, else by index."""
    if steps.group_N is not None:
        return "group"
    one_series = layout.window is not None and len(steps.first_N) == 1
    return "time" if one_series or steps.time_N is not None else "index"


def check_split(steps: Steps, layout: Layout, split: str) -> None:
    """Raise ValueError if the split needs something else, or would put the same steps into two parts."""
    one_series = layout.window is not None and len(steps.first_N) == 1
    if split == "group" and steps.group_N is None:
        raise ValueError("split: group needs groups: the array groups, or columns.group")
    if split != "group" and steps.group_N is not None:
        raise ValueError(f"split: {split} would put a group into several parts: use split: group, or give no groups")
    if one_series and split != "time":
        raise ValueError(f"split: {split} would put the same rows into several parts, as windows overlap: use time")
    if split == "time" and not one_series and (steps.time_N is None or layout.window is not None):
        raise ValueError(
            "split: time needs a time for each sequence (the array time, or columns.time), or windows of one series"
        )
    if layout.window is not None and steps.lag_R is not None:
        raise ValueError("window cuts sequences, and the lags of a file count from the start of whole ones: give one")


def units(steps: Steps, split: str) -> Array:
    """The label of each sequence's unit: units are never split, and for `time` their order is that of the labels."""
    if split == "index":
        return np.arange(len(steps.first_N))
    values = steps.group_N if split == "group" else steps.time_N
    assert values is not None, "check_split"
    label_N, _ = pd.factorize(values, sort=split == "time")
    if (label_N < 0).any():
        raise ValueError(f"split: {split}: sequence {int(np.argmin(label_N))} has no {split}")
    return np.asarray(label_N)


def parts(unit_N: Array, split: str) -> NDArray[np.int64]:
    """The part of each sequence: whole units, in the order of time or in one fixed random order, 60, 20 and 20 %."""
    count_U = np.bincount(unit_N)
    units = len(count_U)
    if units < 3:
        what = {"index": "sequences", "group": "groups", "time": "times"}[split]
        raise ValueError(f"training, validation and test need at least 3 {what}, got {units}")
    order_U = np.arange(units) if split == "time" else np.random.default_rng(0).permutation(units)
    middle_U = np.cumsum(count_U[order_U]) - count_U[order_U] / 2
    part_U = np.searchsorted(SHARES, middle_U / count_U.sum(), side="right")
    part_U[0], part_U[-1] = 0, 2  # every part has a unit
    if 1 not in part_U:
        part_U[min(max(1, int(np.argmax(part_U == 2))), units - 2)] = 1
    result = np.empty(units, dtype=np.int64)
    result[order_U] = part_U
    return result[unit_N]


def shifted(steps: Steps, ahead: int) -> Steps:
    """The steps with the answer of the step `ahead` later in the same series; the last steps then have no answer."""
    R = len(steps.asked_R)
    ends_N = steps.first_N + steps.steps_N
    later_R = np.arange(R) + ahead
    known_R = later_R < np.repeat(ends_N, steps.steps_N)
    later_R = np.minimum(later_R, R - 1)
    fields = {**vars(steps), "target_RC": steps.target_RC[later_R], "asked_R": steps.asked_R[later_R] & known_R}
    return Steps(**fields)


def windows(steps: Steps, window: int, ahead: int) -> tuple[Whole, Whole]:
    """The first row of every window whose answers exist, and its series."""
    if not steps.whole and steps.lag_R is None and (steps.steps_N >= window + ahead).any():
        counts_N = np.maximum(0, steps.steps_N - window - ahead + 1)
        series_M = np.repeat(np.arange(len(counts_N)), counts_N)
        within_M = np.arange(counts_N.sum()) - np.repeat(np.cumsum(counts_N) - counts_N, counts_N)
        return steps.first_N[series_M] + within_M, series_M
    if steps.whole:
        raise ValueError("window needs an answer at each step, and the file has one for each sequence: leave it out")
    longest = int(steps.steps_N.max())
    raise ValueError(f"window {window} and {ahead} steps ahead do not fit: the longest series has {longest} steps")


def parts_of_windows(steps: Steps, first_M: Whole, reach: int) -> NDArray[np.int64]:
    """The part of each window of one series, whose steps and answers all lie in this part; -1 if it lies in two."""
    ends = np.array([*(round(share * len(steps.asked_R)) for share in SHARES), len(steps.asked_R)])
    part_M = np.searchsorted(ends, first_M, side="right")
    return np.where(first_M + reach <= ends[part_M], part_M, -1)
