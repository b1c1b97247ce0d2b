"""Groups of seeds in a frame: functions that split, order, name and check groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import pandas as pd

from farback.records.setting_text import group_text

By = Sequence[str]  # the columns that make a group


def groups(frame: pd.DataFrame, by: By) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The groups in the order of their first rows; a missing value is a group of its own."""
    yield from frame.groupby(list(by), sort=False, dropna=False)


def ordered(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The frame sorted by columns; columns of mixed types are sorted as text."""
    texts = {name: frame[name].map(str) for name in columns if frame[name].dtype == object}
    keys = frame.loc[:, list(columns)].assign(**texts).reset_index(drop=True)
    return frame.iloc[keys.sort_values(list(columns), kind="stable").index].reset_index(drop=True)


def as_frame(rows: list[tuple[Any, ...]], columns: Sequence[str], source: pd.DataFrame, by: By) -> pd.DataFrame:
    """Rows as a frame in which the columns `by` have the types that they have in `source`."""
    return pd.DataFrame(rows, columns=list(columns)).astype({name: source[name].dtype for name in by})


def as_text(values: Iterable[Any], by: By) -> str:
    """The name of a group, such as "LSTM, chrono, hidden 8"."""
    return group_text(dict(zip(by, values, strict=True)))


def check_columns(frame: pd.DataFrame, needed: Iterable[str]) -> None:
    """Raise ValueError, naming the most similar column, if the frame lacks a needed column."""
    for name in needed:
        if name not in frame.columns:
            near = get_close_matches(name, list(map(str, frame.columns)), 1)
            hint = f", did you mean {near[0]!r}" if near else ""
            raise ValueError(f"the frame has no column {name!r}{hint}; it has {', '.join(map(str, frame.columns))}")


def check_repeats(rows: pd.DataFrame, by: By, within: By = ("lag",)) -> None:
    """Raise ValueError if two trials of a group share a seed (and the columns `within`): seeds are the repeats."""
    same = rows[rows.duplicated([*by, "seed", *within])]
    if len(same):
        first = same.iloc[0]
        shared = " and ".join(f"{name} {first[name]}" for name in ("seed", *within))
        raise ValueError(
            f"in the group {as_text(first[list(by)], by)} two trials share {shared}: "
            f"select fewer trials, or add the column in which they differ to `by`, which is {list(by)}"
        )
