"""Tables of a search's history, which has a row for each of Optuna's trials.

Its columns are group ("" without groups), number (the trial's place in the group's budget, from 0, which a repeated
trial keeps; `runs.search.optuna_history` calls it slot, and its number is Optuna's), state ("complete", "pruned",
"failed", "running", "waiting"), counted (whether it used up a place of the budget; a failed trial that was repeated did
not), value, value_1 (the second objective, if any), a column "param.PATH" for each parameter (missing if a condition
excluded it), keys (of the trainings, joined by a space), started, seconds, reason. The values of a search are biased,
because the best of them is picked: the results come from `tables.reported`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from farback import stats
from farback.tables.grouping import check_columns, groups

Direction = Literal["maximize", "minimize"]
HISTORY = ("group", "number", "state", "counted", "value", "keys", "seconds")
ENDED = ("complete", "pruned", "failed")
PARAMETER = "param."


def parameters(history: pd.DataFrame) -> list[str]:
    """The columns of the searched parameters, in order; columns without a value are left out."""
    return [str(name) for name in history.columns if str(name).startswith(PARAMETER) and history[name].notna().any()]


def best_after(history: pd.DataFrame, direction: Direction = "maximize", adaptive: bool = True) -> pd.DataFrame:
    """The best value after n trials of each group, with a band.

    A trial that was pruned or failed has used up budget without a value; it counts with the worst value of its group.

    - `best`: the best observed value, in the order of the trials; missing before the first value.
    - `expected`, `low`, `high` of a sampler that ignores past values (`adaptive=False`: random, grid): the mean and the
      central 95 % of the best of n of these trials over all their orders.
    - `expected`, `low`, `high` of an adaptive sampler, for which the order matters: the mean and the central 95 % of
      the best of n draws with replacement from the first n trials, the bootstrap of `best`. The band shows how much
      `best` depends on single lucky trials. The band does not predict another search, which may end outside it; it is
      never better than `best`.

    All numbers are computed exactly, without resampling, from the values that the search saw.

    Returns:
        group, trials (n), best, expected, low, high (on the scale of the value; low below high). A group without a
        complete trial has missing values.
    """
    sign = sign_of(direction)
    check_columns(history, HISTORY)
    rows = []
    for group, part in _counted(history):
        value_N = sign * part["value"].where(part["state"] == "complete").to_numpy(float)
        if np.isnan(value_N).all():
            rows += [(group, count, *[np.nan] * 4) for count in range(1, len(part) + 1)]
            continue
        running_N = np.fmax.accumulate(value_N)
        filled_N = np.where(np.isnan(value_N), np.nanmin(value_N), value_N)
        for count in range(1, len(part) + 1):
            best = stats.best_of(filled_N[:count] if adaptive else filled_N, count, again=adaptive)
            low, high = sorted((sign * best.low, sign * best.high))
            rows.append((group, count, sign * running_N[count - 1], sign * best.expected, low, high))
    return pd.DataFrame(rows, columns=["group", "trials", "best", "expected", "low", "high"])


def top_settings(history: pd.DataFrame, direction: Direction = "maximize", count: int = 5) -> pd.DataFrame:
    """The best settings of each group by the search's own values, which are too optimistic (see `gaps`).

    Returns:
        group, rank, number, value, [value_1,] then the searched parameters.
    """
    sign = sign_of(direction)
    check_columns(history, HISTORY)
    parts = []
    for _, part in _counted(history):
        complete = complete_trials(part)
        best = complete.iloc[np.argsort(-sign * complete["value"].to_numpy(float), kind="stable")[:count]]
        parts.append(best.assign(rank=range(1, len(best) + 1)))
    ranked = pd.concat(parts, ignore_index=True) if parts else history.head(0).assign(rank=0)
    values = ["value", *(["value_1"] if "value_1" in ranked else [])]
    return ranked.loc[:, ["group", "rank", "number", *values, *parameters(history)]]


def budgets(history: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The budget that each group's search had and used, and whether all groups had the same number of trials.

    Args:
        scores: the tidy frame of the search's trainings, in which updates are counted. A training that stops early uses
            fewer updates, so that groups with equal numbers of trials may differ in their numbers of updates.

    Returns:
        group, trials (that count), of which complete, pruned, failed; other (trials that do not count: repeated, or not
        ended), trainings (distinct), updates, seconds (summed over all trials, as Optuna recorded them), equal (whether
        every group has the same number of trials).
    """
    check_columns(history, HISTORY)
    check_columns(scores, ("key", "step"))
    updates = scores.groupby("key")["step"].max()
    rows = []
    for (group,), part in groups(history, ["group"]):
        ended = [int((part["counted"] & (part["state"] == state)).sum()) for state in ENDED]
        keys = sorted({key for text in part["keys"].dropna() for key in str(text).split()})
        used = int(updates.reindex(keys).fillna(0).sum())
        rows.append((group, sum(ended), *ended, len(part) - sum(ended), len(keys), used, part["seconds"].sum()))
    columns = ["group", "trials", *ENDED, "other", "trainings", "updates", "seconds"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(equal=table["trials"].min() == table["trials"].max())


def front(history: pd.DataFrame, directions: Sequence[Direction]) -> pd.DataFrame:
    """The complete trials of a search for two objectives, with the Pareto front of each group.

    Returns:
        group, number, value, value_1, front (True where no other trial is at least as good in both objectives and
        better in one), then the searched parameters.
    """
    check_columns(history, (*HISTORY, "value_1"))
    if len(directions) != 2:
        raise ValueError(f"a front needs two directions, one for each objective; got {list(directions)}")
    signs = np.array([sign_of(direction) for direction in directions])
    parts = []
    for _, part in _counted(history):
        complete = complete_trials(part)
        point_N2 = complete.loc[:, ["value", "value_1"]].to_numpy(float) * signs
        at_least = (point_N2[:, None, :] >= point_N2[None, :, :]).all(-1)
        better = (point_N2[:, None, :] > point_N2[None, :, :]).any(-1)
        parts.append(complete.assign(front=~(at_least & better).any(0)))
    table = pd.concat(parts, ignore_index=True) if parts else history.head(0).assign(front=True)
    return table.loc[:, ["group", "number", "value", "value_1", "front", *parameters(history)]]


def complete_trials(history: pd.DataFrame) -> pd.DataFrame:
    """The trials that count and have a value."""
    return history[history["counted"] & (history["state"] == "complete")]


def sign_of(direction: Direction) -> float:
    """1 where larger is better, -1 where smaller is better. Raises ValueError: another direction."""
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"direction must be maximize or minimize, got {direction!r}")
    return 1.0 if direction == "maximize" else -1.0


def _counted(history: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The trials of each group that count, in their order; groups in the order of the history."""
    for (group,), part in groups(history, ["group"]):
        counted = part[part["counted"]]
        if len(counted):
            yield group, counted.sort_values("number", kind="stable")
