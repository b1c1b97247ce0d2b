"""Tables as CSV and Parquet files: equal numbers give equal bytes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pandas.api.types import is_float_dtype

from farback.system.atomic_files import aside


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table with six significant digits, "\\n" as line end and UTF-8: equal numbers give equal bytes."""
    positive = frame.assign(**{name: frame[name] + 0.0 for name in _floats(frame)})  # -0.0 + 0.0 is 0.0
    with aside(Path(path)) as file:
        positive.to_csv(file, index=False, float_format="%.6g", lineterminator="\n", encoding="utf-8")


def write_parquet(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table as Parquet, with the six significant digits of `write_csv`.

    Its bytes depend on the numbers and on the versions of pandas and pyarrow, which the file names.
    """
    rounded = {name: [float(f"{value:.6g}") + 0.0 for value in frame[name]] for name in _floats(frame)}
    with aside(Path(path)) as file:
        frame.assign(**rounded).to_parquet(file, index=False)


def _floats(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if is_float_dtype(frame[name])]
