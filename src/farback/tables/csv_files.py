"""Tables as CSV files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pandas.api.types import is_float_dtype

from farback.system.atomic_files import aside


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table with six significant digits, "\\n" as line end and UTF-8: equal numbers give equal bytes."""
    floats = [name for name in frame.columns if is_float_dtype(frame[name])]
    positive = frame.assign(**{name: frame[name] + 0.0 for name in floats})  # -0.0 + 0.0 is 0.0
    with aside(Path(path)) as file:
        positive.to_csv(file, index=False, float_format="%.6g", lineterminator="\n", encoding="utf-8")
