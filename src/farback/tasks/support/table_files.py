"""Reads sequences from .csv and .parquet files with a row for each step.

Shapes: R rows of all files, N sequences.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from farback.tasks.support.data_files import Array, Columns, Steps


def read_tables(files: Sequence[Path], columns: Columns, window: bool, missing: str, asked: str | None) -> Steps:
    """The rows of .csv or .parquet files, sorted by sequence and step.

    Args:
        window: whether windows are cut out of the sequences.
        missing: "refuse" or "carry" (`farback.tasks.table`).
        asked: "end", "every" or None (`farback.tasks.table`).

    Raises:
        ValueError: a column is missing, or a value is; the message names file, row and column.
    """
    frames = [_frame(path) for path in files]
    for path, frame in zip(files, frames, strict=True):
        if list(frame) != list(frames[0]):
            raise ValueError(f"{path} has the columns {_names(frame)}, but {files[0]} has {_names(frames[0])}")
    table = _Table(files, frames)
    keys = [name for name in (columns.sequence, columns.step, columns.group, columns.time) if name]
    inputs = columns.inputs or tuple(
        str(name) for name in table.frame if name not in (*keys, *(() if window else columns.targets))
    )
    for name in (*keys, *inputs, *columns.targets):
        if name not in table.frame:
            raise ValueError(f"{table.where} has no column {name!r}; it has {_names(table.frame)}")
    if not inputs:
        raise ValueError(f"{table.where} has no column for inputs beside {', '.join((*keys, *columns.targets))}")
    for name in keys if missing == "carry" else (*keys, *inputs, *columns.targets):
        table.check_complete(name)
    for name in inputs:
        table.check_numbers(name)
    if columns.sequence:
        label_R, _ = pd.factorize(table.frame[columns.sequence])
    elif window or len(files) > 1:
        label_R = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    else:
        raise ValueError(
            f"{table.where} is one sequence: columns.sequence names the column that tells sequences apart, "
            "or window cuts one series into many sequences"
        )
    order_R = np.arange(len(label_R)) if columns.step is None else table.ordered(columns.step)
    row_R = np.lexsort((order_R, label_R))
    label_R, order_R = label_R[row_R], order_R[row_R]
    table.check_steps(columns.step, label_R, order_R, row_R)
    rows = table.frame.iloc[row_R]
    first_N = np.flatnonzero(np.r_[True, label_R[1:] != label_R[:-1]])
    steps_N = np.diff(np.r_[first_N, len(rows)])
    input_frame = rows[list(inputs)].astype(np.float64)
    if missing == "carry":
        input_frame = input_frame.groupby(label_R).ffill()
    target_frame = rows[list(columns.targets)]
    asked_R = target_frame.notna().all(axis=1).to_numpy()
    if asked is None and not window:
        spread = target_frame.apply(lambda column: pd.factorize(column)[0]).groupby(label_R).agg(["min", "max"])
        constant = all((spread[name]["min"] == spread[name]["max"]).all() for name in columns.targets)
        asked = "end" if constant and (steps_N > 1).any() else "every"
    if asked == "end" and not window:
        asked_R = asked_R & np.isin(np.arange(len(rows)), first_N + steps_N - 1)
    last_N = first_N + steps_N - 1
    group_N = rows[columns.group].to_numpy()[last_N] if columns.group else None
    if columns.group:
        table.check_one_group(columns.group, label_R, row_R)
    return Steps(
        input_RI=input_frame.to_numpy(),
        target_RC=target_frame.to_numpy(),
        asked_R=asked_R,
        lag_R=None,
        first_N=first_N,
        steps_N=steps_N,
        group_N=group_N,
        time_N=table.ordered(columns.time)[row_R][last_N] if columns.time else None,
        whole=asked == "end" and not window,
        names=inputs,
    )


def _names(frame: pd.DataFrame) -> str:
    return ", ".join(map(str, frame))


def _frame(path: Path) -> pd.DataFrame:
    data = io.BytesIO(path.read_bytes())
    try:
        frame = pd.read_csv(data, low_memory=False) if path.suffix == ".csv" else pd.read_parquet(data)
    except ImportError:
        raise ValueError(f"{path}: Parquet files need pyarrow (pip install pyarrow)") from None
    except Exception as error:  # damaged files raise errors of many types
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if frame.empty:
        raise ValueError(f"{path} has no rows")
    return frame.rename(columns=str)


class _Table:
    """The rows of all files in one frame, with checks whose messages name file, row and column."""

    def __init__(self, files: Sequence[Path], frames: Sequence[pd.DataFrame]) -> None:
        self.files, self.lengths = files, [len(frame) for frame in frames]
        self.frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
        self.where = files[0] if len(files) == 1 else files[0].parent

    def place(self, row: int, column: str) -> str:
        """The place of a value: file, row below the header, counted from 1, and column."""
        number = int(np.searchsorted(np.cumsum(self.lengths), row, side="right"))
        return f"{self.files[number]}, row {row - sum(self.lengths[:number]) + 1} below the header, column {column!r}"

    def check_complete(self, column: str) -> None:
        """Raise ValueError if a value is missing."""
        missing_R = self.frame[column].isna().to_numpy()
        if missing_R.any():
            option = (
                "fill it in, or use missing: carry (inputs keep their last value, rows without a target ask nothing)"
            )
            raise ValueError(f"{self.place(int(np.argmax(missing_R)), column)}: the value is missing; {option}")

    def check_numbers(self, column: str) -> None:
        """Raise ValueError if a value is neither missing nor a finite number."""
        values = pd.to_numeric(self.frame[column], errors="coerce").astype(np.float64)
        wrong_R = ~np.isfinite(values.to_numpy()) & self.frame[column].notna().to_numpy()
        if wrong_R.any():
            row = int(np.argmax(wrong_R))
            value = self.frame[column].iloc[row]
            raise ValueError(f"{self.place(row, column)}: inputs must be finite numbers, got {value!r}")

    def ordered(self, column: str) -> NDArray[np.float64]:
        """A column as numbers in its order: numbers, or ISO dates and times as seconds."""
        values = self.frame[column]
        numbers = pd.to_numeric(values, errors="coerce")
        if numbers.isna().any() and not pd.api.types.is_numeric_dtype(values):
            dates = pd.to_datetime(values, errors="coerce", format="ISO8601", utc=True)
            wrong_R = dates.isna().to_numpy()
            neither_R = wrong_R & numbers.isna().to_numpy()
            wrong_R = neither_R if neither_R.any() else wrong_R
            if wrong_R.any():
                row = int(np.argmax(wrong_R))
                what = f"must be a number or an ISO date such as 2026-01-31, got {values.iloc[row]!r}"
                raise ValueError(f"{self.place(row, column)}: {what}")
            numbers = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
        return numbers.to_numpy(dtype=np.float64)

    def check_steps(self, column: str | None, label_R: Array, order_R: Array, row_R: Array) -> None:
        """Raise ValueError if a sequence has a step twice."""
        twice_R = (label_R[1:] == label_R[:-1]) & (order_R[1:] == order_R[:-1])
        if column and twice_R.any():
            row = int(row_R[1:][twice_R][0])
            value = self.frame[column].iloc[row]
            raise ValueError(f"{self.place(row, column)}: {value!r} occurs twice in its sequence")

    def check_one_group(self, column: str, label_R: Array, row_R: Array) -> None:
        """Raise ValueError if a sequence has rows of two groups."""
        group_R = pd.factorize(self.frame[column])[0][row_R]
        other_R = (label_R[1:] == label_R[:-1]) & (group_R[1:] != group_R[:-1])
        if other_R.any():
            row = int(row_R[1:][other_R][0])
            raise ValueError(f"{self.place(row, column)}: the rows of its sequence have several values")
