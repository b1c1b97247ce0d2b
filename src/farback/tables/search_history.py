"""What a search saw: tables of its trials, a row for each of the optimiser's.

A history has a row for each trial of the optimiser: group ("" without groups), number (which of the group's budget it
is, from 0; one that is tried again keeps it), state ("complete", "pruned", "failed", "running", "waiting"), counted
(whether it used up one of the group's budget: a failed trial that was tried again did not), value, value_1 (a second
objective, where there is one), a column "param.PATH" for each parameter (missing where a condition left it out), keys
(of the trainings, joined by a space), started, seconds, reason.
Values seen by a search are for the search: what they are worth only fresh seeds tell (`tables.reported`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from farback import stats
from farback.tables.outcomes import check_columns, groups

Direction = Literal["maximize", "minimize"]
HISTORY = ("group", "number", "state", "counted", "value", "keys", "seconds")
ENDED = ("complete", "pruned", "failed")
PARAMETER = "param."


def parameters(history: pd.DataFrame) -> list[str]:
    """The columns that hold searched parameters, in order, those that no trial has left out."""
    return [str(name) for name in history.columns if str(name).startswith(PARAMETER) and history[name].notna().any()]


def best_after(history: pd.DataFrame, direction: Direction = "maximize", adaptive: bool = True) -> pd.DataFrame:
    """The best value after n trials of each group, with a band.

    A trial that was pruned or failed was paid for and found nothing: it counts as one, at the worst value of its group.

    - `best`: what was observed, in the order in which the trials were asked for; missing before the first value.
    - `expected`, `low`, `high` of a sampler that does not look back (`adaptive=False`: random, grid): the mean and the
      central 95 % of the best of n of these trials over all their orders. The band is about luck with the order.
    - of a sampler that does look back the order means something, so `expected`, `low`, `high` describe the best of n
      draws with replacement from the first n trials, the bootstrap of `best`: how much it leans on single lucky trials.
      It is not a forecast of another search: it never lies above `best`, and a second search may come out outside it.

    All are exact, none is resampled. They speak of what the search saw, not of what its setting is worth.

    Returns:
        group, trials (n), best, expected, low, high; ends are on the scale of the value, low below high. All are
        missing in a group without a complete trial.

    Raises:
        ValueError: missing columns, or an unknown direction.
    """
    sign = sign_of(direction)
    check_columns(history, HISTORY)
    rows = []
    for (group,), part in groups(_ended(history), ["group"]):
        value_N = sign * part["value"].where(part["state"] == "complete").to_numpy(float)
        if np.isnan(value_N).all():
            rows += [(group, count, *[np.nan] * 4) for count in range(1, len(part) + 1)]
            continue
        running_N = np.fmax.accumulate(value_N)
        filled_N = np.where(np.isnan(value_N), np.nanmin(value_N), value_N)
        for count in range(1, len(part) + 1):
            known_N = filled_N[:count] if adaptive else filled_N
            best = stats.best_of(known_N, count, again=adaptive)
            low, high = sorted((sign * best.low, sign * best.high))
            rows.append((group, count, sign * running_N[count - 1], sign * best.expected, low, high))
    return pd.DataFrame(rows, columns=["group", "trials", "best", "expected", "low", "high"])


def top_settings(history: pd.DataFrame, direction: Direction = "maximize", count: int = 5) -> pd.DataFrame:
    """The best settings of each group as the search saw them, and so each too good: `gaps` says by how much.

    Returns:
        group, rank, number, value, [value_1,] then the searched parameters.

    Raises:
        ValueError: missing columns or an unknown direction.
    """
    sign = sign_of(direction)
    check_columns(history, HISTORY)
    complete = history[history["counted"] & (history["state"] == "complete")]
    ordered = complete.iloc[np.lexsort((complete["number"], -sign * complete["value"]))]
    chosen = pd.concat([part.head(count) for _, part in groups(ordered, ["group"])]) if len(ordered) else ordered
    ranked = chosen.assign(
        rank=chosen.groupby("group", sort=False).cumcount() + 1,
        order=chosen["group"].map({group: at for at, group in enumerate(history["group"].unique())}),
    ).sort_values(["order", "rank"], kind="stable")
    values = ["value", *(["value_1"] if "value_1" in ranked else [])]
    return ranked.loc[:, ["group", "rank", "number", *values, *parameters(history)]].reset_index(drop=True)


def budgets(history: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """What each group's search was given and spent: is the budget equal?

    Args:
        history: the search's.
        scores: the tidy frame of its trainings; updates are counted from there, and trainings that stop early spend
            fewer, so that an equal number of trials is what is held equal.

    Returns:
        group, trials (that count), of which complete, pruned, failed; other (tried again, or not ended), trainings
        (distinct), updates, seconds (of all its trials, as the optimiser's storage has them), equal (as many trials as
        in every other group).

    Raises:
        ValueError: missing columns.
    """
    check_columns(history, HISTORY)
    check_columns(scores, ("key", "step"))
    updates = scores.groupby("key")["step"].max()
    rows = []
    for (group,), part in groups(history, ["group"]):
        counted = part[part["counted"]]
        ended = [int((counted["state"] == state).sum()) for state in ENDED]
        keys = sorted({key for text in part["keys"].dropna() for key in str(text).split()})
        spent = int(updates.reindex(keys).fillna(0).sum())
        rows.append((group, sum(ended), *ended, len(part) - sum(ended), len(keys), spent, part["seconds"].sum()))
    columns = ["group", "trials", *ENDED, "other", "trainings", "updates", "seconds"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(equal=table["trials"].min() == table["trials"].max())


def front(history: pd.DataFrame, directions: Sequence[Direction]) -> pd.DataFrame:
    """The complete trials of a search for two objectives, and which of them no other trial of the group dominates.

    Returns:
        group, number, value, value_1, front (True where no other is at least as good in both and better in one), then
        the searched parameters.

    Raises:
        ValueError: missing columns, or not two directions.
    """
    check_columns(history, (*HISTORY, "value_1"))
    if len(directions) != 2:
        raise ValueError(f"a front needs two directions, got {list(directions)}")
    signs = np.array([sign_of(direction) for direction in directions])
    complete = history[history["counted"] & (history["state"] == "complete")].sort_values("number", kind="stable")
    parts = []
    for _, part in groups(complete, ["group"]):
        point_N2 = part.loc[:, ["value", "value_1"]].to_numpy(float) * signs
        at_least = (point_N2[:, None, :] >= point_N2[None, :, :]).all(-1)
        better = (point_N2[:, None, :] > point_N2[None, :, :]).any(-1)
        parts.append(part.assign(front=~(at_least & better).any(0)))
    columns = ["group", "number", "value", "value_1", "front", *parameters(history)]
    found = pd.concat(parts) if parts else complete.assign(front=True)
    return found.loc[:, columns].reset_index(drop=True)


def _ended(history: pd.DataFrame) -> pd.DataFrame:
    """The trials that were paid for, in the order in which they were asked for, groups as they come."""
    ended = history[history["counted"]]
    return ended.sort_values("number", kind="stable").loc[lambda frame: _stable(frame["group"], history["group"])]


def _stable(group: pd.Series, order: pd.Series) -> pd.Index:
    """The rows of a frame sorted by group, the groups in the order in which they come in `order`."""
    places = group.map({name: at for at, name in enumerate(order.unique())})
    return places.sort_values(kind="stable").index


def sign_of(direction: Direction) -> float:
    """1 where more is better, -1 where less is: ValueError for another direction."""
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"direction must be maximize or minimize, got {direction!r}")
    return 1.0 if direction == "maximize" else -1.0
